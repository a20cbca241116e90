"""`python -m edge` runs the gateway; `python -m edge --version` tells its version."""

import asyncio
import os
import signal
import sys

from edge import logs, settings
from edge.app import Gateway, software_version
from edge.clock import Clock
from edge.errors import DatabaseError, SettingsError
from edge.site_ca import SiteCaError

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


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"{software_version()}\n")
        return
    try:
        found = settings.load(os.environ)
        logs.set_up(found.log_level)
        asyncio.run(run(Gateway(found, Clock())))
    except (SettingsError, DatabaseError, SiteCaError) as error:
        sys.stderr.write(f"larder gateway: {error}\n")
        sys.exit(CONFIGURATION_STATUS)


if __name__ == "__main__":
    main()
