# mypy: ignore-errors
"""A radio in reach of one network, whatever its name: the loopback of this PC, while the link is up.

The board's own network has no phones in it: what listens there, listens on loopback too (boot_pc.py).
"""

import time

import _pc

_JOIN_MS = 300
"""A board takes seconds to join: nothing may rest on having a network at boot."""
STA_IF = 0
AP_IF = 1
AUTH_WPA2_PSK = 3
OWN_ADDRESS = "192.168.4.1"


class WLAN:
    def __init__(self, interface: int = STA_IF) -> None:
        self._interface = interface
        self._asked_ms = None

    def active(self, on: bool) -> None:
        """Of no consequence."""

    def connect(self, ssid: str, password: str) -> None:
        self._asked_ms = time.ticks_ms()

    def disconnect(self) -> None:
        self._asked_ms = None

    def config(self, *asked: str, **wanted: object) -> bytes:
        """The only question is the radio's own address."""
        return b"\x02\x00\x00\x00\xbe\xef"

    def isconnected(self) -> bool:
        joined = self._asked_ms is not None and time.ticks_diff(time.ticks_ms(), self._asked_ms) >= _JOIN_MS
        return joined and _pc.link_is_up()

    def status(self, what: str) -> int:
        return -60

    def ifconfig(self) -> tuple:
        own = "127.0.0.1" if self._interface == STA_IF else OWN_ADDRESS
        return (own, "255.0.0.0", "127.0.0.1", "127.0.0.1")
