"""MicroPython's `network` as far as board.py asks for it: a radio that never connects."""

STA_IF = 0


class WLAN:
    def __init__(self, interface: int) -> None:
        """Of no consequence."""

    def active(self, on: bool) -> None:
        """Of no consequence."""

    def isconnected(self) -> bool:
        return False
