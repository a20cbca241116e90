"""What MicroPython runs at boot. An exception that gets out of the device restarts the board, its motors off first."""

from vending import settings
from vending.app import Device, run_safely
from vending.board import Board
from vending.flash import Flash
from vending.log import log


def main() -> None:
    flash = Flash(".")
    wired = settings.parse(flash.read("settings.json"))
    board = Board(wired)
    device = Device(wired, board, flash)
    # Ctrl-C is no Exception: it ends here with the motors off, and gives whoever is at the serial line its prompt.
    try:
        run_safely(device.run(), board)
    except Exception as error:
        log("device_failed", error=repr(error))
        board.restart()
        raise


main()
