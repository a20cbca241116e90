"""Answers that need not be sent again as long as the server says that they still hold."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from .calls import Call

MOST = 256
MOST_BYTES = 256 * 1024
"""Of one answer."""

Key = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Reply:
    """An answer, read whole. None as content: the one that the caller has still holds."""

    content: bytes | None
    etag: str | None


class KeptReplies:
    """The answers used last. Threads may share it."""

    def __init__(self) -> None:
        self._replies: OrderedDict[Key, Reply] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, call: Call) -> Reply | None:
        """The last answer to the same call."""
        with self._lock:
            return self._replies.get(_key(call)) if call.is_kept else None

    def keep(self, call: Call, reply: Reply) -> None:
        """If it has an ETag and is not large."""
        if not call.is_kept or reply.etag is None or len(reply.content or b"") > MOST_BYTES:
            return
        with self._lock:
            self._replies[_key(call)] = reply
            self._replies.move_to_end(_key(call))
            if len(self._replies) > MOST:
                self._replies.popitem(last=False)


def _key(call: Call) -> Key:
    return call.path, frozenset(call.parameters().items())
