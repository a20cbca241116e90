"""The operator's keys, and texts signed with them (shared/signed.py)."""

import hashlib
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from shared.signed import Purpose, SignedText, signed_bytes


class KeyUnusable(Exception):
    """The file holds no Ed25519 key; the text says which file."""


def make_key(path: Path) -> Ed25519PrivateKey:
    """A new private key in a file that only its owner may read. Raises FileExistsError rather than lose a key."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    return key


def read_key(path: Path) -> Ed25519PrivateKey:
    """Raises OSError, KeyUnusable."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        raise KeyUnusable(f"{path} is no private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"{path} is no Ed25519 key")
    return key


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """The 32 bytes that a board is given."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_id(public: bytes) -> str:
    """What the key is called in signed files and in trust.json."""
    return hashlib.sha256(public).digest()[:8].hex()


def sign(key: Ed25519PrivateKey, purpose: Purpose, text: str) -> bytes:
    """The signed text as a file. Raises ValueError if the text is longer than a device takes."""
    signature = key.sign(signed_bytes(purpose, text))
    return SignedText(text=text, key=key_id(public_bytes(key)), signature=signature.hex()).to_line()
