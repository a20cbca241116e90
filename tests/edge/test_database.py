"""The ledger: all or nothing, acknowledged means on the disk, one process, and a way back from every interruption."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from edge.database import MIGRATIONS, Database, Transaction
from edge.errors import DatabaseError
from edge.failpoints import Failpoints
from edge.ledger_file import LEDGER_MARK
from edge.watch import Watch

INSERT = "INSERT INTO products (product_id, version, name) VALUES (?, 1, 'Peanuts')"


def ledger_in(folder: Path, watch: Watch | None = None) -> Database:
    return Database(folder, watch or Watch(), Failpoints())


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = ledger_in(tmp_path)
    await database.open()
    yield database
    await database.close()


async def count(database: Database) -> int:
    rows = await database.read(lambda tx: tx.all("SELECT product_id FROM products"))
    return len(rows)


async def test_the_ledger_promises_what_it_must(database: Database) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys", "user_version", "application_id")
    found = await database.read(lambda tx: {name: tx.all(f"PRAGMA {name}")[0][0] for name in names})
    version = len(list(MIGRATIONS.glob("*.sql")))
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "user_version": version,
        "application_id": LEDGER_MARK + version,
    }


@pytest.mark.criterion("2.2")
@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt(), sqlite3.IntegrityError("x"), SystemExit()])
async def test_whatever_a_unit_raises_rolls_it_back(database: Database, error: BaseException) -> None:
    def work(tx: Transaction) -> None:
        tx.run(INSERT, "one")
        raise error

    with pytest.raises(type(error)):
        await database.unit("test", work)
    assert await count(database) == 0
    await database.unit("test", lambda tx: tx.run(INSERT, "two"))
    assert await count(database) == 1


@pytest.mark.criterion("2.2")
async def test_a_constraint_that_fails_rolls_the_whole_unit_back(database: Database) -> None:
    def work(tx: Transaction) -> None:
        tx.run(INSERT, "one")
        tx.run(INSERT, "one")

    with pytest.raises(sqlite3.IntegrityError):
        await database.unit("test", work)
    assert await count(database) == 0


@pytest.mark.criterion("2.1")
async def test_a_caller_that_leaves_stops_nothing_and_locks_nothing(database: Database) -> None:
    def work(number: int, tx: Transaction) -> None:
        tx.run(INSERT, str(number))
        time.sleep(0.005)

    for number in range(40):
        caller = asyncio.create_task(database.unit("test", partial(work, number)))
        await asyncio.sleep(0.001 * (number % 8))
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
    async with asyncio.timeout(2):
        await database.unit("test", lambda tx: tx.run(INSERT, "last"))
    # A caller that left before its first step has asked for nothing.
    assert 30 <= await count(database) <= 41


@pytest.mark.criterion("2.1")
async def test_units_run_one_after_the_other(database: Database) -> None:
    await database.unit("test", lambda tx: tx.run("INSERT INTO credit_balances VALUES ('machine', 0)"))

    def work(tx: Transaction) -> None:
        row = tx.one("SELECT amount_minor FROM credit_balances")
        assert row is not None
        time.sleep(0.001)
        tx.run("UPDATE credit_balances SET amount_minor = ?", row["amount_minor"] + 1)

    await asyncio.gather(*(database.unit("test", work) for _ in range(100)))
    row = await database.read(lambda tx: tx.one("SELECT amount_minor FROM credit_balances"))
    assert row is not None
    assert row["amount_minor"] == 100


async def test_watchers_are_woken_after_the_commit_and_only_then(tmp_path: Path) -> None:
    watch = Watch()
    database = ledger_in(tmp_path, watch)
    await database.open()

    told: list[bool] = []

    def fail(tx: Transaction) -> None:
        tx.touch("products")
        tx.then(lambda: told.append(True))
        raise RuntimeError

    with watch.on("products") as changed:
        with pytest.raises(RuntimeError):
            await database.unit("test", fail)
        await asyncio.sleep(0.01)
        assert not changed.is_set()
        assert not told

        def succeed(tx: Transaction) -> None:
            tx.run(INSERT, "one")
            tx.touch("products")
            tx.then(lambda: told.append(changed.is_set()))
            time.sleep(0.05)

        unit = asyncio.create_task(database.unit("test", succeed))
        await asyncio.sleep(0.02)
        assert not changed.is_set()
        await changed.wait()
        assert told == [False]
        assert await count(database) == 1
        await unit
    await database.close()


async def test_a_read_sees_one_moment_and_leaves_no_trace(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        await database.read(lambda tx: 1 // 0)
    await database.read(lambda tx: tx.run(INSERT, "never kept"))
    assert await count(database) == 0


async def test_a_second_process_is_refused_in_one_line(database: Database, tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from edge.database import Database; "
        "from edge.watch import Watch; from edge.failpoints import Failpoints; from edge.errors import DatabaseError\n"
        "try: asyncio.run(Database(Path(sys.argv[1]), Watch(), Failpoints()).open())\n"
        "except DatabaseError as error: sys.exit(str(error))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr.strip() == f"another process has {tmp_path / 'ledger.db'} open"
    await database.unit("test", lambda tx: tx.run(INSERT, "one"))


async def test_the_lock_goes_with_the_ledger(tmp_path: Path) -> None:
    for _ in range(2):
        database = ledger_in(tmp_path)
        await database.open()
        await database.close()
        await database.close()


async def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="not open"):
        await ledger_in(tmp_path).read(lambda tx: None)


async def test_the_ledger_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    database = ledger_in(tmp_path)
    await database.open()
    await database.close()
    newer = len(list(MIGRATIONS.glob("*.sql"))) + 1
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.executescript(f"PRAGMA user_version = {newer}; PRAGMA application_id = {LEDGER_MARK + newer};")
    connection.close()
    with pytest.raises(DatabaseError, match=f"newer version \\({newer}\\)"):
        await database.open()
    assert not (tmp_path / "quarantine").exists()


async def test_a_folder_that_cannot_be_one_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DatabaseError, match="cannot be opened"):
        await ledger_in(tmp_path / "file").open()


async def test_a_backup_is_whole_and_restored_under_a_new_epoch(tmp_path: Path) -> None:
    database = ledger_in(tmp_path)
    assert await database.open() == 1
    await database.unit("test", lambda tx: tx.run(INSERT, "before"))
    await database.back_up()
    await database.unit("test", lambda tx: tx.run(INSERT, "after"))
    await database.back_up()
    await database.unit("test", lambda tx: tx.run(INSERT, "too late"))
    await database.close()
    (tmp_path / "ledger.db").write_bytes(b"no ledger at all")
    assert await database.open() == 2
    names = await database.read(lambda tx: [row[0] for row in tx.all("SELECT product_id FROM products ORDER BY 1")])
    assert names == ["after", "before"]
    assert [file.read_bytes() for file in tmp_path.glob("quarantine/*/ledger.db")] == [b"no ledger at all"]
    await database.close()
    assert await database.open() == 2
    await database.close()


async def test_without_a_backup_an_empty_ledger_begins_a_new_epoch(tmp_path: Path) -> None:
    database = ledger_in(tmp_path)
    await database.open()
    await database.unit("test", lambda tx: tx.run(INSERT, "one"))
    await database.close()
    (tmp_path / "ledger.db").unlink()
    assert await database.open() == 2
    assert await count(database) == 0
    await database.close()


async def test_a_damaged_backup_is_not_restored(tmp_path: Path) -> None:
    database = ledger_in(tmp_path)
    await database.open()
    await database.back_up()
    await database.close()
    for name in ("ledger.db", "ledger.backup.db"):
        (tmp_path / name).write_bytes(b"rubbish" * 1000)
    assert await database.open() == 2
    assert await count(database) == 0
    await database.close()


@pytest.mark.parametrize("offset", [0, 16, 18, 19, 31, 47, 60, 63], ids=lambda offset: f"byte {offset}")
async def test_a_header_that_forbids_the_use_of_a_whole_file_is_damage(tmp_path: Path, offset: int) -> None:
    """Format, version and read-only marks: quick_check passes over them, and every later start or unit would fail."""
    database = ledger_in(tmp_path)
    await database.open()
    await database.unit("test", lambda tx: tx.run(INSERT, "kept"))
    await database.back_up()
    await database.close()
    content = bytearray((tmp_path / "ledger.db").read_bytes())
    content[offset] = 0xFF
    (tmp_path / "ledger.db").write_bytes(content)
    assert await database.open() == 2
    await database.unit("test", lambda tx: tx.run(INSERT, "more"))
    assert await count(database) == 2
    await database.close()


@pytest.mark.parametrize("spoilt", [0, 3, 20, 31])
async def test_a_spoilt_wal_begins_a_new_epoch_and_keeps_what_the_file_has(tmp_path: Path, spoilt: int) -> None:
    database = ledger_in(tmp_path / "live")
    await database.open()
    await database.unit("test", lambda tx: tx.run(INSERT, "in the wal only"))
    cut = Path(shutil.copytree(tmp_path / "live", tmp_path / "cut"))
    await database.close()
    again = ledger_in(Path(shutil.copytree(cut, tmp_path / "whole")))
    assert (await again.open(), await count(again)) == (1, 1)
    await again.close()
    wal = bytearray((cut / "ledger.db-wal").read_bytes())
    wal[spoilt] ^= 0x55
    (cut / "ledger.db-wal").write_bytes(wal)
    again = ledger_in(cut)
    assert await again.open() >= 2
    assert await count(again) == 0
    await again.close()


MENDING = """
import asyncio, os, shutil, sys
from pathlib import Path
from edge.database import Database
from edge.failpoints import Failpoints
from edge.ledger_file import LEDGER_MARK
from edge.watch import Watch

