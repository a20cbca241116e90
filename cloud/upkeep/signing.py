"""The key by which devices know that settings come from their operator (shared/signed.py)."""

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from cloud.errors import SettingsError
from shared.signed import Purpose, SignedText, signed_bytes


class SettingsSigner:
    """Signs settings with one Ed25519 key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._key_id = hashlib.sha256(public).digest()[:8].hex()

    def sign(self, text: str) -> SignedText:
        """Always the same for the same text."""
        signature = self._key.sign(signed_bytes(Purpose.SETTINGS, text))
        return SignedText(text=text, key=self._key_id, signature=signature.hex())


def read_signer(path: Path) -> SettingsSigner:
    """The signer with the private key in this PEM file. Raises SettingsError."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SettingsError(f"LARDER_CLOUD_SETTINGS_KEY_FILE: {path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError):
        raise SettingsError(f"LARDER_CLOUD_SETTINGS_KEY_FILE: {path} holds no private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"LARDER_CLOUD_SETTINGS_KEY_FILE: {path} holds no Ed25519 key")
    return SettingsSigner(key)
