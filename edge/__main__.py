"""`python -m edge` runs the gateway; `python -m edge --version` tells its version.

`python -m edge device-log [DEVICE_ID]` prints what devices have logged of late, one JSON object a line, oldest first.
It may be used while the gateway runs.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from uuid import UUID

from edge import logs, settings
from edge.app import Gateway, software_version
from edge.clock import Clock
from edge.errors import DatabaseError, SettingsError
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


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"{software_version()}\n")
        return
    try:
        found = settings.load(os.environ)
        if sys.argv[1:2] == ["device-log"]:
            print_device_log(found.state_dir, sys.argv[2] if len(sys.argv) > 2 else None)
            return
        logs.set_up(found.log_level)
        asyncio.run(run(Gateway(found, Clock())))
    except (SettingsError, DatabaseError, SiteCaError) as error:
        sys.stderr.write(f"larder gateway: {error}\n")
        sys.exit(CONFIGURATION_STATUS)


if __name__ == "__main__":
    main()
