"""An operator's key for settings, as tests need it: what it signs, and the trust.json that knows it."""

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cloud.configuration.service import SettingsSigner
from firmware.workbench.signing import key_id, public_bytes, sign
from shared.signed import Purpose


class OperatorKey:
    """A new one each time."""

    def __init__(self) -> None:
        self._private = Ed25519PrivateKey.generate()

    @property
    def trust(self) -> bytes:
        """trust.json of a board that believes this key, for settings alone."""
        public = public_bytes(self._private)
        return json.dumps({"settings": {key_id(public): public.hex()}, "release": {}}).encode()

    @property
    def public_key(self) -> Ed25519PublicKey:
        """By which its signatures are checked."""
        return self._private.public_key()

    @property
    def signer(self) -> SettingsSigner:
        """The cloud's, with this key."""
        return SettingsSigner(self._private)

    def sign(self, values: dict[str, Any] | str, purpose: Purpose = Purpose.SETTINGS) -> bytes:
        """The signed file of these settings."""
        text = values if isinstance(values, str) else json.dumps(values, indent=1)
        return sign(self._private, purpose, text)


OPERATOR = OperatorKey()
"""The one of this test run's cloud."""
