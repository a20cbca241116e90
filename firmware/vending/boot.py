"""Runs a device. An exception that gets out of it restarts the board, motors off first."""

import asyncio

from . import TYPE_CHECKING
from .borrowed import borrow, give_back
from .flash import Flash
from .log import alarm

if TYPE_CHECKING:
    from .hardware import Hardware

LAST_ERROR = "last_error"


def start() -> None:
    """For ever, or until a hand at the serial line ends it. A board without usable settings asks for others."""
    flash = Flash(".")
    made = borrow("waking").make_device(flash, LAST_ERROR)
    if made is None:
        return
    device, board = made
    # Ctrl-C is no Exception: it ends here with the motors off, and gives whoever is at the serial line its prompt.
    try:
        program = device.run()
        # What has built the device is not needed any more: 4 kB of RAM.
        made = device = None
        give_back("waking", "app", "credentials", "remains", "sockets")
        run_safely(program, board)
    except Exception as error:
        alarm("device_failed", error=repr(error))
        remember(flash, repr(error))
        board.restart()
        raise


def run_safely(program, board: "Hardware") -> None:
    """Run the coroutine `program` to its end; whatever ends it, no motor stays on.

    MicroPython's asyncio abandons what else was running then: no `finally` in it switches its motor off.
    """
    try:
        asyncio.run(program)
    finally:
        board.make_safe()


async def run_together(parts: list) -> None:
    """Run these coroutines; the end of any is the end of all."""
    await asyncio.gather(*parts)


def remember(flash: Flash, error: str) -> None:
    """What ends this boot, for the next one to tell: the log is gone with the RAM."""
    try:
        flash.replace(LAST_ERROR, error.encode())
    except OSError:
        alarm("error_not_kept")
