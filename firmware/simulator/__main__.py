"""One device as a process: `python -m firmware.simulator --settings FILE --state DIR`, or with `--setup PORT`.

DIR holds what the device's flash holds, its control socket and its world. Stdout: one JSON line per event.
"""

import argparse
import asyncio
import os
import signal
import sys
from contextlib import suppress
from functools import partial
from io import TextIOWrapper
from pathlib import Path

from firmware.simulator.boot import DeskFlash, boot_settings
from firmware.simulator.coil import Habits
from firmware.simulator.control import ControlServer
from firmware.simulator.failpoints import (
    NAMES,
    VARIABLE,
    FailingBoard,
    FailingFlash,
    Failpoints,
    UnknownFailpoint,
    failing_client,
)
from firmware.simulator.micropython import add_missing_calls
from firmware.simulator.setup import settings_in
from firmware.vending import VERSION, rules
from firmware.vending.app import Device
from firmware.vending.settings import Settings, SettingsError
from firmware.vending.sockets import site_context

EXIT_S = 0.8


def main() -> int:
    """The exit code: 0 after SIGTERM or SIGINT, 2 for settings that cannot be used."""
    options = _options()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    if options.list_failpoints:
        print("\n".join(NAMES))
        return 0
    if (options.settings is None) == (options.setup is None) or options.state is None:
        print("--state is needed, and --settings or --setup", file=sys.stderr)
        return 2
    try:
        failpoints = Failpoints(os.environ.get(VARIABLE))
        asyncio.run(_run(options, _flash(options, failpoints), failpoints))
    except (OSError, SettingsError, UnknownFailpoint, ValueError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


def _flash(options: argparse.Namespace, failpoints: Failpoints) -> FailingFlash:
    """With settings on it. Raises OSError."""
    if options.settings is not None:
        return DeskFlash(options.state, failpoints, options.settings)
    settings_in(options.state, options.setup)
    return FailingFlash(str(options.state), failpoints)


async def _run(options: argparse.Namespace, flash: FailingFlash, failpoints: Failpoints) -> None:
    add_missing_calls()
    options.state.mkdir(parents=True, exist_ok=True)
    wired, on_trial = boot_settings(flash)
    settings = _faster(wired, options.speed)
    habits = Habits(options.speed, options.drop_rate, options.jam_rate, options.stock, options.seed)
    board = FailingBoard(failpoints, settings, options.state, habits)
    context = site_context(settings.ca_der)
    device = Device(settings, board, flash, context, failing_client(failpoints), on_trial)
    parts = asyncio.gather(device.run(), ControlServer(board, partial(_status, device)).serve(options.state))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, partial(_stop, parts, board))
    with suppress(asyncio.CancelledError):
        await parts


def _stop(parts: "asyncio.Future[tuple[None, None]]", board: FailingBoard) -> None:
    board.make_safe()
    parts.cancel()
    asyncio.get_running_loop().call_later(EXIT_S, os._exit, 0)


def _status(device: Device) -> dict[str, object]:
    state = device.journal.state
    return {
        "firmware": VERSION,
        "link": device.link.state,
        "highest": list(state.highest),
        "unacknowledged": [vend.vend_id for vend in state.vends if vend.state == rules.ENDED],
        "running": [vend.vend_id for vend in state.vends if vend.state != rules.ENDED],
        "credits": [credit[0] for credit in state.credits],
    }


def _faster(settings: Settings, speed: float) -> Settings:
    """The same wiring for a machine that turns so much faster. The time-out of a jam stays."""

    def faster(ms: int) -> int:
        return max(1, round(ms / speed))

    slots = {
        code: slot._replace(turn_ms=faster(slot.turn_ms), settle_ms=faster(slot.settle_ms))
        for code, slot in settings.slots.items()
    }
    return settings._replace(slots=slots)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m firmware.simulator", description=__doc__)
    parser.add_argument("--settings", type=Path, help="settings.json of the device")
    parser.add_argument("--setup", type=int, metavar="PORT", help="take them from DIR, or ask for them on a page")
    parser.add_argument("--state", type=Path, help="folder of its flash and its world")
    parser.add_argument("--speed", type=float, default=1.0, help="1: a turn takes 1.5 s, 10: a tenth of that")
    parser.add_argument("--seed", type=int, default=1, help="of its chance")
    parser.add_argument("--drop-rate", type=float, default=1.0, help="chance that a product falls at its turn")
    parser.add_argument("--jam-rate", type=float, default=0.0, help="chance that a motor start does not turn its coil")
    parser.add_argument("--stock", type=int, default=10, help="products in each coil when the world begins")
    parser.add_argument("--list-failpoints", action="store_true", help="print the names LARDER_FAILPOINT may have")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
