"""Random ids. Without a clock there is no UUIDv7 here; these are version 4 (RFC 9562)."""

import os

from .messages import to_hex


def new_uuid() -> str:
    """A random UUID as canonical text."""
    data = bytearray(os.urandom(16))
    data[6] = data[6] & 0x0F | 0x40
    data[8] = data[8] & 0x3F | 0x80
    digits = to_hex(bytes(data))
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def new_nonce() -> str:
    """64 random bits as hex."""
    return to_hex(os.urandom(8))
