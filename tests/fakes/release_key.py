"""A release key that stands for the operator's, and small releases signed with it."""

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware.workbench.releases import make_release
from firmware.workbench.signing import key_id, public_bytes
from shared.releases import ReleaseBundle, ReleaseKind

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = public_bytes(KEY).hex()
KEY_ID = key_id(public_bytes(KEY))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))
FILES: Mapping[str, bytes] = {"app.mpy": bytes(range(256)) * 20, "boot.mpy": b"boot" * 100}


def signed_release(
    version: str = "1.0.0",
    *,
    key: Ed25519PrivateKey = KEY,
    files: Mapping[str, bytes] = FILES,
    expires: int = 2**40,
    **others: Any,
) -> ReleaseBundle:
    """A release of these files, in force for ever."""
    about = {"kind": ReleaseKind.APP, "minimum": "0.0.0", "board": "esp32"} | others
    return make_release(key, files, version=version, expires=expires, **about)
