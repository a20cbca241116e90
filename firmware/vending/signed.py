"""A text that somebody far away vouches for (shared/signed.py): settings and releases, whichever way they come here.

trust.json says whom to believe: `{"settings": {KEY: PUBLIC_KEY}, "release": {KEY: PUBLIC_KEY}}`, in hex. It is put on
the board by cable, beside the app. A board without one believes anybody, and says so; a damaged one believes nobody.
"""

import binascii
import json
from collections import namedtuple

from .borrowed import borrow, give_back
from .flash import Flash
from .messages import is_hex

SETTINGS = "settings"
RELEASE = "release"
TRUST_FILE = "trust.json"

SignedText = namedtuple("SignedText", ("text", "key", "signature"))


class NotTrusted(Exception):
    """Nobody this board knows vouches for the text; the exception's text says why."""


def parse(data: bytes) -> SignedText:
    """The signed text in a file's bytes, its signature not yet checked. Raises NotTrusted."""
    given = _object(data, "not a JSON object")
    if set(given) != {"text", "key", "signature"} or not isinstance(given["text"], str):
        raise NotTrusted("nobody has signed it")
    if not is_hex(given["key"], 16) or not is_hex(given["signature"], 128):
        raise NotTrusted("the signature is damaged")
    return SignedText(given["text"], given["key"], given["signature"])


def trusted_keys(flash: Flash, purpose: str) -> "dict | None":
    """Key id → public key of those who may sign for this purpose; None without a trust.json. Raises NotTrusted."""
    if not flash.has(TRUST_FILE):
        return None
    keys = _object(flash.read(TRUST_FILE), "trust.json is damaged").get(purpose)
    if not isinstance(keys, dict) or not all(is_hex(keys[name], 64) for name in keys):
        raise NotTrusted("trust.json is damaged")
    return {name: binascii.unhexlify(keys[name]) for name in keys}


def verify(signed: SignedText, purpose: str, keys: dict) -> None:
    """Raises NotTrusted unless one of `keys` has signed it. Blocks an ESP32 for seconds."""
    if signed.key not in keys:
        raise NotTrusted("%s has signed it, whom this board does not know" % signed.key)
    message = ("larder-%s\n%s" % (purpose, signed.text)).encode()
    try:
        vouched = borrow("ed25519").verify(keys[signed.key], message, binascii.unhexlify(signed.signature))
    finally:
        give_back("ed25519")
    if not vouched:
        raise NotTrusted("the signature is wrong")


def _object(data: bytes, reason: str) -> dict:
    try:
        given = json.loads(str(data, "utf-8"))
    except ValueError:
        raise NotTrusted(reason) from None
    if not isinstance(given, dict):
        raise NotTrusted(reason)
    return given
