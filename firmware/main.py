"""What MicroPython runs at boot. An exception that gets out stops the watchdog's feeding, and it restarts the board."""

import asyncio

from vending import settings
from vending.app import Device
from vending.board import Board
from vending.flash import Flash


def main() -> None:
    flash = Flash(".")
    wired = settings.parse(flash.read("settings.json"))
    asyncio.run(Device(wired, Board(wired), flash).run())


main()
