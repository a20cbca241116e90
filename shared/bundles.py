"""A site in a file: all that a gateway needs to sell where no cloud can be reached, carried there on a USB stick.

As a file: `MAGIC`, 16 bytes of salt, 12 of nonce, then ChaCha20-Poly1305 (RFC 8439) over the zlib-packed `SignedBundle`
as JSON, under the scrypt (RFC 7914) of a passphrase of 100 random bits; what stands before is authenticated with it.
So nobody who finds the stick can read it, and it is refused with any byte changed. Inside, the cloud's Ed25519 key
vouches for the text (signed.py, purpose `bundle`): a gateway that was told that key believes no other.
"""

import base64
import hashlib
import secrets
import zlib
from typing import Annotated, Final, Literal
from uuid import UUID

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from pydantic import Field, JsonValue, StringConstraints, ValidationError

from shared.contract import Currency, Digest, Instant, Message, Name
from shared.onboarding import Certificate, ClaimCode
from shared.signed import BUNDLE, Signature, signed_bytes

MAGIC: Final = b"LARDER SITE BUNDLE 1\n"
FILE_ENDING: Final = ".larder-site"
MAX_FILE_BYTES: Final = 16 * 1024 * 1024
MAX_TEXT_BYTES: Final = 64 * 1024 * 1024
"""Of what is in it, once unpacked."""

_LETTERS = "0123456789" + "ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: nobody can take one for another, and O, I and L are understood as what they look like."""
_GROUPS, _GROUP = 5, 4
_LOOKALIKES = str.maketrans("OIL", "011", " -\t\r\n")
_SALT, _NONCE = 16, 12
_SCRYPT_N, _SCRYPT_R, _SCRYPT_MEMORY = 2**15, 8, 64 * 1024 * 1024


class BundleRefused(Exception):
    """This file cannot be used; says why, in words for whoever holds the stick."""


class BundlePlace(Message):
    """The gateway's place in the world, as the claim will say it again (onboarding.py)."""

    gateway_id: UUID
    tenant_id: UUID
    site_id: UUID
    site_name: Name
    currency: Currency


class SiteBundle(Message):
    """A finished setup as its gateway needs it.

    `claim_code` lets this gateway in, once, until it ends or a newer sheet is made. `changes` are the site's full state
    (sync.py), each still to be judged, so that one of a newer version blocks no other. The CA was made for this bundle.
    """

    v: Literal[1] = 1
    bundle_id: UUID
    made_at: Instant
    cloud_url: Annotated[str, StringConstraints(max_length=500)]
    place: BundlePlace
    claim_code: ClaimCode
    claim_expires_at: Instant
    ca_key_pem: Annotated[str, StringConstraints(max_length=4096)]
    """PKCS #8. The cloud keeps the certificate alone."""
    ca_pem: Certificate
    changes: Annotated[tuple[dict[str, JsonValue], ...], Field(max_length=100_000)]


class SignedBundle(Message):
    """The JSON of a `SiteBundle`, and who vouches for it."""

    text: Annotated[str, StringConstraints(max_length=MAX_TEXT_BYTES)]
    public_key: Digest
    signature: Signature


def new_passphrase() -> str:
    """100 random bits as five groups of four letters and digits."""
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def sealed(signed: SignedBundle, passphrase: str) -> bytes:
    """The file. Takes 0.1 s and 32 MB."""
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    head = MAGIC + salt + nonce
    return head + ChaCha20Poly1305(_key(passphrase, salt)).encrypt(nonce, zlib.compress(signed.to_line(), 9), head)


def opened(file: bytes, passphrase: str) -> SignedBundle:
    """What is in the file. Raises BundleRefused for another passphrase, or when any byte is not as it was written."""
    head = file[: len(MAGIC) + _SALT + _NONCE]
    if not head.startswith(MAGIC) or len(file) > MAX_FILE_BYTES:
        raise BundleRefused("it is no site bundle of Larder, or of another version")
    salt, nonce = head[len(MAGIC) : -_NONCE], head[-_NONCE:]
    try:
        packed = ChaCha20Poly1305(_key(passphrase, salt)).decrypt(nonce, file[len(head) :], head)
        unpacking = zlib.decompressobj()
        line = unpacking.decompress(packed, MAX_TEXT_BYTES)
        if not unpacking.eof:
            raise BundleRefused("it is too large")
        return SignedBundle.model_validate_json(line)
    except InvalidTag:
        raise BundleRefused("the passphrase is another one, or the file was altered or damaged") from None
    except (ValidationError, zlib.error, ValueError):
        raise BundleRefused("what is in it is not what this version understands") from None


def read(signed: SignedBundle) -> SiteBundle:
    """The bundle, when the key that it names has signed it. Whether that key may be believed is the reader's to judge.

    Raises BundleRefused.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed.public_key))
        key.verify(bytes.fromhex(signed.signature), signed_bytes(BUNDLE, signed.text))
        return SiteBundle.model_validate_json(signed.text)
    except InvalidSignature:
        raise BundleRefused("its signature is wrong") from None
    except ValidationError:
        raise BundleRefused("what is in it is not what this version understands") from None


def as_text(file: bytes) -> str:
    """The file as it stands in JSON."""
    return base64.b64encode(file).decode()


def _key(passphrase: str, salt: bytes) -> bytes:
    letters = passphrase.upper().translate(_LOOKALIKES)
    return hashlib.scrypt(letters.encode(), salt=salt, n=_SCRYPT_N, r=_SCRYPT_R, p=1, maxmem=_SCRYPT_MEMORY, dklen=32)
