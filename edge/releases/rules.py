"""Whom to believe a release, and whether a device has what it shall run. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from shared.releases import FirmwareState, Manifest
from shared.signed import Purpose, SignedText, signed_bytes

MAX_FAILURES = 3
"""So often a device may fail with an assigned release; then it waits for a person."""


class NotBelieved(Exception):
    """The release is not for any device; the text says why."""


def keys_by_id(public_keys: Iterable[str]) -> dict[str, Ed25519PublicKey]:
    """Key id (shared/signed.py) → key, from 32 bytes in hex each."""
    raw = [bytes.fromhex(key) for key in public_keys]
    return {hashlib.sha256(key).digest()[:8].hex(): Ed25519PublicKey.from_public_bytes(key) for key in raw}


def believe(document: bytes, keys: Mapping[str, Ed25519PublicKey]) -> Manifest:
    """What one of `keys` has signed. Raises NotBelieved."""
    try:
        signed = SignedText.model_validate_json(document)
        if signed.key not in keys:
            raise NotBelieved(f"signed with {signed.key}, which is not a release key of this gateway")
        keys[signed.key].verify(bytes.fromhex(signed.signature), signed_bytes(Purpose.RELEASE, signed.text))
        return Manifest.model_validate_json(signed.text)
    except InvalidSignature:
        raise NotBelieved("the signature is wrong") from None
    except ValidationError:
        raise NotBelieved("what was signed is no manifest") from None


def has_expired(manifest: Manifest, now: datetime) -> bool:
    """Whether nobody begins to take it any more."""
    return manifest.expires <= now.timestamp()


def is_reached(wanted: str, running: str | None, state: FirmwareState, offered: str | None) -> bool:
    """Whether the device has the release, by its own word, and for good.

    An image of MicroPython runs beside the app: of that it says only that what was offered last is valid.
    """
    if running == wanted:
        return state is not FirmwareState.TRIAL
    return offered == wanted and state is FirmwareState.VALID
