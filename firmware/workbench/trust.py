"""trust.json of a board: whose settings and whose releases it takes (firmware/vending/signed.py)."""

import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from firmware.vending import signed
from firmware.workbench.signing import key_id
from shared.signed import Purpose, signed_bytes


def trust_file(settings_keys: list[bytes], release_keys: list[bytes]) -> bytes:
    """The file for boards that believe the owners of these public keys."""
    purposes = {Purpose.SETTINGS: settings_keys, Purpose.RELEASE: release_keys}
    trusted = {purpose: {key_id(public): public.hex() for public in keys} for purpose, keys in purposes.items()}
    return json.dumps(trusted, indent=1).encode() + b"\n"


def text_of(data: bytes, trust: bytes | None) -> str:
    """The settings in a signed file, as a board with this trust.json reads them. Raises signed.NotTrusted.

    Without a trust.json they may be unsigned, as on such a board.
    """
    if trust is None:
        return signed.parse(data).text if b'"signature"' in data else data.decode()
    document = signed.parse(data)
    known = json.loads(trust)[Purpose.SETTINGS]
    if document.key not in known:
        raise signed.NotTrusted(f"{document.key} has signed it, whom this trust.json does not know")
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(known[document.key]))
        public.verify(bytes.fromhex(document.signature), signed_bytes(Purpose.SETTINGS, document.text))
    except InvalidSignature:
        raise signed.NotTrusted("the signature is wrong") from None
    return str(document.text)
