"""Reading a batch and deciding where it goes on. Pure."""

import re
import zlib
from dataclasses import dataclass
from enum import Enum

from pydantic import ValidationError

from cloud.scrubbing import json_without_cards, scrubbed_text
from shared.sync import CHAIN_START, FACT, MAX_BATCH_BYTES, BatchHeader, Fact, link

UNREADABLE = "unreadable"
_EVENT = re.compile(rb'"event":"([a-z_]{1,60})"')


class BatchMalformed(Exception):
    """The body is no batch. The text says why."""


class BatchTooLarge(Exception):
    """The body holds more than a batch may."""


@dataclass(frozen=True)
class Batch:
    """A batch as it came: `hashes[i]` is the chain at `lines[i]`, whose seq is header.first_seq + i."""

    header: BatchHeader
    lines: tuple[bytes, ...]
    hashes: tuple[bytes, ...]


@dataclass(frozen=True)
class Mark:
    """Up to where a gateway's facts have taken effect."""

    epoch: int
    seq: int
    chain: bytes


class Verdict(Enum):
    """What to do with a batch."""

    TAKE = "take"
    """It may bring something new."""
    GAP = "gap"
    """Facts before it are missing."""
    OLD_EPOCH = "old_epoch"
    """It can only be a repeat."""
    BROKEN = "broken"
    """It goes on from another history."""


def gunzip(body: bytes) -> bytes:
    """The one gzip member in `body`; stops after MAX_BATCH_BYTES. Raises BatchMalformed, BatchTooLarge."""
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        text = inflater.decompress(body, MAX_BATCH_BYTES + 1)
    except zlib.error as error:
        raise BatchMalformed("not gzip") from error
    if len(text) > MAX_BATCH_BYTES:
        raise BatchTooLarge
    if not inflater.eof or inflater.unused_data:
        raise BatchMalformed("cut off, or more than one gzip member")
    return text


def read_batch(text: bytes) -> Batch:
    """Header and lines, with the hash chain over them. Raises BatchMalformed."""
    first, *lines = text.removesuffix(b"\n").split(b"\n")
    try:
        header = BatchHeader.model_validate_json(first)
    except ValidationError as error:
        raise BatchMalformed("the first line is no batch header") from error
    if len(lines) != header.count:
        raise BatchMalformed(f"{header.count} facts were announced, {len(lines)} came")
    hashes = []
    chain = bytes.fromhex(header.previous)
    for line in lines:
        chain = link(chain, line)
        hashes.append(chain)
    return Batch(header, tuple(lines), tuple(hashes))


def told_event(line: bytes) -> str:
    """The event that a line tells, without reading the line: as it is kept beside it."""
    found = _EVENT.search(line)
    return UNREADABLE if found is None else found[1].decode()


def read_fact(line: bytes, seq: int) -> Fact | str:
    """The fact of a line, or why it cannot be read (a newer gateway may know more events than we do).

    A payment card's number has no business in a fact. One that is told all the same goes no further than the line: that
    is kept byte for byte, since a gateway whose facts were refused would soon have to stop selling.
    Raises BatchMalformed when the line names another seq than its place.
    """
    try:
        fact = FACT.validate_json(json_without_cards(line))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return storable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    if fact.seq != seq:
        raise BatchMalformed(f"seq {fact.seq} stands where {seq} belongs")
    return fact


def storable(reason: str) -> str:
    """A reason as Postgres can keep it: no NUL, no lone surrogate, at most 500 characters. It may quote a fact."""
    return scrubbed_text(reason).replace("\0", "\ufffd").encode(errors="replace").decode()[:500]


def judge(mark: Mark, header: BatchHeader) -> Verdict:
    """Whether a batch can be taken at this mark. The overlap with facts already taken is judged by their hashes."""
    previous = bytes.fromhex(header.previous)
    if header.epoch < mark.epoch:
        return Verdict.OLD_EPOCH
    if header.epoch > mark.epoch:
        return Verdict.TAKE if header.first_seq == 1 and previous == CHAIN_START else Verdict.GAP
    if header.first_seq > mark.seq + 1:
        return Verdict.GAP
    if header.first_seq == mark.seq + 1 and previous != mark.chain:
        return Verdict.BROKEN
    return Verdict.TAKE


def already_taken(mark: Mark, header: BatchHeader) -> int:
    """How many of the batch's first facts lie at or below the mark."""
    if header.epoch > mark.epoch:
        return 0
    return header.count if header.epoch < mark.epoch else min(header.count, mark.seq - header.first_seq + 1)
