"""Taking batches of facts: each takes effect once, in order, in one transaction with the acknowledged mark."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.auth.service import GatewayCaller, trusted
from cloud.callers import Actor
from cloud.clock import new_id
from cloud.database import Database, Transaction, columns
from cloud.errors import NotFound, Refused
from cloud.sync.projections import LAST_WORD, POISON, project, restate, subject
from cloud.sync.rules import Batch, Mark, Verdict, already_taken, judge, read_fact, storable, told_event
from cloud.sync.turns import Turns
from cloud.webhooks import queue as webhooks
from shared.errors import Code
from shared.sync import Ack, Fact

log = structlog.get_logger()

TRIES = 3
"""One with its whole batch, the others alone."""
READ_AT_ONCE = 100
"""Facts, before others have their turn: among them the line to Postgres, which takes a batch only piece by piece."""

_LOCK = """
    SELECT epoch, seq, chain, public_key, revoked_at,
           array(SELECT id FROM machines m WHERE m.tenant_id = g.tenant_id AND m.site_id = g.site_id) AS machines
    FROM gateways g WHERE id = $1 FOR UPDATE OF g
"""
_LOCK_AT_ONCE = _LOCK + " NOWAIT"
"""In another process the gateway's last push may still be running: no connection of the pool waits for that."""
_TAKEN = "SELECT seq, hash FROM facts WHERE gateway_id = $1 AND epoch = $2 AND seq BETWEEN $3 AND $4 ORDER BY seq"
_KEEP = """
    WITH kept AS (
        INSERT INTO facts (tenant_id, gateway_id, epoch, seq, event, line, hash)
        SELECT $1, $2, $3, $4 + place, event, line, substr($7::bytea, 32 * place::integer - 31, 32)
        FROM unnest(string_to_array($5, ' '), $6::bytea[]) WITH ORDINALITY AS u (event, line, place)
    )
    UPDATE gateways SET epoch = $3, seq = $4 + cardinality($6), chain = $8, acknowledged_at = now() WHERE id = $2
    RETURNING pg_notify('larder', 'orders ' || tenant_id)
"""
"""All or nothing: the facts that follow seq $4, and the mark at the last of them. Whoever watches orders is told.

Events ($5) come with a space between them, hashes ($7) with nothing: an array costs asyncpg far more than a text.
"""
_BURY = """
    INSERT INTO dead_letters (tenant_id, gateway_id, epoch, seq, reason, tries)
    SELECT $1, $2, $3, * FROM unnest($4::bigint[], $5::text[], $6::integer[])
"""
_CONFLICT = """
    INSERT INTO fact_conflicts (tenant_id, id, gateway_id, epoch, seq, hash, line) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT ON CONSTRAINT fact_conflicts_told_key DO NOTHING
"""
_BURIED = """
    SELECT d.epoch, d.seq, f.line FROM dead_letters d
    JOIN facts f USING (tenant_id, gateway_id, epoch, seq, received_at)
    WHERE d.gateway_id = $1 AND d.replayed_at IS NULL ORDER BY d.epoch, d.seq
"""
_LATER = """
    SELECT f.seq, f.line FROM facts f LEFT JOIN dead_letters d USING (tenant_id, gateway_id, epoch, seq)
    WHERE gateway_id = $1 AND (epoch, seq) > ($2, $3) AND f.event = ANY($4::text[])
        AND position($5::bytea IN f.line) > 0 AND (d.seq IS NULL OR d.replayed_at IS NOT NULL)
    ORDER BY epoch, seq
"""
_RISEN = "UPDATE dead_letters SET replayed_at = now() WHERE gateway_id = $1 AND epoch = $2 AND seq = $3"
_STILL_DEAD = """
    UPDATE dead_letters SET tries = tries + 1, reason = $4 WHERE gateway_id = $1 AND epoch = $2 AND seq = $3
"""


@dataclass(frozen=True)
class DeadLetter:
    """A fact that could not take effect, and why."""

    seq: int
    reason: str
    tries: int


Projector = Callable[[Transaction, UUID, frozenset[UUID], Sequence[Fact]], Awaitable[list[DeadLetter]]]
"""Lets facts of these machines of a tenant take effect; returns those that could not."""


