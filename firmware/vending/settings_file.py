"""settings.json on the flash, however it came there: who vouches for it, and what it says."""

import hashlib

from . import checks, const, settings, signed
from .flash import Flash
from .log import warn
from .messages import to_hex

FILE = "settings.json"
_VERIFIED = const("settings.verified")
# SHA-256 of trust.json and settings.json once the signature was found right: a boot need not spend seconds on it.


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


def _vouched(flash: Flash, data: bytes) -> bytes:
    """The settings' own text. Raises NotTrusted."""
    keys = signed.trusted_keys(flash, signed.SETTINGS)
    if keys is None:
        warn("settings_unverified", reason="there is no " + signed.TRUST_FILE)
        # As a name of the file itself: within a signed text a quotation mark has a backslash before it.
        return signed.parse(data).text.encode() if b'"signature":' in data else data
    document = signed.parse(data)
    digest = to_hex(hashlib.sha256(flash.read(signed.TRUST_FILE) + data).digest()).encode()
    if flash.read(_VERIFIED) != digest:
        signed.verify(document, signed.SETTINGS, keys)
        try:
            flash.replace(_VERIFIED, digest)
        except OSError as error:
            warn("settings_verified_each_boot", error=str(error))
    return document.text.encode()