STEPS = {"os.rename", "os.mkdir", "shutil.copyfile", "open"}

def mend(folder, left):
    def stop(event, arguments):
        nonlocal left
        if event in STEPS and str(folder) in str(arguments[0]):
            if event != "open" or any(mark in str(arguments[1]) for mark in "wax+"):
                left -= 1
                if not left:
                    os._exit(137)
    sys.addaudithook(stop)
    asyncio.run(Database(folder, Watch(), Failpoints()).open())
    os._exit(0)

damaged, steps, status = Path(sys.argv[1]), 0, 137
while status == 137:
    steps += 1
    folder = Path(shutil.copytree(damaged, damaged.with_name(f"stopped{steps}")))
    child = os.fork()
    if not child:
        mend(folder, steps)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.exit(status)
"""


async def test_a_crash_before_any_step_of_mending_is_safe(tmp_path: Path) -> None:
    """The process ends before each write, rename and copy of the mending in turn; the next start finishes it."""
    damaged = tmp_path / "damaged"
    database = ledger_in(damaged)
    await database.open()
    await database.unit("test", lambda tx: tx.run(INSERT, "kept"))
    await database.back_up()
    await database.unit("test", lambda tx: tx.run(INSERT, "lost"))
    await database.close()
    (damaged / "ledger.db").write_bytes(b"no ledger at all")
    (damaged / "ledger.db-wal").write_bytes(b"no wal either")
    command = [sys.executable, "-c", MENDING, str(damaged)]
    await asyncio.to_thread(subprocess.run, command, timeout=50, check=True)
    stopped = list(tmp_path.glob("stopped*"))
    assert len(stopped) > 8
    for folder in stopped:
        again = ledger_in(folder)
        epoch = await again.open()
        names = await again.read(lambda tx: [row[0] for row in tx.all("SELECT product_id FROM products")])
        await again.close()
        assert epoch > 1, f"{folder.name}: facts would go on in the old epoch"
        assert names == ["kept"], folder.name


@pytest.mark.parametrize("spoil", [lambda file: file.unlink(), lambda file: file.write_bytes(b"\xff?")])
async def test_a_lost_epoch_file_lets_no_epoch_be_used_twice(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    database = ledger_in(tmp_path)
    await database.open()
    await database.unit("test", lambda tx: tx.run("UPDATE outbox_head SET epoch = 5"))
    await database.back_up()
    await database.close()
    spoil(tmp_path / "epoch")
    (tmp_path / "ledger.db").unlink()
    again = ledger_in(tmp_path)
    assert await again.open() == 6
    await again.close()


HOT_QUERIES = {
    "the order behind an idempotency key": "SELECT * FROM orders WHERE idempotency_key = 'x'",
    "open orders": "SELECT * FROM orders WHERE state IN ('placed', 'authorised', 'dispensing') ORDER BY order_id",
    "the vends of an order": "SELECT * FROM vends WHERE order_id = 'x' ORDER BY position",
    "the next waiting vend": "SELECT vends.* FROM vends JOIN orders USING (order_id) WHERE device_id = 'x' "
    "AND vends.state = 'waiting' AND orders.state IN ('authorised', 'dispensing') ORDER BY order_id, position LIMIT 1",
    "a vend": "SELECT * FROM vends WHERE vend_id = 'x'",
    "open dispenses": "SELECT d.vend_id FROM dispenses AS d JOIN devices USING (device_id) WHERE d.state != 'ended'",
    "the open dispense of a device": "SELECT * FROM dispenses WHERE device_id = 'x' AND state != 'ended'",
    "the payment of an order": "SELECT * FROM payments WHERE order_id = 'x'",
    "the stock of a machine": "SELECT * FROM stock WHERE machine_id = 'x' ORDER BY slot",
    "the next facts": "SELECT epoch, seq, line FROM outbox ORDER BY epoch, seq LIMIT 500",
    "facts to free": "DELETE FROM outbox WHERE (epoch, seq) <= (1, 500)",
    "planogram versions": "SELECT version, effective_at FROM planograms WHERE machine_id = 'x' AND version >= 1",
    "the oldest samples": "SELECT rowid, line FROM telemetry ORDER BY rowid LIMIT 500",
}


@pytest.mark.criterion("2.5")
@pytest.mark.parametrize("query", HOT_QUERIES)
async def test_what_each_sale_asks_is_indexed(database: Database, query: str) -> None:
    plan = await database.read(lambda tx: [row["detail"] for row in tx.all(f"EXPLAIN QUERY PLAN {HOT_QUERIES[query]}")])
    assert plan
    scans = [step for step in plan if step.startswith("SCAN") and "INDEX" not in step and "telemetry" not in step]
    assert scans == []
    assert not any("TEMP B-TREE" in step for step in plan), plan


async def test_many_may_ask_for_room_at_once(database: Database, tmp_path: Path) -> None:
    """The sweeps do, each in a thread of its own, while the ledger's thread makes its promises."""
    for _ in range(100):
        (tmp_path / "reserve.bin").unlink()
        told = await asyncio.gather(*(asyncio.to_thread(database.has_room) for _ in range(6)))
        assert all(told)
