"""`python -m edge` runs the gateway; `python -m edge --version` tells its version.

`python -m edge device-log [DEVICE_ID]` prints what devices have logged of late, one JSON object a line, oldest first.
`python -m edge claim [--cloud URL] CODE` leaves the code of a sheet for the gateway to claim its place with.
`python -m edge bundle FILE` takes the bundle of a site, from which the gateway sells before any cloud is reached.
`python -m edge doctor [--json]` says in plain words what is wrong with this gateway, and what to do; 1 if anything is.
All may be used while the gateway runs. Installed, the program is called `larder-gateway`.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from getpass import getpass
from pathlib import Path
from typing import NoReturn
from uuid import UUID

from pydantic import SecretStr

from edge import logs, private_file, settings, site_bundle
from edge.app import Gateway, software_version
from edge.clock import Clock
from edge.doctor.rules import State, as_text
from edge.doctor.service import Doctor, settings_refused
from edge.errors import DatabaseError, SettingsError
from edge.identity import is_claimed
from edge.settings import CLAIM_CODE, Settings
from edge.site_ca import SiteCaError
from edge.upkeep.service import device_log
from shared.bundles import BundleRefused

CONFIGURATION_STATUS = 78
"""EX_CONFIG of sysexits.h."""

_VOUCHED_BY_PAPER = "It is whole, and the passphrase fits it; bundle_keys names no key that its signature must be of."

STOP_WITHIN_S = 4.5
"""After that the kernel ends the program, whatever hangs. The ledger is made for it."""


async def run(gateway: Gateway, stop_within_s: float = STOP_WITHIN_S) -> None:
    """Run until SIGTERM or SIGINT, or until a part dies."""
    stop = asyncio.Event()

    def set_deadline() -> None:
        if signal.getitimer(signal.ITIMER_REAL) == (0, 0):
            signal.setitimer(signal.ITIMER_REAL, stop_within_s)

    def begin_to_stop() -> None:
        set_deadline()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, begin_to_stop)
    await gateway.run(stop, on_stopping=set_deadline)


def print_device_log(state_dir: Path, device_id: str | None) -> None:
    """Raises SettingsError."""
    try:
        for told in device_log(state_dir, None if device_id is None else UUID(device_id)):
            sys.stdout.write(json.dumps(told) + "\n")
    except ValueError as error:
        raise SettingsError(f"device-log takes the id of a device, not {device_id}") from error


def leave_claim_code(found: Settings, words: Sequence[str]) -> str:
    """What to tell whoever typed it. Raises SettingsError."""
    *named, code = words or [""]
    if not CLAIM_CODE.fullmatch(code) or named[:1] not in ([], ["--cloud"]) or len(named) not in {0, 2}:
        raise SettingsError("claim takes a code of a sheet: claim [--cloud URL] CODE")
    if named and named[1].rstrip("/") != found.cloud_url:
        raise SettingsError(
            f"cloud_url is {found.cloud_url}, and the code is of {named[1]}: set cloud_url to that first"
        )
    try:
        found.code_place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        private_file.write(found.code_place, f"{code}\n".encode())
    except OSError as error:
        raise SettingsError(f"the code cannot be written: {error}") from error
    return (
        f"The code lies in {found.code_place}. A gateway that runs claims its place within a minute; else start it.\n"
    )


def take_bundle(found: Settings, words: Sequence[str]) -> str:
    """What to tell whoever brought it. Asks for the passphrase where no setting says it. Raises SettingsError."""
    if len(words) != 1:
        raise SettingsError("bundle takes the file of a site's bundle: bundle FILE")
    given = found.bundle_passphrase or SecretStr(getpass("Passphrase on the sheet: "))
    try:
        bundle = site_bundle.take(found, Path(words[0]), given, claimed=is_claimed(found.state_dir))
    except (BundleRefused, OSError) as error:
        raise SettingsError(f"{words[0]} cannot be used: {error}") from error
    vouched = "Its signature is of a key in bundle_keys." if found.bundle_keys else _VOUCHED_BY_PAPER
    return (
        f"The bundle of {bundle.place.site_name} is kept. {vouched} Start the gateway, or start it again: it sells.\n"
    )


def _loaded() -> Settings | SettingsError:
    try:
        return settings.load(os.environ)
    except SettingsError as error:
        return error


async def see_doctor(found: Settings | SettingsError, words: Sequence[str]) -> NoReturn:
    """Print what the doctor finds and end the program at once, though a thread may hang at a failing disk."""
    if isinstance(found, SettingsError):
        findings = settings_refused(found)
    else:
        findings = await Doctor(found, Clock().now).findings()
    if "--json" in words:
        sys.stdout.write(json.dumps([one.model_dump(mode="json") for one in findings]) + "\n")
    else:
        sys.stdout.write(as_text(findings, colours=sys.stdout.isatty()))
    sys.stdout.flush()
    os._exit(int(any(one.state is State.BAD for one in findings)))


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"{software_version()}\n")
        return
    if sys.argv[1:2] == ["doctor"]:
        asyncio.run(see_doctor(_loaded(), sys.argv[2:]))
    try:
        found = settings.load(os.environ)
        if sys.argv[1:2] == ["device-log"]:
            print_device_log(found.state_dir, sys.argv[2] if len(sys.argv) > 2 else None)
            return
        if sys.argv[1:2] == ["claim"]:
            sys.stdout.write(leave_claim_code(found, sys.argv[2:]))
            return
        if sys.argv[1:2] == ["bundle"]:
            sys.stdout.write(take_bundle(found, sys.argv[2:]))
            return
        logs.set_up(found.log_level)
        asyncio.run(run(Gateway(found, Clock())))
    except (SettingsError, DatabaseError, SiteCaError) as error:
        sys.stderr.write(f"larder gateway: {error}\n")
        sys.exit(CONFIGURATION_STATUS)


if __name__ == "__main__":
    main()
