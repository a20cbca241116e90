"""What makes a release good. Pure."""

import hashlib
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from shared.releases import FirmwareChanged, FirmwareGivenUp, Manifest, ReleaseBundle, ReleaseFile
from shared.signed import Purpose, SignedText, signed_bytes
from shared.sync import Fact


class ReleaseRefused(Exception):
    """It is not published; the text says what is wrong with it."""


@dataclass(frozen=True)
class Release:
    """A release whose signature and files are right."""

    digest: str
    document: bytes
    """The signed text as a file."""
    signed_by: str
    manifest: Manifest
    files: Sequence[bytes]


def keys_by_id(public_keys: Iterable[str]) -> dict[str, Ed25519PublicKey]:
    """Key id (shared/signed.py) → key, from 32 bytes in hex each."""
    raw = [bytes.fromhex(key) for key in public_keys]
    return {hashlib.sha256(key).digest()[:8].hex(): Ed25519PublicKey.from_public_bytes(key) for key in raw}


def read_release(bundle: ReleaseBundle, keys: Mapping[str, Ed25519PublicKey]) -> Release:
    """The release in a bundle, signed by one of `keys`. Raises ReleaseRefused."""
    _verify(bundle.signed, keys)
    try:
        manifest = Manifest.model_validate_json(bundle.signed.text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ReleaseRefused(f"the signed text is no manifest: {where} {first['msg']}") from None
    if bundle.files.keys() != {file.name for file in manifest.files}:
        raise ReleaseRefused("the files are not those that the signed text lists")
    files = [_content(file, bundle.files[file.name]) for file in manifest.files]
    document = bundle.signed.to_line()
    return Release(hashlib.sha256(document).hexdigest(), document, bundle.signed.key, manifest, files)


def _verify(signed: SignedText, keys: Mapping[str, Ed25519PublicKey]) -> None:
    if signed.key not in keys:
        raise ReleaseRefused(f"signed with {signed.key}, which is not a release key of this cloud")
    try:
        keys[signed.key].verify(bytes.fromhex(signed.signature), signed_bytes(Purpose.RELEASE, signed.text))
    except InvalidSignature:
        raise ReleaseRefused("the signature is wrong") from None


def _content(file: ReleaseFile, base64: str) -> bytes:
    try:
        content = b64decode(base64, validate=True)
    except ValueError:
        raise ReleaseRefused(f"{file.name} is not base64") from None
    if len(content) != file.size or hashlib.sha256(content).hexdigest() != file.sha256:
        raise ReleaseRefused(f"{file.name} is not the file that was signed")
    return content


def last_firmware(facts: Sequence[Fact]) -> dict[UUID, tuple[Fact, FirmwareChanged]]:
    """The last word on each device's firmware, and the fact it came in."""
    return {fact.body.device_id: (fact, fact.body) for fact in facts if isinstance(fact.body, FirmwareChanged)}


def given_up(facts: Sequence[Fact]) -> list[tuple[Fact, FirmwareGivenUp]]:
    """Assignments that gateways have given up."""
    return [(fact, fact.body) for fact in facts if isinstance(fact.body, FirmwareGivenUp)]
