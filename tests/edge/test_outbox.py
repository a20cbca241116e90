"""Facts in order, chained, bounded, and freed only by the cloud's word."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import pytest

from edge.clock import Clock, Moment, new_id
from edge.database import Database, Transaction
from edge.failpoints import Failpoints
from edge.outbox import OUTBOX_KEY, ChainMismatch, Outbox, Pending, TelemetryBuffer
from edge.watch import Watch
from shared.devices import DeviceHealth
from shared.inventory import SlotSensed
from shared.sync import CHAIN_START, FACT, Ack, link

T = TypeVar("T")
MACHINE_ID, DEVICE_ID, BOOT_ID = UUID(int=1), UUID(int=2), UUID(int=3)
EVERYTHING = 10**6


class Ledger:
    """An outbox over a real database, one unit of work at a time."""

    def __init__(self, database: Database, watch: Watch) -> None:
        self.database, self.watch = database, watch
        self.outbox, self.telemetry = Outbox(Clock()), TelemetryBuffer()

    async def unit(self, work: Callable[[Transaction], T]) -> T:
        return await self.database.unit("test", work)

    async def add(self, count: int) -> None:
        """So many facts."""
        facts = [SlotSensed(machine_id=MACHINE_ID, slot="A1", empty=number % 2 == 0) for number in range(count)]
        await self.unit(lambda tx: self.outbox.append(tx, *facts))

    async def pending(self, limit: int = 500, max_bytes: int = EVERYTHING) -> Pending:
        found = await self.database.read(lambda tx: self.outbox.pending(tx, limit, max_bytes))
        assert found is not None
        return found

    async def ack_at(self, seq: int, epoch: int = 1) -> Ack:
        """The acknowledgement the cloud would give at a fact that is still here."""
        sql = "SELECT chain FROM outbox WHERE epoch = ? AND seq = ?"
        row = await self.database.read(lambda tx: tx.one(sql, epoch, seq))
        assert row is not None
        return Ack(epoch=epoch, seq=seq, chain=row["chain"].hex())

    async def free(self, ack: Ack) -> int:
        return await self.unit(lambda tx: self.outbox.free(tx, ack))

    async def begin_epoch(self, epoch: int) -> bool:
        return await self.unit(lambda tx: self.outbox.begin_epoch(tx, epoch))


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    watch = Watch()
    database = Database(tmp_path, watch, Failpoints())
    await database.open()
    yield Ledger(database, watch)
    await database.close()


def chain_of(pending: Pending) -> bytes:
    chain = bytes.fromhex(pending.header.previous)
    for line in pending.lines:
        chain = link(chain, line)
    return chain


async def test_facts_are_numbered_chained_and_kept_as_they_were_hashed(ledger: Ledger) -> None:
    await ledger.add(3)
    await ledger.add(2)
    found = await ledger.pending()
    assert (found.header.epoch, found.header.first_seq, found.header.count) == (1, 1, 5)
    assert found.header.previous == CHAIN_START.hex()
    assert [FACT.validate_json(line).seq for line in found.lines] == [1, 2, 3, 4, 5]
    assert all(b"\n" not in line for line in found.lines)
    position = await ledger.database.read(ledger.outbox.position)
    assert (position.seq, position.chain, position.waiting) == (5, chain_of(found), 5)


async def test_a_unit_that_fails_takes_its_facts_with_it(ledger: Ledger) -> None:
    await ledger.add(1)
    before = await ledger.database.read(ledger.outbox.position)

    def work(tx: Transaction) -> None:
        ledger.outbox.append(tx, SlotSensed(machine_id=MACHINE_ID, slot="A1", empty=True))
        raise RuntimeError("after the append")

    with pytest.raises(RuntimeError), ledger.watch.on(OUTBOX_KEY) as touched:
        await ledger.unit(work)
    assert not touched.is_set()
    assert await ledger.database.read(ledger.outbox.position) == before


async def test_a_batch_is_bounded_by_count_and_by_bytes_and_never_empty(ledger: Ledger) -> None:
    await ledger.add(10)
    assert (await ledger.pending(limit=3)).header.count == 3
    size = len((await ledger.pending(limit=1)).lines[0]) + 1
    assert (await ledger.pending(max_bytes=4 * size + 8)).header.count == 4
    assert (await ledger.pending(max_bytes=1)).header.count == 1


async def test_nothing_waits_in_an_empty_outbox(ledger: Ledger) -> None:
    assert await ledger.database.read(lambda tx: ledger.outbox.pending(tx, 500, EVERYTHING)) is None


async def test_the_next_batch_goes_on_where_the_cloud_is(ledger: Ledger) -> None:
    await ledger.add(5)
    ack = await ledger.ack_at(3)
    assert await ledger.free(ack) == 3
    rest = await ledger.pending()
    assert (rest.header.first_seq, rest.header.previous) == (4, ack.chain)
    assert await ledger.free(await ledger.ack_at(5)) == 2
    await ledger.add(1)
    assert (await ledger.pending()).header.first_seq == 6


async def test_an_old_acknowledgement_frees_nothing_and_takes_nothing_back(ledger: Ledger) -> None:
    await ledger.add(5)
    old, new = await ledger.ack_at(2), await ledger.ack_at(4)
    await ledger.free(new)
    assert await ledger.free(old) == 0
    assert await ledger.free(new) == 0
    assert await ledger.free(Ack(epoch=0, seq=0, chain=CHAIN_START.hex())) == 0
    position = await ledger.database.read(ledger.outbox.position)
    assert (position.acked_seq, position.acked_chain.hex(), position.waiting) == (4, new.chain, 1)
    assert (await ledger.pending()).header.first_seq == 5


async def test_an_acknowledgement_of_other_facts_frees_none(ledger: Ledger) -> None:
    await ledger.add(5)
    with pytest.raises(ChainMismatch):
        await ledger.free(Ack(epoch=1, seq=3, chain="ab" * 32))
    assert (await ledger.pending()).header.count == 5


async def test_epochs_do_not_mix_in_a_batch_and_the_older_goes_first(ledger: Ledger) -> None:
    await ledger.add(3)
    assert await ledger.begin_epoch(2)
    await ledger.add(2)
    first = await ledger.pending()
    assert (first.header.epoch, first.header.first_seq, first.header.count) == (1, 1, 3)
    assert await ledger.free(await ledger.ack_at(3)) == 3
    second = await ledger.pending()
    assert (second.header.epoch, second.header.first_seq, second.header.count) == (2, 1, 2)
    assert second.header.previous == CHAIN_START.hex()


async def test_an_epoch_begins_once_and_never_goes_back(ledger: Ledger) -> None:
    assert await ledger.begin_epoch(3)
    await ledger.add(1)
    assert not await ledger.begin_epoch(3)
    assert not await ledger.begin_epoch(2)
    position = await ledger.database.read(ledger.outbox.position)
    assert (position.epoch, position.seq) == (3, 1)


async def test_an_acknowledgement_in_a_later_epoch_frees_all_earlier_facts(ledger: Ledger) -> None:
    await ledger.add(2)
    await ledger.begin_epoch(2)
    await ledger.add(2)
    assert await ledger.free(await ledger.ack_at(1, epoch=2)) == 3
    assert (await ledger.pending()).header.first_seq == 2


async def test_waiting_facts_can_move_into_the_epoch_just_begun(ledger: Ledger) -> None:
    await ledger.add(4)
    await ledger.free(await ledger.ack_at(1))
    before = [FACT.validate_json(line) for line in (await ledger.pending()).lines]
    await ledger.begin_epoch(2)
    assert await ledger.unit(ledger.outbox.move_waiting) == 3
    moved = await ledger.pending()
    after = [FACT.validate_json(line) for line in moved.lines]
    assert [fact.seq for fact in after] == [1, 2, 3]
    assert [fact.model_copy(update={"seq": 0}) for fact in after] == [
        fact.model_copy(update={"seq": 0}) for fact in before
    ]
    await ledger.add(1)
    assert chain_of(await ledger.pending()) == (await ledger.database.read(ledger.outbox.position)).chain
    with pytest.raises(AssertionError):
        await ledger.unit(ledger.outbox.move_waiting)


def sample(uptime_s: int) -> DeviceHealth:
    return DeviceHealth(
        device_id=DEVICE_ID,
        machine_id=MACHINE_ID,
        at=Clock().now(),
        firmware=None,
        uptime_s=uptime_s,
        free_bytes=None,
        rssi_dbm=None,
        journal_bytes=None,
    )


def at_minute(minute: int, boot_id: UUID = BOOT_ID) -> Moment:
    return Moment(boot_id, 60_000 * minute)


async def test_telemetry_keeps_the_last_sample_of_each_subject_and_minute(ledger: Ledger) -> None:
    def work(tx: Transaction) -> None:
        for number in range(60):
            ledger.telemetry.keep(tx, "one", at_minute(number // 6), sample(number))
        ledger.telemetry.keep(tx, "two", at_minute(0), sample(100))

    await ledger.unit(work)
    mark, lines = await ledger.database.read(lambda tx: ledger.telemetry.oldest(tx, 500))
    uptimes = [DeviceHealth.model_validate_json(line).uptime_s for line in lines]
    assert uptimes == [5, 11, 17, 23, 29, 35, 41, 47, 53, 59, 100]
    first, _ = await ledger.database.read(lambda tx: ledger.telemetry.oldest(tx, 4))
    await ledger.unit(lambda tx: ledger.telemetry.forget(tx, first))
    assert len((await ledger.database.read(lambda tx: ledger.telemetry.oldest(tx, 500)))[1]) == 7
    await ledger.unit(lambda tx: ledger.telemetry.forget(tx, mark))
    assert await ledger.database.read(lambda tx: ledger.telemetry.oldest(tx, 500)) == (0, ())


async def test_a_sample_of_another_boot_replaces_none(ledger: Ledger) -> None:
    def work(tx: Transaction) -> None:
        for uptime_s in (1, 2):
            ledger.telemetry.keep(tx, "one", at_minute(3, new_id()), sample(uptime_s))

    await ledger.unit(work)
    _, lines = await ledger.database.read(lambda tx: ledger.telemetry.oldest(tx, 500))
    assert [DeviceHealth.model_validate_json(line).uptime_s for line in lines] == [1, 2]


async def test_telemetry_is_bounded_and_the_oldest_give_way(ledger: Ledger) -> None:
    class SmallBuffer(TelemetryBuffer):
        MAX_SAMPLES = 50

    buffer, subject = SmallBuffer(), str(new_id())

    def work(tx: Transaction) -> None:
        for minute in range(120):
            buffer.keep(tx, subject, at_minute(minute), sample(minute))

    await ledger.unit(work)
    _, lines = await ledger.database.read(lambda tx: buffer.oldest(tx, 500))
    assert [DeviceHealth.model_validate_json(line).uptime_s for line in lines] == list(range(70, 120))
