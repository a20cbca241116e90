"""R19: damaged ledgers. Found at start, put away, restored from the backup, a new epoch begun, sold on.

python -m tests.lab.damaged_ledger [--ledgers N] [--seed N] [--full]
"""

import argparse
import asyncio
import random
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import reduce
from pathlib import Path
from uuid import UUID

import structlog

from edge.database import Database, Transaction
from edge.errors import DatabaseError
from edge.failpoints import Failpoints
from edge.watch import Watch
from firmware.vending.rules import Journal
from shared.orders import OrderState
from shared.sync import CHAIN_START, Ack, link
from tests.fakes.restored_site import recall, told
from tests.fakes.site import Site, SteppedClock, running_site
from tests.fakes.until import until

PAGE = 4096
BEFORE_BACKUP, AFTER_BACKUP = 8, 5

Damage = Callable[[Path, random.Random], None]
Dump = dict[str, list[tuple[object, ...]]]


def scribble(file: Path, chance: random.Random, start: int, end: int, length: int = 24) -> None:
    """Random bytes somewhere in [start, end)."""
    content = bytearray(file.read_bytes())
    at = chance.randrange(start, max(start + 1, end - length))
    content[at : at + length] = chance.randbytes(min(length, end - at))
    file.write_bytes(content)


def truncate(file: Path, chance: random.Random) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: chance.randrange(1, len(content))])


