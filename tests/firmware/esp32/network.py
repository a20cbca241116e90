"""MicroPython's `network` as far as the boards ask for it: a radio that never connects, and what it was told."""

STA_IF, AP_IF = 0, 1
AUTH_WPA2_PSK = 3

told: list[tuple[int, str, dict[str, object]]] = []
"""(interface, what, with what) of every order to the radio."""


class WLAN:
    def __init__(self, interface: int) -> None:
        self._interface = interface

    def active(self, on: bool) -> None:
        told.append((self._interface, "active", {"on": on}))

    def config(self, *asked: str, **wanted: object) -> bytes:
        """The only question is the radio's own address."""
        if wanted:
            told.append((self._interface, "config", wanted))
        return bytes.fromhex("246f28aabbcc")

    def ifconfig(self) -> tuple[str, str, str, str]:
        return ("192.168.4.1", "255.255.255.0", "192.168.4.1", "0.0.0.0")  # noqa: S104 - no name server

    def connect(self, ssid: str, password: str) -> None:
        told.append((self._interface, "connect", {"ssid": ssid}))

    def disconnect(self) -> None:
        told.append((self._interface, "disconnect", {}))

    def isconnected(self) -> bool:
        return False