class Ingest:
    """Takes what gateways push."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns = Turns()

    async def take(self, caller: GatewayCaller, batch: Batch) -> Ack:
        """Let a batch take effect. A gap or a repeat is answered with where to go on from.

        Raises Unauthenticated, Refused (fact_conflict, chain_broken, epoch_superseded), BatchMalformed, Unavailable.
        """
        first = batch.header.first_seq

        async def work() -> Ack | Code:
            try:
                return await self._take(caller, batch, _project_together)
            except POISON:
                return await self._take(caller, batch, _project_each)

        result = await self._turns.run(caller.gateway_id, work)
        if isinstance(result, Ack):
            return result
        log.error(
            "facts_refused", problem=result, gateway_id=str(caller.gateway_id), epoch=batch.header.epoch, seq=first
        )
        raise Refused(result, "These facts contradict what this gateway told before.", status=409)

    async def _take(self, caller: GatewayCaller, batch: Batch, projector: Projector) -> Ack | Code:
        async def work(transaction: Transaction) -> Ack | Code:
            return await _take(transaction, caller, batch, projector)

        return await self._database.unit("sync.facts", work, tenant_id=caller.tenant_id)

    async def replay(self, actor: Actor, tenant_id: UUID, gateway_id: UUID) -> int:
        """Try a gateway's dead letters once more, in order. How many took effect. Raises NotFound, Unavailable."""

        async def work(transaction: Transaction) -> int:
            gateway = await transaction.fetch_one(_LOCK, gateway_id)
            if gateway is None:
                raise NotFound
            machines = frozenset(gateway["machines"])
            rows = await transaction.fetch(_BURIED, gateway_id)
            risen = sum(
                [
                    await _raise_one(
                        transaction, tenant_id, gateway_id, machines, row["epoch"], row["seq"], row["line"]
                    )
                    for row in rows
                ]
            )
            about, told = Subject(SubjectKind.GATEWAY, gateway_id), {"tried": len(rows), "took_effect": risen}
            await audit.record(transaction, actor, tenant_id, AuditAction.DEAD_LETTERS_REPLAYED, about, after=told)
            return risen

        return await self._database.unit("sync.replay", work, tenant_id=tenant_id)


async def _take(transaction: Transaction, caller: GatewayCaller, batch: Batch, projector: Projector) -> Ack | Code:
    gateway = trusted(caller, await transaction.fetch_one(_LOCK_AT_ONCE, caller.gateway_id))
    mark = Mark(gateway["epoch"], gateway["seq"], gateway["chain"])
    header = batch.header
    verdict = judge(mark, header)
    if verdict is Verdict.GAP:
        return _ack(mark)
    if verdict is Verdict.BROKEN:
        await _record_conflict(transaction, caller, batch, 0)
        return Code.CHAIN_BROKEN
    taken = already_taken(mark, header)
    different = await _first_difference(transaction, caller, batch, taken, mark)
    if different is not None:
        await _record_conflict(transaction, caller, batch, different)
        return Code.EPOCH_SUPERSEDED if verdict is Verdict.OLD_EPOCH else Code.FACT_CONFLICT
    if taken == header.count:
        return _ack(mark)
    return _ack(await _add(transaction, caller, batch, taken, frozenset(gateway["machines"]), projector))


async def _first_difference(
    transaction: Transaction, caller: GatewayCaller, batch: Batch, taken: int, mark: Mark
) -> int | None:
    """The place of the first repeated fact whose hash is not the one we have.

    One at or below the mark that is here no more has outlived its retention: it was taken, and has no effect now.
    """
    if taken == 0:
        return None
    header = batch.header
    rows = await transaction.fetch(
        _TAKEN, caller.gateway_id, header.epoch, header.first_seq, header.first_seq + taken - 1
    )
    had = {row["seq"]: row["hash"] for row in rows}
    unknown = batch.hashes if header.epoch == mark.epoch else (None,) * header.count
    told = [had.get(header.first_seq + place, unknown[place]) for place in range(taken)]
    return next((place for place in range(taken) if told[place] != batch.hashes[place]), None)


async def _record_conflict(transaction: Transaction, caller: GatewayCaller, batch: Batch, place: int) -> None:
    header = batch.header
    what = (header.epoch, header.first_seq + place, batch.hashes[place], batch.lines[place])
    await transaction.execute(_CONFLICT, caller.tenant_id, new_id(), caller.gateway_id, *what)


