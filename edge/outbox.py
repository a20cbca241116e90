"""The outbox: every fact of the gateway, in order, chained, and kept until the cloud has acknowledged it."""

import json
from dataclasses import dataclass

from edge.clock import Clock, Moment
from edge.database import Transaction
from shared.contract import Message
from shared.sync import CHAIN_START, FACT, Ack, BatchHeader, Fact, FactBody, link

OUTBOX_KEY = "outbox"
"""Touched whenever a fact is added (watch.py)."""


class ChainMismatch(Exception):
    """The cloud acknowledged facts that are not the ones we wrote: histories have parted."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The next batch to send: a header, and the fact lines exactly as they were hashed."""

    header: BatchHeader
    lines: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """How far facts are written and acknowledged."""

    epoch: int
    seq: int
    chain: bytes
    acked_epoch: int
    acked_seq: int
    acked_chain: bytes
    waiting: int


@dataclass(frozen=True, slots=True)
class Recalling:
    """What a restored ledger has yet to hear again: its facts above (epoch, seq), of epochs below `before_epoch`."""

    epoch: int
    seq: int
    before_epoch: int


class Outbox:
    """Writes facts inside their feature's transaction; the sync agent reads and frees them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def append(self, tx: Transaction, *bodies: FactBody) -> None:
        """Add facts, in this order, to the transaction under way. They are numbered and written at its end."""
        tx.gather(self._write, bodies)
        tx.touch(OUTBOX_KEY)

    def begin_epoch(self, tx: Transaction, epoch: int) -> bool:
        """Start a new epoch if `epoch` is above the ledger's; whether it did.

        From then on the ledger is `recalling`: the cloud may have been told more than it remembers to have told.
        """
        head = self.position(tx)
        if epoch <= head.epoch:
            return False
        tx.run("UPDATE outbox_head SET epoch = ?, seq = 0, chain = ?", epoch, CHAIN_START)
        recall = "INSERT INTO recall VALUES (1, ?, ?, ?) ON CONFLICT DO UPDATE SET before_epoch = excluded.before_epoch"
        tx.run(recall, head.acked_epoch, head.acked_seq, epoch)
        return True

    def recalling(self, tx: Transaction) -> Recalling | None:
        """What is still to be recalled; None once that is over."""
        row = tx.one("SELECT epoch, seq, before_epoch FROM recall")
        return None if row is None else Recalling(*row)

    def recalled(self, tx: Transaction, epoch: int, seq: int) -> None:
        """The facts up to (epoch, seq) are recalled."""
        tx.run("UPDATE recall SET epoch = ?, seq = ?", epoch, seq)

    def end_recall(self, tx: Transaction) -> None:
        """Nothing is left to recall."""
        tx.run("DELETE FROM recall")

    def waits_below(self, tx: Transaction, epoch: int) -> bool:
        """Whether facts of an earlier epoch are still to be sent."""
        return tx.one("SELECT 1 FROM outbox WHERE epoch < ? LIMIT 1", epoch) is not None

    def written(self, tx: Transaction, epoch: int, events: frozenset[str]) -> list[FactBody]:
        """The waiting facts of an epoch that are one of these events, in order."""
        marks = ", ".join("?" * len(events))
        event = "json_extract(CAST(line AS TEXT), '$.body.event')"
        sql = f"SELECT line FROM outbox WHERE epoch = ? AND {event} IN ({marks}) ORDER BY seq"  # noqa: S608 - constants
        return [FACT.validate_json(row["line"]).body for row in tx.all(sql, epoch, *sorted(events))]

    def move_waiting(self, tx: Transaction) -> int:
        """Give all waiting facts new numbers in the epoch just begun, in order; how many they are.

        For when the cloud holds other facts under their old numbers. What happened, and when, stays as it was.
        """
        head = self.position(tx)
        if head.seq:
            raise AssertionError("facts can move only into an epoch that has none yet")
        chain, rows = CHAIN_START, []
        for seq, (old,) in enumerate(tx.all("SELECT line FROM outbox ORDER BY epoch, seq"), start=1):
            line = json.dumps({**json.loads(old), "seq": seq}, separators=(",", ":"), ensure_ascii=False).encode()
            chain = link(chain, line)
            rows.append((head.epoch, seq, line, chain))
        tx.run("DELETE FROM outbox")
        tx.run_many("INSERT INTO outbox (epoch, seq, line, chain) VALUES (?, ?, ?, ?)", rows)
        tx.run("UPDATE outbox_head SET seq = ?, chain = ?", len(rows), chain)
        return len(rows)

    def pending(self, tx: Transaction, limit: int, max_bytes: int) -> Pending | None:
        """The oldest unacknowledged facts of one epoch, at least one and within both bounds, or None."""
        sql = "SELECT epoch, seq, line FROM outbox ORDER BY epoch, seq LIMIT ?"
        lines: list[bytes] = []
        first: tuple[int, int] | None = None
        size = 0
        for epoch, seq, line in tx.all(sql, limit):
            first = first or (epoch, seq)
            size += len(line) + 1
            if epoch != first[0] or (lines and size > max_bytes):
                break
            lines.append(line)
        if first is None:
            return None
        previous = self._chain_before(tx, *first)
        header = BatchHeader(epoch=first[0], first_seq=first[1], count=len(lines), previous=previous.hex())
        return Pending(header, tuple(lines))

    def free(self, tx: Transaction, ack: Ack) -> int:
        """Forget what the cloud has; how many facts that were. An old acknowledgement frees nothing.

        Raises ChainMismatch when the cloud holds other facts under these numbers: then nothing is freed.
        """
        ours = tx.one("SELECT chain FROM outbox WHERE epoch = ? AND seq = ?", ack.epoch, ack.seq)
        if ours is not None and ours["chain"].hex() != ack.chain:
            raise ChainMismatch(f"the cloud's chain differs from ours at ({ack.epoch}, {ack.seq})")
        acked = "UPDATE outbox_head SET acked_epoch = ?1, acked_seq = ?2, acked_chain = ?3 "
        tx.run(acked + "WHERE (acked_epoch, acked_seq) < (?1, ?2)", ack.epoch, ack.seq, bytes.fromhex(ack.chain))
        return tx.run("DELETE FROM outbox WHERE (epoch, seq) <= (?, ?)", ack.epoch, ack.seq)

    def position(self, tx: Transaction) -> Position:
        """Where writing and acknowledging stand."""
        head = tx.one("SELECT *, (SELECT count(*) FROM outbox) AS waiting FROM outbox_head")
        assert head is not None  # noqa: S101 - the migration inserts the only row
        names = ("epoch", "seq", "chain", "acked_epoch", "acked_seq", "acked_chain", "waiting")
        return Position(*(head[name] for name in names))

    def _chain_before(self, tx: Transaction, epoch: int, seq: int) -> bytes:
        head = self.position(tx)
        if seq == 1:
            return CHAIN_START
        if (head.acked_epoch, head.acked_seq) != (epoch, seq - 1):
            raise AssertionError(f"fact ({epoch}, {seq - 1}) is neither in the outbox nor acknowledged")
        return head.acked_chain

    def _write(self, tx: Transaction, bodies: list[FactBody]) -> None:
        """What one transaction tells has happened at one moment: that of its commit."""
        head = tx.one("SELECT epoch, seq, chain FROM outbox_head")
        assert head is not None  # noqa: S101 - the migration inserts the only row
        clock, chain, rows = self._clock, head["chain"], []
        at, mono_ms, quality = clock.now(), int(clock.monotonic() * 1000), clock.quality
        for seq, body in enumerate(bodies, start=head["seq"] + 1):
            fact = Fact(seq=seq, at=at, mono_ms=mono_ms, boot_id=clock.boot_id, clock=quality, body=body)
            line = fact.to_line()
            chain = link(chain, line)
            rows.append((head["epoch"], seq, line, chain))
        tx.run_many("INSERT INTO outbox (epoch, seq, line, chain) VALUES (?, ?, ?, ?)", rows)
        tx.run("UPDATE outbox_head SET seq = seq + ?, chain = ?", len(rows), chain)


class TelemetryBuffer:
    """The other lane: the newest sample of each subject and minute, bounded; the oldest give way."""

    MAX_SAMPLES = 20_000

    def keep(self, tx: Transaction, subject: str, at: Moment, sample: Message) -> None:
        """Remember `sample`, replacing an earlier one of the same subject in the same minute."""
        tx.run(
            "INSERT OR REPLACE INTO telemetry (minute, subject, line) VALUES (?, ?, ?)",
            at.ms // 60_000,
            f"{subject} {at.boot_id}",  # minutes begin anew with each boot
            sample.to_line(),
        )
        excess = (
            "DELETE FROM telemetry WHERE rowid IN (SELECT rowid FROM telemetry ORDER BY rowid DESC LIMIT -1 OFFSET ?)"
        )
        tx.run(excess, self.MAX_SAMPLES)

    def kept(self, tx: Transaction, subject: str, at: Moment) -> bytes | None:
        """The sample of this subject and minute, if there is one that was not sent yet."""
        sql = "SELECT line FROM telemetry WHERE minute = ? AND subject = ?"
        row = tx.one(sql, at.ms // 60_000, f"{subject} {at.boot_id}")
        return None if row is None else bytes(row["line"])

    def oldest(self, tx: Transaction, limit: int) -> tuple[int, tuple[bytes, ...]]:
        """Up to `limit` samples, oldest first, and the mark to `forget` them by."""
        rows = tx.all("SELECT rowid, line FROM telemetry ORDER BY rowid LIMIT ?", limit)
        return (rows[-1]["rowid"] if rows else 0), tuple(row["line"] for row in rows)

    def forget(self, tx: Transaction, mark: int) -> None:
        """Drop the samples up to a mark."""
        tx.run("DELETE FROM telemetry WHERE rowid <= ?", mark)
