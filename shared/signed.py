"""A text that somebody far away vouches for: settings and releases of a device, whichever way they come to it.

The text is signed as it stands, so that nobody has to agree on how JSON is written. Ed25519 (RFC 8032) over
`signed_bytes`. A device trusts one set of keys for settings and another for releases (trust.json, put on it by cable).
"""

import base64
import zlib
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import StringConstraints

from shared.contract import Message


class Purpose(StrEnum):
    """What the text is; signed with it, so that no key for the one can vouch for the other."""

    SETTINGS = "settings"
    RELEASE = "release"


REPORT: Final = "report"
"""What the cloud signs for people: no device knows it, so none can be given it for something else."""

BUNDLE: Final = "bundle"
"""What the cloud signs for gateways that start without it (bundles.py); no device knows it either."""

KeyId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
"""The first 8 bytes of the SHA-256 of the public key's 32 bytes."""

Signature = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]


class SignedText(Message):
    """As a file: this object as JSON. The SHA-256 of that file is what it is known by on the device link."""

    text: Annotated[str, StringConstraints(min_length=2, max_length=24_000)]
    key: KeyId
    signature: Signature


SETUP_PAGE = "http://192.168.4.1/"
"""Where a board without settings shows its page; MicroPython's own address on its own network."""


def setup_address(file: bytes, page: str = SETUP_PAGE) -> str:
    """The address of that page with a signed file behind #, which no browser sends anywhere."""
    return page + "#" + base64.urlsafe_b64encode(zlib.compress(file, 9)).decode().rstrip("=")


def signed_bytes(purpose: Purpose | Literal["report", "bundle"], text: str) -> bytes:
    """What is signed: "larder-" and the purpose, a line break, the text in UTF-8."""
    return f"larder-{purpose}\n{text}".encode()