async def _add(
    transaction: Transaction,
    caller: GatewayCaller,
    batch: Batch,
    start: int,
    machines: frozenset[UUID],
    projector: Projector,
) -> Mark:
    """Keep and project the facts from place `start` on, and move the mark. They are read while Postgres keeps them."""
    header, lines = batch.header, batch.lines[start:]
    mark = Mark(header.epoch, header.first_seq + header.count - 1, batch.hashes[-1])
    events = [told_event(line) for line in lines]
    kept = (" ".join(events), lines, b"".join(batch.hashes[start:]))
    before = header.first_seq + start - 1
    await transaction.send(_KEEP, caller.tenant_id, caller.gateway_id, header.epoch, before, *kept, mark.chain)
    facts: list[Fact] = []
    dead: list[DeadLetter] = []
    for seq, (line, event) in enumerate(zip(lines, events, strict=True), before + 1):
        if seq % READ_AT_ONCE == 0:
            await asyncio.sleep(0)
        fact = read_fact(line, seq)
        if isinstance(fact, str):
            dead.append(DeadLetter(seq, fact, 1))
        elif fact.body.event != event:
            dead.append(DeadLetter(seq, "body.event: not written as gateways write it", 1))
        else:
            facts.append(fact)
    dead += await projector(transaction, caller.tenant_id, machines, facts)
    await _bury(transaction, caller, header.epoch, dead)
    return mark


async def _project_together(
    transaction: Transaction, tenant_id: UUID, machines: frozenset[UUID], facts: Sequence[Fact]
) -> list[DeadLetter]:
    """The fast way, as long as none of them is poison. Raises one of POISON, which spoils the transaction."""
    await project(transaction, tenant_id, machines, facts)
    return []


async def _project_each(
    transaction: Transaction, tenant_id: UUID, machines: frozenset[UUID], facts: Sequence[Fact]
) -> list[DeadLetter]:
    """The careful way: one by one, and what still cannot take effect comes back."""
    found = [await _project_alone(transaction, tenant_id, machines, fact) for fact in facts]
    return [letter for letter in found if letter is not None]


async def _project_alone(
    transaction: Transaction, tenant_id: UUID, machines: frozenset[UUID], fact: Fact
) -> DeadLetter | None:
    reason = ""
    for _ in range(TRIES - 1):
        try:
            async with transaction.savepoint():
                await project(transaction, tenant_id, machines, [fact])
        except POISON as error:
            reason = storable(str(error) or type(error).__name__)
        else:
            return None
    return DeadLetter(fact.seq, reason, TRIES)


async def _bury(transaction: Transaction, caller: GatewayCaller, epoch: int, dead: Sequence[DeadLetter]) -> None:
    for letter in dead:
        log.error(
            "fact_dead_lettered",
            gateway_id=str(caller.gateway_id),
            epoch=epoch,
            seq=letter.seq,
            reason=letter.reason,
        )
    if dead:
        rows: list[tuple[object, ...]] = [(letter.seq, letter.reason, letter.tries) for letter in dead]
        await transaction.execute(_BURY, caller.tenant_id, caller.gateway_id, epoch, *columns(rows))


async def _raise_one(
    transaction: Transaction,
    tenant_id: UUID,
    gateway_id: UUID,
    machines: frozenset[UUID],
    epoch: int,
    seq: int,
    line: bytes,
) -> int:
    fact = read_fact(line, seq)
    if isinstance(fact, str):
        await transaction.execute(_STILL_DEAD, gateway_id, epoch, seq, fact)
        return 0
    letter = await _project_alone(transaction, tenant_id, machines, fact)
    if letter is not None:
        await transaction.execute(_STILL_DEAD, gateway_id, epoch, seq, letter.reason)
        return 0
    await _let_later_facts_stand(transaction, tenant_id, gateway_id, epoch, fact)
    await webhooks.publish_risen(transaction, tenant_id, gateway_id, epoch, fact)
    await transaction.execute(_RISEN, gateway_id, epoch, seq)
    log.info("dead_letter_replayed", gateway_id=str(gateway_id), epoch=epoch, seq=seq)
    return 1


async def _let_later_facts_stand(
    transaction: Transaction, tenant_id: UUID, gateway_id: UUID, epoch: int, risen: Fact
) -> None:
    """A fact that takes effect out of turn must not have the last word on its device or slot."""
    about = subject(risen)
    if about is None:
        return
    asked = (gateway_id, epoch, risen.seq, list(LAST_WORD), str(about[0]).encode())
    found = [read_fact(row["line"], row["seq"]) for row in await transaction.fetch(_LATER, *asked)]
    await restate(transaction, tenant_id, [f for f in found if not isinstance(f, str) and subject(f) == about])


def _ack(mark: Mark) -> Ack:
    return Ack(epoch=mark.epoch, seq=mark.seq, chain=mark.chain.hex())
