"""Where a gateway may be. Every address is a hint: who is there, TLS alone decides."""

import json

from . import TYPE_CHECKING, const
from .borrowed import borrow, give_back
from .log import warn

if TYPE_CHECKING:
    from .clock import Clock
    from .flash import Flash
    from .hardware import Hardware
    from .settings import Settings

FILE = "gateway.json"
_SEARCH_EVERY_MS = const(10_000)
"""A search takes its time; between two, the addresses already known are tried."""


class Addresses:
    """(host, port) pairs: the last one that was right, those found by multicast DNS, the one in the settings."""

    def __init__(self, settings: "Settings", board: "Hardware", flash: "Flash", clock: "Clock") -> None:
        self._settings = settings
        self._board = board
        self._flash = flash
        self._clock = clock
        self._last = self._cached()
        self._search_due_ms = 0

    def sources(self) -> tuple:
        """(name, what to await for a list of addresses), the surest first."""
        return (("cache", self._last_right), ("mdns", self._found), ("settings", self._given))

    def remember(self, address: tuple) -> None:
        """This one was right."""
        if address == self._last:
            return
        self._last = address
        try:
            self._flash.replace(FILE, json.dumps(address).encode())
        except OSError as error:
            warn("address_not_cached", error=str(error))

    async def _last_right(self) -> list:
        return [] if self._last is None else [self._last]

    async def _found(self) -> list:
        knows_another = self._last is not None or self._settings.gateway_host is not None
        if not self._settings.mdns or (knows_another and self._clock.ms() < self._search_due_ms):
            return []
        found = await borrow("discovery").find_gateways(self._board, self._clock)
        give_back("discovery", "dns")
        self._search_due_ms = self._clock.ms() + _SEARCH_EVERY_MS
        return found

    async def _given(self) -> list:
        if self._settings.gateway_host is None:
            return []
        return [(self._settings.gateway_host, self._settings.gateway_port)]

    def _cached(self) -> "tuple | None":
        try:
            host, port = json.loads(str(self._flash.read(FILE), "utf-8"))
        except (OSError, ValueError, TypeError):
            return None
        return (host, port) if isinstance(host, str) and type(port) is int else None
