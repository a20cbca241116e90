"""`python -m edge` runs the gateway; `python -m edge --version` tells its version.

`python -m edge device-log [DEVICE_ID]` prints what devices have logged of late, one JSON object a line, oldest first.
`python -m edge claim [--cloud URL] CODE` leaves the code of a sheet for the gateway to claim its place with.
Both may be used while the gateway runs. Installed, the program is called `larder-gateway`.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from edge import logs, settings
from edge.app import Gateway, software_version
from edge.clock import Clock
from edge.errors import DatabaseError, SettingsError
from edge.settings import CLAIM_CODE, Settings
from edge.site_ca import SiteCaError
from edge.upkeep.service import device_log

CONFIGURATION_STATUS = 78
"""EX_CONFIG of sysexits.h."""

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
        file = found.keep_claim_code(code)
    except OSError as error:
        raise SettingsError(f"the code cannot be written: {error}") from error
    return f"The code lies in {file}. A gateway that runs claims its place within a minute; else start it.\n"


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"{software_version()}\n")
        return
    try:
        found = settings.load(os.environ)
        if sys.argv[1:2] == ["device-log"]:
            print_device_log(found.state_dir, sys.argv[2] if len(sys.argv) > 2 else None)
            return
        if sys.argv[1:2] == ["claim"]:
            sys.stdout.write(leave_claim_code(found, sys.argv[2:]))
            return
        logs.set_up(found.log_level)
        asyncio.run(run(Gateway(found, Clock())))
    except (SettingsError, DatabaseError, SiteCaError) as error:
        sys.stderr.write(f"larder gateway: {error}\n")
        sys.exit(CONFIGURATION_STATUS)


if __name__ == "__main__":
    main()
