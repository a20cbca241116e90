"""Random texts: ids, and the nonces that a dispense must quote, so that a late copy of it starts nothing."""

import os

from . import TYPE_CHECKING, rules
from .messages import to_hex

if TYPE_CHECKING:
    from .clock import Clock


class Nonces:
    """The current and the previous nonce of this connection."""

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._known: tuple = ()
        self.current = _new()

    def renew(self) -> None:
        """With each heartbeat."""
        self.current = _new()
        self._known = rules.renew_nonce(self._known, self.current, self._clock.ms())

    def start_over(self) -> None:
        """At each connect: what was quoted over an older connection is worth nothing."""
        self._known = ()
        self.renew()

    def is_fresh(self, nonce: "str | None") -> bool:
        return rules.nonce_is_fresh(self._known, nonce, self._clock.ms())


def _new() -> str:
    """64 random bits as hex."""
    return to_hex(os.urandom(8))


def new_uuid() -> str:
    """A random UUID as canonical text. Without a clock there is no UUIDv7 here; it is version 4 (RFC 9562)."""
    data = bytearray(os.urandom(16))
    data[6] = data[6] & 0x0F | 0x40
    data[8] = data[8] & 0x3F | 0x80
    digits = to_hex(bytes(data))
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
