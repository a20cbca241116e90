"""Keys that encrypt nothing but what tests make up."""

import base64
import hashlib
from collections.abc import Sequence

from cloud.encryption.keyring import Keyring, NamedKey


def secret(name: str) -> bytes:
    """Always the same for a name."""
    return hashlib.sha256(f"tests only: {name}".encode()).digest()


def written(name: str) -> str:
    """As the settings take it."""
    return base64.urlsafe_b64encode(secret(name)).decode()


def keyring(*names: str, indexes: Sequence[str] = ("blind index",)) -> Keyring:
    """With keys of these names, the newest first, and such for blind indexes."""
    named = [NamedKey(name, secret(name)) for name in names or ("test",)]
    return Keyring(named, [NamedKey(name.replace(" ", "-"), secret(name)) for name in indexes])


def settings(*names: str, indexes: Sequence[str] = ("blind index",)) -> dict[str, str]:
    """The same by the environment."""
    return {
        "LARDER_CLOUD_ENCRYPTION_KEYS": ",".join(f"{name}:{written(name)}" for name in names or ("test",)),
        "LARDER_CLOUD_BLIND_INDEX_KEY": ",".join(f"{name.replace(' ', '-')}:{written(name)}" for name in indexes),
    }
