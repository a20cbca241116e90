"""What an upload says of itself, and what its bytes say. Pure."""

import base64
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp")
HEAD_BYTES = 12
"""So many of the first bytes say what it is."""
UPLOADS_AT_ONCE = 16
"""In a process. Each may take minutes, a place among all requests, and 10 MB of memory."""
UPLOADS_OF_TENANT = 4
_SHA256 = re.compile(r"(?:^|,)\s*sha-256\s*=\s*([^,;\s]*)")
_BYTE_SEQUENCE = re.compile(r":([A-Za-z0-9+/]{43}=):")


def media_type_of(head: bytes) -> str | None:
    """Of which type a picture is that begins with these HEAD_BYTES; None: of none that is taken."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return None


def announced_digest(header: str) -> str | None:
    """The SHA-256, in hex, of a Content-Digest (RFC 9530); None when it has only others.

    Raises ValueError when it is none.
    """
    found = _SHA256.search(header)
    if found is None:
        return None
    value = _BYTE_SEQUENCE.fullmatch(found[1])
    if value is None:
        raise ValueError("names no SHA-256: sha-256=:BASE64:")
    return base64.b64decode(value[1]).hex()


class Places:
    """Who is uploading at the moment, so that slow senders leave room for everybody else."""

    def __init__(self) -> None:
        self._of: Counter[UUID] = Counter()

    @contextmanager
    def one(self, tenant_id: UUID) -> Iterator[bool]:
        """A place for as long as the context lasts; False if there is none."""
        if self._of.total() >= UPLOADS_AT_ONCE or self._of[tenant_id] >= UPLOADS_OF_TENANT:
            yield False
            return
        self._of[tenant_id] += 1
        try:
            yield True
        finally:
            self._of[tenant_id] -= 1
            if not self._of[tenant_id]:
                del self._of[tenant_id]