def zero_page(file: Path, chance: random.Random) -> None:
    content = bytearray(file.read_bytes())
    at = chance.randrange(len(content) // PAGE) * PAGE
    content[at : at + PAGE] = bytes(PAGE)
    file.write_bytes(content)


def swap_pages(file: Path, chance: random.Random) -> None:
    content = bytearray(file.read_bytes())
    one, two = (number * PAGE for number in chance.sample(range(len(content) // PAGE), 2))
    content[one : one + PAGE], content[two : two + PAGE] = content[two : two + PAGE], content[one : one + PAGE]
    file.write_bytes(content)


def spoil_header(file: Path, chance: random.Random) -> None:
    scribble(file, chance, 0, 100, chance.randrange(1, 24))


def spoil_middle(file: Path, chance: random.Random) -> None:
    scribble(file, chance, PAGE, file.stat().st_size - PAGE)


def spoil_end(file: Path, chance: random.Random) -> None:
    scribble(file, chance, file.stat().st_size - PAGE, file.stat().st_size)


def empty(file: Path, _: random.Random) -> None:
    file.write_bytes(b"")


def remove(file: Path, _: random.Random) -> None:
    file.unlink()


def spoil_wal(file: Path, chance: random.Random) -> None:
    wal = file.with_name("ledger.db-wal")
    wal.write_bytes(chance.randbytes(wal.stat().st_size if wal.exists() else 50_000))


DAMAGES: tuple[Damage, ...] = (
    truncate,
    zero_page,
    spoil_header,
    spoil_middle,
    spoil_end,
    swap_pages,
    empty,
    remove,
    spoil_wal,
)


class Verdict(Enum):
    """What a start made of a damaged ledger."""

    RESTORED = "found and restored"
    CUT_SHORT = "found, less what its -wal held"
    HARMLESS = "without effect on any row"
    UNNOTICED = "not to be seen in the structure"
    REFUSED = "kept the gateway from starting"


@dataclass(frozen=True)
class Original:
    """A ledger before the damage, as a running gateway and as an ended one leaves it, with a backup from before."""

    place: Path
    machine_id: UUID
    device_id: UUID
    journal: Journal
    lines: tuple[bytes, ...] = ()
    """All its facts: what the cloud was told before the damage."""

    @property
    def closed(self) -> Path:
        """All of it in one file."""
        return self.place / "closed"

    @property
    def live(self) -> Path:
        """The newest of it in a -wal."""
        return self.place / "live"


@dataclass
class Report:
    """Verdicts by damage, and what did not hold afterwards."""

    seed: int
    verdicts: Counter[tuple[str, Verdict]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def count(self, verdict: Verdict) -> int:
        """How many ledgers had this verdict."""
        return sum(number for (_, found), number in self.verdicts.items() if found is verdict)

    def __str__(self) -> str:
        totals = ", ".join(f"{self.count(verdict)} {verdict.value}" for verdict in Verdict)
        rows = [
            f"  {name:13} {verdict.value}: {number}"
            for (name, verdict), number in sorted(self.verdicts.items(), key=str)
        ]
        return "\n".join([f"seed {self.seed}: {self.verdicts.total()} damaged ledgers: {totals}", *rows, *self.faults])


async def sell(site: Site, times: int) -> None:
    """So many orders, one after the other."""
    for _ in range(times):
        view = await site.order("A1")
        await site.until_state(view.order_id, OrderState.SETTLED)
    await site.settle()


def dump_of(tx: Transaction) -> Dump:
    tables = [row["name"] for row in tx.all("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    return {table: sorted((tuple(row) for row in tx.all(f"SELECT * FROM {table}")), key=str) for table in tables}  # noqa: S608


async def make_original(place: Path) -> Original:
    """Sell, back up, sell on."""
    async with running_site(place / "closed", opening=1000) as site:
        await sell(site, BEFORE_BACKUP)
        await site.database.back_up()
    original = Original(place, site.machine_id, site.device_id, site.device.journal)
    async with opened(original.closed) as (database, watch, _), selling(database, watch, original) as site:
        await connect(site)
        await sell(site, AFTER_BACKUP)
        shutil.copytree(original.closed, original.live)
        lines = await told(site)
    return replace(original, journal=site.device.journal, lines=lines)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Database, Watch, int]]:
    """A ledger that exists, and the epoch to go on in. Raises DatabaseError."""
    watch = Watch()
    database = Database(folder, watch, Failpoints())
    epoch = await database.open()
    try:
        yield database, watch, epoch
    finally:
        await database.close()


@asynccontextmanager
async def selling(database: Database, watch: Watch, original: Original, epoch: int = 1) -> AsyncIterator[Site]:
    """The gateway over an open ledger, as its app starts it."""
    site = Site(database, watch, SteppedClock())
    site.machine_id = site.device.machine_id = original.machine_id
    site.device_id = site.device.device_id = original.device_id
    site.device.journal = original.journal
    if await database.unit("lab.epoch", lambda tx: site.outbox.begin_epoch(tx, epoch)):
        await database.unit("lab.epochs", site.devices.begin_epoch)
        await database.unit("lab.hold", site.order_recall.hold_open)
    task = asyncio.create_task(site.run(), name="site")
    try:
        yield site
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def connect(site: Site) -> None:
    """Let the device come."""
    await site.connect()
    await until(lambda: site.links.online(site.device_id))


def inode_of(folder: Path) -> int | None:
    """Which file the ledger is, if there is one."""
    ledger = folder / "ledger.db"
    return ledger.stat().st_ino if ledger.exists() else None


async def judge(folder: Path, original: Original, dump: Dump) -> tuple[Verdict, list[str]]:
    """Start over a damaged ledger; the verdict, and what did not hold."""
    inode = inode_of(folder)
    try:
        async with opened(folder) as (database, watch, epoch):
            kept = await database.read(dump_of)
            async with selling(database, watch, original, epoch) as site:
                if epoch == 1:
                    verdict = Verdict.HARMLESS if kept == dump else Verdict.UNNOTICED
                else:
                    verdict = Verdict.CUT_SHORT if inode_of(folder) == inode else Verdict.RESTORED
                faults = await find_faults(site, epoch, verdict)
                return verdict, faults + (await find_gaps(site, original) if epoch > 1 else [])
    except DatabaseError as error:
        return Verdict.REFUSED, [f"does not start: {error}"]
    except sqlite3.DatabaseError:
        return Verdict.UNNOTICED, []


async def find_faults(site: Site, epoch: int, verdict: Verdict) -> list[str]:
    """What does not hold once the gateway runs again: the ledger's age, its epoch, the order of facts, a sale."""
    on_hand = await site.stock("A1")
    await connect(site)
    await sell(site, 1)
    rows = await site.database.read(lambda tx: tx.all("SELECT epoch, seq FROM outbox ORDER BY epoch, seq"))
    first = await site.database.read(lambda tx: site.outbox.pending(tx, 500, 10**6))
    device = await site.database.read(lambda tx: tx.one("SELECT epoch FROM devices"))
    old, new = ([row["seq"] for row in rows if row["epoch"] == number] for number in (1, 2))
    assert first is not None
    assert device is not None
    holds = {
        "sells one": await site.stock("A1") == on_hand - 1 and list(site.device.starts.values()) == [1],
        "old facts first and whole": first.header.epoch == first.header.first_seq == 1 and len(first.lines) == len(old),
        "no gap in the old facts": old == list(range(1, len(old) + 1)),
    }
    if verdict in (Verdict.RESTORED, Verdict.CUT_SHORT):
        holds |= {
            "a new epoch": epoch == device["epoch"] == 2,
            "new facts from 1": new == list(range(1, len(new) + 1)) and len(new) > 0,
        }
    if verdict is Verdict.RESTORED:
        holds["stock of the backup"] = on_hand == 1000 - BEFORE_BACKUP
    return [name for name, held in holds.items() if not held]


async def find_gaps(site: Site, original: Original) -> list[str]:
    """What the ledger still lacks once the cloud has told it again all that it had been told."""
    lines = original.lines
    ack = Ack(epoch=1, seq=len(lines), chain=reduce(link, lines, CHAIN_START).hex())
    await site.database.unit("lab.acknowledged", lambda tx: site.outbox.free(tx, ack))
    await recall(site, lines)
    stock = await site.stock("A1")
    orders = await site.orders.count_by_state()
    holds = {
        "stock of the cloud after the recall": stock == 1000 - BEFORE_BACKUP - AFTER_BACKUP - 1,
        "all orders after the recall": orders == {OrderState.SETTLED: BEFORE_BACKUP + AFTER_BACKUP + 1},
    }
    return [name for name, held in holds.items() if not held]


async def damage_all(ledgers: int, seed: int) -> Report:
    """Damage so many ledgers, each in the next way, and start a gateway over each."""
    report, chance = Report(seed), random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        original = await make_original(Path(place))
        async with opened(shutil.copytree(original.live, Path(place) / "whole")) as (database, _, _):
            dump = await database.read(dump_of)
        for number in range(ledgers):
            damage = DAMAGES[number % len(DAMAGES)]
            folder = Path(place) / f"damaged{number}"
            live = damage in (spoil_wal, remove) or chance.random() < 0.3
            shutil.copytree(original.live if live else original.closed, folder)
            damage(folder / "ledger.db", chance)
            verdict, faults = await judge(folder, original, dump)
            report.verdicts[damage.__name__, verdict] += 1
            report.faults += [f"  ledger {number} ({damage.__name__}): {fault}" for fault in faults]
            shutil.rmtree(folder)
    return report


def run(ledgers: int, seed: int) -> Report:
    """The lab without the gateway's own log lines."""
    structlog.configure(processors=[_drop], cache_logger_on_first_use=False)
    try:
        return asyncio.run(damage_all(ledgers, seed))
    finally:
        structlog.reset_defaults()


def _drop(_: object, __: str, ___: structlog.typing.EventDict) -> structlog.typing.EventDict:
    raise structlog.DropEvent


def main() -> None:
    parser = argparse.ArgumentParser(description="Damaged ledgers at the start of a gateway (R19).")
    parser.add_argument("--ledgers", type=int, default=20)
    parser.add_argument("--seed", type=int, default=19)
    parser.add_argument("--full", action="store_true", help="200 ledgers")
    chosen = parser.parse_args()
    report = run(200 if chosen.full else chosen.ledgers, chosen.seed)
    print(report)
    sys.exit(bool(report.faults))


if __name__ == "__main__":
    main()
