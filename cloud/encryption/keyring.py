"""The keys by which single values are encrypted and found again.

A value is kept as `NAME.TOKEN`: the name of its key and a Fernet token (AES-128-CBC with HMAC-SHA-256). Inside stands
first of all where it belongs, so that one that was moved to another row, column or table is refused.
"""

import base64
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cloud.errors import Undecipherable

KEY_BYTES = 32
_NAME = re.compile(r"[a-z0-9-]{1,16}")
_FEWEST_BYTES = 16
"""Of 32 random bytes fewer than so many different ones come once in 10¹⁷ times."""


class KeyRefused(Exception):
    """A key is none, or a weak one. The text says why, and never quotes it."""


@dataclass(frozen=True)
class NamedKey:
    """256 random bits, and what values encrypted with them call them."""

    name: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class Place:
    """Where a value stands: no other place takes it."""

    table: str
    column: str
    row: str
    """The ids of its primary key, with a slash between them."""

    def prefix(self) -> str:
        """What the value begins with inside."""
        return f"{self.table}.{self.column}/{self.row}\0"


def read_secret(text: str) -> bytes:
    """The 32 bytes behind 44 characters of URL-safe base64. Raises KeyRefused."""
    try:
        secret = base64.b64decode(text, altchars=b"-_", validate=True)
    except ValueError:
        raise KeyRefused("is not written in URL-safe base64") from None
    if len(secret) != KEY_BYTES:
        raise KeyRefused(f"must be {KEY_BYTES} bytes in URL-safe base64, which is 44 characters")
    if len(set(secret)) < _FEWEST_BYTES or all(32 <= byte < 127 for byte in secret):
        raise KeyRefused("is weak: take random bytes, for example those of python -m cloud keys new")
    return secret


def read_keys(text: str) -> tuple[NamedKey, ...]:
    """The keys in `NAME:SECRET,NAME:SECRET`, newest first. Raises KeyRefused."""
    keys = [_read_key(part.strip()) for part in text.split(",")]
    if len({key.name for key in keys}) < len(keys):
        raise KeyRefused("names a key twice")
    if len({key.secret for key in keys}) < len(keys):
        raise KeyRefused("has the same key under two names")
    return tuple(keys)


def read_index_keys(text: str) -> tuple[NamedKey, ...]:
    """As `read_keys`; one `SECRET` alone has the name `first`. Raises KeyRefused."""
    return read_keys(text if ":" in text else f"first:{text}")


def _read_key(part: str) -> NamedKey:
    name, colon, secret = part.partition(":")
    if not colon or not _NAME.fullmatch(name):
        raise KeyRefused("must be NAME:SECRET,… with names of a-z, 0-9 and - (16 at most)")
    try:
        return NamedKey(name, read_secret(secret))
    except KeyRefused as error:
        raise KeyRefused(f"of the key {name} {error}") from None


class Keyring:
    """Encrypts with the newest key, decrypts with each it has; likewise for the keys of blind indexes."""

    def __init__(self, keys: Sequence[NamedKey], index_keys: Sequence[NamedKey]) -> None:
        self._fernets = {key.name: Fernet(base64.urlsafe_b64encode(key.secret)) for key in keys}
        self._index_secrets = {key.name: key.secret for key in index_keys}
        self.newest = keys[0].name
        self.names = frozenset(self._fernets)
        self.newest_index = index_keys[0].name
        self.index_names = frozenset(self._index_secrets)

    def seal(self, place: Place, text: str) -> str:
        """What is kept at `place` for `text`."""
        token = self._fernets[self.newest].encrypt((place.prefix() + text).encode())
        return f"{self.newest}.{token.decode()}"

    def open(self, place: Place, kept: str) -> str:
        """The text that is kept at `place`. Raises Undecipherable."""
        name, _, token = kept.partition(".")
        where = f"{place.table}.{place.column} of {place.row}"
        if not token or not _NAME.fullmatch(name):  # nor is it quoted: it may be the very text
            raise Undecipherable(f"{where} is not encrypted")
        if name not in self._fernets:
            raise Undecipherable(f"{where} needs the key {name}, which LARDER_CLOUD_ENCRYPTION_KEYS lacks")
        try:
            text = self._fernets[name].decrypt(token).decode()
        except InvalidToken:
            raise Undecipherable(f"{where} was damaged, or encrypted with another key than this {name}") from None
        if not text.startswith(place.prefix()):
            raise Undecipherable(f"{where} belongs somewhere else")
        return text.removeprefix(place.prefix())

    def blind_index(self, purpose: str, normalised: str) -> bytes:
        """By which rows with this text are found where the text itself is encrypted: 32 bytes, equal for equal texts.

        `purpose` names column and tenant (`customers.phone/TENANT`): with another one nothing can be compared.
        """
        return self.blind_indexes(purpose, normalised)[self.newest_index]

    def blind_indexes(self, purpose: str, normalised: str) -> dict[str, bytes]:
        """That of each key there is by the key's name, the newest first: rows may still have an older one's."""
        return {
            name: hmac.digest(_derived(secret, purpose), normalised.encode(), "sha256")
            for name, secret in self._index_secrets.items()
        }


@lru_cache(maxsize=256)
def _derived(secret: bytes, purpose: str) -> bytes:
    """A key for this purpose alone; the last ones are remembered, for whoever indexes many values at once."""
    key = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"larder blind index {purpose}".encode())
    return key.derive(secret)
