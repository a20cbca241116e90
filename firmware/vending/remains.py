"""What is left of a journal on the flash: read once a boot, so that only then is this in RAM. journal.py says how it is
written.
"""

from collections import namedtuple

from .journal import decode_line

File = namedtuple("File", ("generation", "journal_id", "records", "size", "torn"))
"""A file that counts: its whole records and their size; `torn` if more follows."""


def read(contents: list) -> "tuple[File | None, bool]":
    """Of the bytes of both files: the newer one that counts, and whether anything is damaged that mattered."""
    found = [decode(data) for data in contents]
    whole = [file for file in found if file is not None]
    if not whole:
        return None, False
    newest = max(whole, key=lambda file: file.generation)
    # The other file matters only if it does not count: it may have been the newer one.
    return newest, any(is_damaged(contents[at]) for at in range(2) if found[at] in (None, newest))


def decode(data: bytes) -> "File | None":
    """What a file's bytes hold; None if its head or first records are not whole."""
    lines = data.split(b"\n")
    head = decode_line(lines[0])
    if head is None or head[0] != "F" or len(head) != 4:
        return None
    records = []
    size = len(lines[0]) + 1
    for line in lines[1:]:
        record = decode_line(line)
        if record is None:
            break
        records.append(record)
        size += len(line) + 1
    if len(records) < head[2]:
        return None
    return File(head[1], head[3], tuple(records), size, size != len(data))


def is_damaged(data: bytes) -> bool:
    """Whether a line is not whole any more that once was.

    Either more than the line was written, so it was not cut short; or its end is not text, as erased flash is not.
    """
    *lines, rest = data.split(b"\n")
    if any(decode_line(line) is None for line in lines) or decode_line(rest[:-1]) is not None:
        return True
    return any(not 0x20 <= byte < 0x7F for byte in rest)
