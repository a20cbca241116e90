"""Facts and telemetry on their way up. A fact leaves the outbox only when the cloud says that it has it.

The cloud's copy and the ledger can come to tell different histories: a ledger file, or the cloud's database, was put
back by hand to an earlier state. Facts the cloud has are then freed as ever, and the rest goes on in a new epoch.
"""

from collections.abc import Awaitable, Callable
from enum import Enum, auto
from functools import reduce

import structlog

from edge.database import Database, Transaction
from edge.failpoints import Failpoints
from edge.outbox import ChainMismatch, Outbox, Pending, Position, TelemetryBuffer
from edge.sync.cloud_client import CloudAway, CloudClient, CloudRefused
from shared.errors import Code
from shared.sync import MAX_BATCH_BYTES, MAX_BATCH_FACTS, Ack, link

HEADER_ROOM = 512
MAX_SAMPLES = 500
OTHER_HISTORY = frozenset({Code.FACT_CONFLICT, Code.EPOCH_SUPERSEDED, Code.CHAIN_BROKEN})

BeginEpoch = Callable[[int], Awaitable[None]]
"""Makes the ledger write under an epoch of at least this, and moves the waiting facts into it."""

log = structlog.get_logger()


class _Outcome(Enum):
    FREED = auto()
    NO_PROGRESS = auto()
    PARTED = auto()


class Push:
    """Sends one batch at a time of either lane."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        telemetry: TelemetryBuffer,
        client: CloudClient,
        failpoints: Failpoints,
        begin_epoch: BeginEpoch,
        batch_facts: int = MAX_BATCH_FACTS,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._telemetry = telemetry
        self._client = client
        self._failpoints = failpoints
        self._begin_epoch = begin_epoch
        self._batch_facts = batch_facts
        self._limit = batch_facts

    async def position(self) -> Position:
        """Where writing and acknowledging stand."""
        return await self._database.read(self._outbox.position)

    async def facts(self) -> bool:
        """Send the oldest waiting facts and free what the cloud has; False when none was waiting.

        Raises CloudAway (also when the cloud acknowledges nothing), CloudRefused, StorageFull.
        """
        pending = await self._database.read(self._pending)
        if pending is None:
            return False
        self._failpoints.hit("sync.push.before_send")
        try:
            ack = await self._client.push_facts(_encode(pending))
        except CloudRefused as error:
            if error.code not in OTHER_HISTORY:
                raise
            await self._look_closer(pending, str(error))
            return True
        self._failpoints.hit("sync.push.after_send")
        outcome = await self._database.unit("sync.push", lambda tx: self._settle(tx, pending, ack))
        if outcome is _Outcome.NO_PROGRESS:
            raise CloudAway(f"the cloud stays at ({ack.epoch}, {ack.seq})", silent=True)
        if outcome is _Outcome.PARTED:
            await self._part(ack.epoch, f"the cloud is at ({ack.epoch}, {ack.seq})")
        return True

    async def samples(self) -> bool:
        """Send the oldest telemetry; False when there was none. Raises CloudAway, CloudRefused, StorageFull."""
        mark, lines = await self._database.read(lambda tx: self._telemetry.oldest(tx, MAX_SAMPLES))
        if not lines:
            return False
        try:
            await self._client.push_telemetry(b'{"v":1,"samples":[' + b",".join(lines) + b"]}")
        except CloudRefused as error:
            if error.code is not Code.VALIDATION_FAILED:
                raise
            log.error("telemetry_refused", samples=len(lines), detail=error.detail)
        await self._database.unit("sync.telemetry", lambda tx: self._telemetry.forget(tx, mark))
        return True

    def _pending(self, tx: Transaction) -> Pending | None:
        return self._outbox.pending(tx, self._limit, MAX_BATCH_BYTES - HEADER_ROOM)

    def _settle(self, tx: Transaction, pending: Pending, ack: Ack) -> _Outcome:
        ours = self._outbox.position(tx)
        if (ack.epoch, ack.seq) > (ours.epoch, ours.seq):
            # The cloud has compared these very facts with its own before it said so. The rest has yet to be compared.
            self._outbox.free(tx, _end(pending))
            return _Outcome.FREED if self._outbox.position(tx).waiting else _Outcome.PARTED
        if ack.epoch == ours.acked_epoch and ack.seq < ours.acked_seq:
            return _Outcome.PARTED
        try:
            freed = self._outbox.free(tx, ack)
        except ChainMismatch:
            return _Outcome.PARTED
        return _Outcome.FREED if freed else _Outcome.NO_PROGRESS

    async def _look_closer(self, pending: Pending, reason: str) -> None:
        """A fact of the batch differs from the cloud's: send fewer, until the first one that differs stands alone."""
        if pending.header.count > 1:
            self._limit = pending.header.count // 2
        else:
            await self._part(pending.header.epoch, reason)

    async def _part(self, cloud_epoch: int, reason: str) -> None:
        epoch = max((await self.position()).epoch, cloud_epoch) + 1
        log.error("histories_parted", epoch=epoch, reason=reason)
        await self._begin_epoch(epoch)
        self._limit = self._batch_facts


def _encode(pending: Pending) -> bytes:
    return b"\n".join((pending.header.to_line(), *pending.lines)) + b"\n"


def _end(pending: Pending) -> Ack:
    """What the cloud would say once it has this batch and no more."""
    header = pending.header
    chain = reduce(link, pending.lines, bytes.fromhex(header.previous))
    return Ack(epoch=header.epoch, seq=header.first_seq + header.count - 1, chain=chain.hex())
