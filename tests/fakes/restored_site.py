"""A site whose ledger is lost after business nobody backed up, and restored; and the facts the cloud was told."""

import asyncio
import copy
import shutil
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any
from uuid import UUID

from edge.database import Database, Transaction
from edge.failpoints import Failpoints
from edge.watch import Watch
from shared.sync import CHAIN_START, FACT, Ack, Fact, link
from tests.fakes.device import FakeDevice
from tests.fakes.site import Site, SteppedClock
from tests.fakes.until import until

Rows = dict[str, list[tuple[Any, ...]]]

TABLES = {
    "stock": "machine_id, slot, on_hand, reserved, suspect, sensed_empty",
    "stock_movements": "movement_id, machine_id, slot, delta, reason, vend_id",
    "credits": "credit_id, machine_id, device_id, amount_minor, currency",
    "credit_balances": "machine_id, amount_minor",
    "orders": "order_id, machine_id, rail, currency, total_minor, planogram_version, state, placed_at",
    "vends": "vend_id, order_id, position, machine_id, device_id, slot, product_id, product_name, price_minor, state, "
    "outcome, unpaid_drop",
    "payments": "payment_id, order_id, machine_id, rail, currency, amount_minor, captured_minor, given_back_minor, "
    "state",
}
"""What a recall must bring back, row by row. A kiosk's key and the running of its clock are not told."""


@dataclass(frozen=True)
class Past:
    """What there was when the ledger was lost: in `folder` its backup, elsewhere the device and the told lines."""

    folder: Path
    device: FakeDevice
    lines: tuple[bytes, ...]
    backed_up: int
    """So many of the lines are in the backup."""
    rows: Rows


def rows_of(tx: Transaction) -> Rows:
    """The business of a ledger."""
    return {
        table: sorted((tuple(row) for row in tx.all(f"SELECT {names} FROM {table}")), key=str)  # noqa: S608
        for table, names in TABLES.items()
    }


async def told(site: Site) -> tuple[bytes, ...]:
    """All facts of the site, none of which was ever freed."""
    rows = await site.database.read(lambda tx: tx.all("SELECT line FROM outbox ORDER BY epoch, seq"))
    return tuple(row["line"] for row in rows)


async def lose(site: Site, folder: Path, backed_up: int) -> Past:
    """Remember all there is, and keep the backup alone in `folder`."""
    folder.mkdir()
    shutil.copyfile(folder.with_name("site") / "ledger.backup.db", folder / "ledger.backup.db")
    (folder / "epoch").write_text("1")
    return Past(folder, copy.copy(site.device), await told(site), backed_up, await site.database.read(rows_of))


@asynccontextmanager
async def restored(past: Past, place: Path, known: int, failpoints: Failpoints | None = None) -> AsyncIterator[Site]:
    """A gateway over the backup, begun as its app begins it. The cloud has the first `known` of the lost lines."""
    if not place.exists():
        shutil.copytree(past.folder, place)
    watch = Watch()
    database = Database(place, watch, failpoints or Failpoints())
    epoch = await database.open()
    site = Site(database, watch, SteppedClock())
    device = copy.copy(past.device)
    device.starts = Counter(device.starts)
    site.adopt(device)
    chain = reduce(link, past.lines[:known], CHAIN_START)

    def begin(tx: Transaction) -> None:
        if site.outbox.begin_epoch(tx, epoch):
            site.devices.begin_epoch(tx)
            site.order_recall.hold_open(tx)
        site.outbox.free(tx, Ack(epoch=1, seq=known, chain=chain.hex()))

    await database.unit("test.begin", begin)
    task = asyncio.create_task(site.run(), name="restored site")
    try:
        yield site
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await database.close()


async def hear(site: Site, lines: Sequence[bytes]) -> None:
    """Let the site hear `lines` of epoch 1 from where it is."""
    wanted = await site.recall.wanted()
    assert wanted is not None
    assert wanted.before_epoch == 2
    if lines[wanted.seq :]:
        await site.recall.take(1, wanted.seq + 1, lines[wanted.seq :])


async def recall(site: Site, lines: Sequence[bytes]) -> None:
    """Let the site hear `lines` of epoch 1 from where it is, and no more."""
    await hear(site, lines)
    await site.recall.finish()


async def connect(site: Site) -> None:
    """Let the device come, as it does: hello, then whatever was not acknowledged."""
    await site.connect()
    await until(lambda: site.links.online(site.device_id))
    await site.device.report_open()


@dataclass
class Books:
    """What facts add up to, read as the cloud reads them. `wrong` is what no ledger may say."""

    stock: Counter[str] = field(default_factory=Counter)
    credit: int = 0
    orders: dict[UUID, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def once(self, seen: set[object], key: object) -> None:
        """Note what may be told once only."""
        if key in seen:
            self.wrong.append(f"told twice: {key}")
        seen.add(key)


def books_of(facts: Sequence[Fact]) -> Books:
    """Add up, and look for contradictions."""
    books, seen, due = Books(), set[object](), defaultdict[UUID, int](int)
    for body in (fact.body for fact in facts):
        match body.event:
            case "stock_moved":
                books.once(seen, ("movement", body.movement_id))
                books.stock[body.slot] += body.delta
                if body.vend_id is not None and ("vend", body.vend_id) not in seen:
                    books.wrong.append(f"moved by a vend that was never told: {body.vend_id}")
            case "credit_inserted":
                books.once(seen, ("credit", body.credit_id))
                books.credit += body.amount_minor
            case "order_placed":
                books.once(seen, ("placed", body.order_id))
                books.orders[body.order_id] = "placed"
                seen |= {("vend", vend.vend_id) for vend in body.vends}
            case "payment_attempted":
                books.once(seen, ("attempted", body.order_id))
            case "payment_authorised":
                books.once(seen, ("authorised", body.order_id))
                books.credit -= body.amount_minor
                due[body.order_id] += body.amount_minor
            case "payment_voided":
                books.once(seen, ("voided", body.order_id))
            case "vend_resolved":
                books.once(seen, ("resolved", body.vend_id))
            case "payment_captured" | "payment_given_back":
                books.once(seen, ("money", body.vend_id))
                books.credit += body.amount_minor if body.event == "payment_given_back" else 0
                due[body.order_id] -= body.amount_minor
            case "order_ended":
                books.once(seen, ("ended", body.order_id))
                books.orders[body.order_id] = body.state
                if due[body.order_id]:
                    books.wrong.append(f"order {body.order_id} ended owing {due[body.order_id]}")
    return books


def parsed(lines: Sequence[bytes]) -> list[Fact]:
    """Lines as facts."""
    return [FACT.validate_json(line) for line in lines]
