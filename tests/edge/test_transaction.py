"""What a unit may put off to its end, and what it may try and take back."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from edge.clock import Clock
from edge.database import Database, Transaction
from edge.failpoints import Failpoints
from edge.outbox import Outbox
from edge.watch import Watch
from shared.inventory import SlotSensed
from shared.sync import FACT

INSERT = "INSERT INTO products (product_id, version, name) VALUES (?, 1, 'Peanuts')"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path, Watch(), Failpoints())
    await database.open()
    yield database
    await database.close()


async def products(database: Database) -> list[str]:
    rows = await database.read(lambda tx: tx.all("SELECT product_id FROM products ORDER BY rowid"))
    return [row["product_id"] for row in rows]


async def facts(database: Database) -> list[str]:
    rows = await database.read(lambda tx: tx.all("SELECT line FROM outbox ORDER BY seq"))
    bodies = [FACT.validate_json(row["line"]).body for row in rows]
    return [body.slot for body in bodies if isinstance(body, SlotSensed)]


def sensed(slot: str) -> SlotSensed:
    return SlotSensed(machine_id=UUID(int=1), slot=slot, empty=True)


def write(calls: list[list[str]], tx: Transaction, names: list[str]) -> None:
    calls.append(list(names))
    for name in names:
        tx.run(INSERT, name)


async def test_what_is_gathered_is_written_once_in_order_and_in_the_same_transaction(database: Database) -> None:
    calls: list[list[str]] = []
    keep = partial(write, calls)

    def work(tx: Transaction) -> None:
        tx.gather(keep, ["one"])
        tx.run(INSERT, "at once")
        tx.gather(keep, ["two", "three"])

    await database.unit("test", work)
    assert calls == [["one", "two", "three"]]
    assert await products(database) == ["at once", "one", "two", "three"]


@pytest.mark.criterion("2.2")
async def test_what_fails_at_the_end_rolls_the_whole_unit_back(database: Database) -> None:
    def work(tx: Transaction) -> None:
        tx.run(INSERT, "one")
        tx.gather(partial(write, []), ["one"])

    with pytest.raises(sqlite3.IntegrityError):
        await database.unit("test", work)
    assert await products(database) == []


async def test_an_attempt_that_fails_takes_back_rows_facts_and_what_was_to_follow(database: Database) -> None:
    outbox = Outbox(Clock())
    followed: list[str] = []

    def add(tx: Transaction, name: str, error: type[Exception] | None = None) -> None:
        with tx.attempt():
            tx.run(INSERT, name)
            outbox.append(tx, sensed(name))
            tx.then(partial(followed.append, name))
            if error is not None:
                raise error

    def work(tx: Transaction) -> None:
        add(tx, "A1")
        with pytest.raises(LookupError):
            add(tx, "A2", LookupError)
        add(tx, "A3")

    await database.unit("test", work)
    assert await products(database) == await facts(database) == followed == ["A1", "A3"]


async def test_facts_of_nothing_but_failed_attempts_leave_no_trace(database: Database) -> None:
    outbox = Outbox(Clock())
    before = await database.read(outbox.position)

    def try_it(tx: Transaction) -> None:
        with tx.attempt():
            outbox.append(tx, sensed("A1"))
            raise LookupError

    def work(tx: Transaction) -> None:
        with pytest.raises(LookupError):
            try_it(tx)

    await database.unit("test", work)
    assert await database.read(outbox.position) == before


async def test_what_is_prepared_meanwhile_is_ready_before_anything_follows_the_commit(database: Database) -> None:
    happened: list[str] = []

    def prepare() -> Callable[[], None]:
        happened.append("prepared")
        return partial(happened.append, "left")

    def work(tx: Transaction) -> None:
        tx.meanwhile(prepare)
        tx.then(partial(happened.append, "told"))

    await database.unit("test", work)
    assert happened == ["prepared", "told", "left"]


@pytest.mark.parametrize("unit_fails", [False, True])
async def test_what_was_prepared_for_a_unit_or_an_attempt_that_failed_never_leaves(
    database: Database, unit_fails: bool
) -> None:
    left: list[str] = []

    def attempt(tx: Transaction) -> None:
        with tx.attempt():
            tx.meanwhile(lambda: partial(left.append, "attempt"))
            raise LookupError

    def work(tx: Transaction) -> None:
        tx.meanwhile(lambda: partial(left.append, "unit"))
        with pytest.raises(LookupError):
            attempt(tx)
        tx.gather(partial(write, []), ["one", "one"] if unit_fails else ["one"])

    with pytest.raises(sqlite3.IntegrityError) if unit_fails else nullcontext():
        await database.unit("test", work)
    await asyncio.sleep(0)
    assert left == ([] if unit_fails else ["unit"])
