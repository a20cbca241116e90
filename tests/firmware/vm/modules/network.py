# mypy: ignore-errors
"""A radio in reach of one network, whatever its name: the loopback of this PC, while the link is up."""

import _pc

STA_IF = 0
AP_IF = 1


class WLAN:
    def __init__(self, interface: int = STA_IF) -> None:
        self._joined = False

    def active(self, on: bool) -> None:
        """Of no consequence."""

    def connect(self, ssid: str, password: str) -> None:
        self._joined = True

    def isconnected(self) -> bool:
        return self._joined and _pc.link_is_up()

    def status(self, what: str) -> int:
        return -60

    def ifconfig(self) -> tuple:
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")
