"""An original as it is archived: packed, and encrypted with a key of its own, which stands encrypted in its row.

So whoever changes the keys of columns changes nothing here, and without the row nobody reads it. Each piece stands in
a frame with its number and whether it is the last: none can be left out, moved or cut off.
"""

import os
import zlib
from collections.abc import AsyncIterator, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cloud.errors import Undecipherable

KEY_BYTES = 32
_LENGTH_BYTES = 4
_MOST_BYTES = 64 * 1024 * 1024


def new_key() -> bytes:
    """For one file."""
    return os.urandom(KEY_BYTES)


def packed(key: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The frames of a file."""
    cipher, number = AESGCM(key), 0
    for number, piece in enumerate(pieces, 1):
        yield _frame(cipher, number, piece, last=False)
    yield _frame(cipher, number + 1, b"", last=True)


def _frame(cipher: AESGCM, number: int, piece: bytes, *, last: bool) -> bytes:
    sealed = cipher.encrypt(_nonce(number), zlib.compress(piece, level=1), _about(last=last))
    return len(sealed).to_bytes(_LENGTH_BYTES) + sealed


async def unpacked(key: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces of a file. Raises Undecipherable, also in the middle."""
    cipher, held, number, ended = AESGCM(key), b"", 0, False
    async for chunk in chunks:
        held += chunk
        while not ended and (frame := _whole_frame(held)) is not None:
            held, number = held[_LENGTH_BYTES + len(frame) :], number + 1
            piece, ended = _opened(cipher, number, frame)
            yield piece
    if held or not ended:
        raise Undecipherable("an archived file was cut off, or something was added to it")


def _whole_frame(held: bytes) -> bytes | None:
    length = int.from_bytes(held[:_LENGTH_BYTES])
    if length > _MOST_BYTES:
        raise Undecipherable("an archived file was damaged")
    whole = len(held) >= _LENGTH_BYTES and len(held) >= _LENGTH_BYTES + length
    return held[_LENGTH_BYTES : _LENGTH_BYTES + length] if whole else None


def _opened(cipher: AESGCM, number: int, frame: bytes) -> tuple[bytes, bool]:
    for last in (False, True):
        try:
            return zlib.decompress(cipher.decrypt(_nonce(number), frame, _about(last=last))), last
        except InvalidTag:
            continue
    raise Undecipherable("an archived file was damaged, or is another one")


def _nonce(number: int) -> bytes:
    """Never twice with one key: each key is of one file, written once."""
    return number.to_bytes(12)


def _about(*, last: bool) -> bytes:
    return b"last" if last else b"more"
