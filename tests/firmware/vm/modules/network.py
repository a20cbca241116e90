# mypy: ignore-errors
"""A radio in reach of one network, whatever its name: the loopback of this PC, while the link is up.

The board's own network has no phones in it: what listens there, listens on loopback too (boot_pc.py).
"""

import _pc

STA_IF = 0
AP_IF = 1
AUTH_WPA2_PSK = 3
OWN_ADDRESS = "192.168.4.1"


class WLAN:
    def __init__(self, interface: int = STA_IF) -> None:
        self._interface = interface
        self._joined = False

    def active(self, on: bool) -> None:
        """Of no consequence."""

    def connect(self, ssid: str, password: str) -> None:
        self._joined = True

    def disconnect(self) -> None:
        self._joined = False

    def config(self, *asked: str, **wanted: object) -> bytes:
        """The only question is the radio's own address."""
        return b"\x02\x00\x00\x00\xbe\xef"

    def isconnected(self) -> bool:
        return self._joined and _pc.link_is_up()

    def status(self, what: str) -> int:
        return -60

    def ifconfig(self) -> tuple:
        own = "127.0.0.1" if self._interface == STA_IF else OWN_ADDRESS
        return (own, "255.0.0.0", "127.0.0.1", "127.0.0.1")
