"""What MicroPython runs at boot."""

from vending.boot import start

start()
