"""settings.json on the flash, however it came there: who vouches for it, and what it says."""

import hashlib
import json

from . import checks, settings, signed
from .flash import Flash
from .log import warn
from .messages import to_hex

FILE = "settings.json"
VERIFIED_FILE = "settings.verified"
"""SHA-256 of trust.json and settings.json once the signature was found right: a boot need not spend seconds on it."""


def load(flash: Flash, data: "bytes | None" = None) -> "settings.Settings":
    """What settings.json says, or would say if it were `data`. Raises SettingsError.

    A board with a trust.json takes signed settings only; without one it takes any, and logs that nobody vouches.
    """
    found = flash.read(FILE) if data is None else data
    checks.require(found != b"", FILE + " is missing")
    try:
        text = _vouched(flash, found)
    except signed.NotTrusted as error:
        raise checks.SettingsError(FILE + ": " + str(error)) from None
    return settings.parse(text)


def save(flash: Flash, data: bytes) -> None:
    """Put settings on flash that `load` has just found right. Raises OSError."""
    flash.replace(FILE, data)
    if flash.read(FILE) != data:
        raise OSError("settings read back differently")


def _vouched(flash: Flash, data: bytes) -> bytes:
    """The settings' own text. Raises NotTrusted."""
    keys = signed.trusted_keys(flash, signed.SETTINGS)
    if keys is None:
        warn("settings_unverified", reason="there is no " + signed.TRUST_FILE)
        return signed.parse(data).text.encode() if _is_signed(data) else data
    document = signed.parse(data)
    seen = to_hex(hashlib.sha256(flash.read(signed.TRUST_FILE) + data).digest()).encode()
    if flash.read(VERIFIED_FILE) != seen:
        signed.verify(document, signed.SETTINGS, keys)
        _remember(flash, seen)
    return document.text.encode()


def _is_signed(data: bytes) -> bool:
    try:
        given = json.loads(str(data, "utf-8"))
    except ValueError:
        return False
    return isinstance(given, dict) and "signature" in given


def _remember(flash: Flash, seen: bytes) -> None:
    try:
        flash.replace(VERIFIED_FILE, seen)
    except OSError as error:
        warn("settings_verified_each_boot", error=str(error))
