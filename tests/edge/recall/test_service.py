"""A restored ledger hears again what it had told: afterwards its books are the cloud's, and nothing stays open."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import pytest

from edge.dispensing.rules import LAPSE_S
from edge.failpoints import Failpoints
from edge.orders.sweep import SWEEP_S
from firmware.vending.rules import running
from shared.contract import Rail
from shared.inventory import Reason
from shared.orders import OrderState, OrderView, VendOutcome, VendProgress
from tests.fakes.device import DROPPED, NOTHING_FELL
from tests.fakes.restored_site import Past, books_of, connect, hear, lose, parsed, recall, restored, rows_of, told
from tests.fakes.site import PRICE_MINOR, SLOTS, Site, running_site

OPEN = (OrderState.PLACED, OrderState.AUTHORISED, OrderState.DISPENSING)


def started(view: OrderView) -> bool:
    return view.vends[0].state is VendProgress.STARTED


async def sell(site: Site, *slots: str) -> OrderView:
    """Pay in coins and take it."""
    for _ in slots:
        await site.device.insert_coin(PRICE_MINOR)
    return await site.until_state((await site.order(*slots)).order_id, OrderState.SETTLED)


async def morning(site: Site) -> None:
    """Before the backup: a sale, and a vend that is under way when the backup is made."""
    await sell(site, "A1")
    await site.device.insert_coin(PRICE_MINOR)
    site.device.slow = True
    under_way = await site.order("A1")
    await site.until(under_way.order_id, started)
    await site.database.back_up()
    site.device.slow = False
    await site.device.turn()
    await site.until_state(under_way.order_id, OrderState.SETTLED)


async def noon(site: Site) -> None:
    """After it: sales, a change of mind, a slot that jams and is mended, one that jams, and a vend under way."""
    await sell(site, "A1", "A2")
    unpaid = await site.order("A2")
    await site.orders.cancel(unpaid.order_id)
    site.device.evidence = NOTHING_FELL
    await sell(site, "A1")
    await site.move_stock("A1", 5, Reason.RESTOCK)
    await sell(site, "A3")
    site.device.evidence = DROPPED
    site.device.slow = True
    await site.until((await site.order("A2", "A1")).order_id, started)
    await site.device.start()
    await site.device.insert_coin(500)
    await site.settle()


async def make_past(folder: Path, after: Callable[[Site], Awaitable[None]] = noon) -> Past:
    """A site with that history."""
    async with running_site(folder / "site", Rail.CASH) as site:
        await morning(site)
        backed_up = len(await told(site)) - 4
        await after(site)
        return await lose(site, folder / "lost", backed_up)


async def ended(site: Site) -> None:
    """Let the device do what it has accepted, and time pass, until no order is open."""
    await connect(site)
    site.device.slow = False
    for _ in range(20):
        if running(site.device.journal) is not None:
            await site.device.turn()
        await site.device.report_open()
        await site.settle()
        counts = await site.orders.count_by_state()
        if not any(state in counts for state in OPEN):
            return
        site.clock.step(LAPSE_S / 3)
    raise AssertionError(f"orders stay open: {counts}")


async def news(site: Site) -> set[str]:
    """The kinds of facts that the ledger has written itself, devices' coming and going aside."""
    return {str(fact.body.event) for fact in await site.facts()} - {"device_link_changed"}


async def assert_books_agree(site: Site, known: tuple[bytes, ...]) -> None:
    """The ledger says what all facts say that the cloud has or will have."""
    books = books_of(parsed(known) + await site.facts())
    assert books.wrong == []
    assert {slot: await site.stock(slot) for slot in SLOTS} == {slot: books.stock[slot] for slot in SLOTS}
    assert await site.credit() == books.credit
    states = await site.database.read(lambda tx: tx.all("SELECT order_id, state FROM orders"))
    assert {row["order_id"]: row["state"] for row in states} == {str(key): value for key, value in books.orders.items()}
    assert not any(value in OPEN for value in books.orders.values())
    reserved = await site.database.read(lambda tx: tx.all("SELECT slot FROM stock WHERE reserved != 0"))
    assert reserved == []
    assert set(site.device.starts.values()) == {1}


@pytest.mark.criterion("8.3")
async def test_what_was_told_is_there_again_row_by_row(tmp_path: Path) -> None:
    past = await make_past(tmp_path)
    async with restored(past, tmp_path / "restored", len(past.lines)) as site:
        assert await site.database.read(rows_of) != past.rows
        for _ in range(2):
            await hear(site, past.lines)
            assert await site.database.read(rows_of) == past.rows
            await site.database.unit("test.again", lambda tx: site.outbox.recalled(tx, 1, 0))
        assert await news(site) == set()
        await recall(site, past.lines)
        assert await site.recall.wanted() is None
        await ended(site)
        await assert_books_agree(site, past.lines)
        assert (await site.stock("A1"), await site.stock("A2"), await site.stock("A3")) == (12, 8, 10)


async def test_wherever_the_cloud_was_cut_off_the_books_agree(tmp_path: Path) -> None:
    """It may have half of what was committed together: the rest is made good, and told."""
    past = await make_past(tmp_path)
    assert len(past.lines) - past.backed_up > 40
    for known in range(past.backed_up, len(past.lines) + 1):
        async with restored(past, tmp_path / f"cut{known}", known) as site:
            await recall(site, past.lines[:known])
            await ended(site)
            await assert_books_agree(site, past.lines[:known])


class Crash(BaseException):
    """Takes the place of the end of the process."""


class CrashAt(Failpoints):
    """Raises at the first hit of one name."""

    def hit(self, name: str) -> None:
        if name == self._name:
            raise Crash


@pytest.mark.parametrize("point", ["recall.take", "recall.finish"])
@pytest.mark.parametrize("side", ["before_commit", "after_commit"])
async def test_a_crash_in_the_midst_costs_nothing(tmp_path: Path, point: str, side: str) -> None:
    past = await make_past(tmp_path)
    place = tmp_path / "restored"
    with pytest.raises(Crash):
        async with restored(past, place, len(past.lines), CrashAt(f"{point}.{side}")) as site:
            await recall(site, past.lines)
    async with restored(past, place, len(past.lines)) as site:
        if (point, side) != ("recall.finish", "after_commit"):
            await recall(site, past.lines)
        await ended(site)
        await assert_books_agree(site, past.lines)


async def test_selling_goes_on_before_anything_is_recalled(tmp_path: Path) -> None:
    past = await make_past(tmp_path)
    async with restored(past, tmp_path / "restored", len(past.lines)) as site:
        await connect(site)
        site.device.slow = False
        await site.device.turn()
        before = await site.stock("A3")
        view = await sell(site, "A3")
        assert view.vends[0].outcome is VendOutcome.DISPENSED
        assert await site.stock("A3") == before - 1
        await recall(site, past.lines)
        await ended(site)
        await assert_books_agree(site, past.lines)


async def test_what_was_open_is_moved_by_nobody_until_all_is_recalled(tmp_path: Path) -> None:
    past = await make_past(tmp_path)
    async with restored(past, tmp_path / "restored", len(past.lines)) as site:
        await connect(site)
        site.device.slow = False
        open_orders = [row for row in past.rows["orders"] if row[6] in OPEN]
        await site.device.turn()
        site.clock.step(10 * LAPSE_S)
        await site.settle()
        assert await news(site) == set()
        assert site.device.journal.vends, "the report of a vend nobody remembers yet was acknowledged"
        await recall(site, past.lines)
        await ended(site)
        view = await site.orders.view(UUID(open_orders[0][0]))
        assert Counter(vend.outcome for vend in view.vends) == {VendOutcome.DISPENSED: 1, VendOutcome.AMBIGUOUS: 1}


async def test_a_half_told_order_is_left_alone(tmp_path: Path) -> None:
    """Between two pages its vends look as if they waited for the device; they may have run long ago."""
    past = await make_past(tmp_path)
    events = [fact.body.event for fact in parsed(past.lines)]
    authorised = len(events) - events[::-1].index("payment_authorised")
    async with restored(past, tmp_path / "restored", len(past.lines)) as site:
        await hear(site, past.lines[:authorised])
        await connect(site)
        site.device.slow = False
        await site.device.turn()
        before = set(site.device.starts)
        live = await sell(site, "A2")
        site.clock.step(10 * LAPSE_S)
        await asyncio.sleep(SWEEP_S + 0.1)
        assert set(site.device.starts) - before == {str(live.vends[0].vend_id)}
        resolved = {fact.body.vend_id for fact in await site.facts() if fact.body.event == "vend_resolved"}
        assert resolved == {live.vends[0].vend_id}
        await recall(site, past.lines)
        await ended(site)
        await assert_books_agree(site, past.lines)


async def test_what_was_seen_since_the_restore_has_the_last_word(tmp_path: Path) -> None:
    """The told restock mended the slot of before; it says nothing of a jam that came after it."""
    past = await make_past(tmp_path)
    mended = next(place for place, line in enumerate(past.lines, 1) if b'"restock"' in line)
    async with restored(past, tmp_path / "restored", mended) as site:
        await connect(site)
        site.device.slow = False
        await site.device.turn()
        site.device.evidence = NOTHING_FELL
        await sell(site, "A1")
        await recall(site, past.lines[:mended])
        levels = await site.database.read(lambda tx: site.inventory.levels(tx, site.machine_id))
        assert [slot for slot, level in levels.items() if level.suspect] == ["A1"]


async def test_without_any_backup_the_whole_history_comes_back(tmp_path: Path) -> None:
    """The machine's configuration comes first, from the cloud; then all that ever happened to it."""
    past = await make_past(tmp_path)
    place = tmp_path / "bare"
    place.mkdir()
    (place / "epoch").write_text("1")
    async with restored(past, place, len(past.lines)) as site:
        await site.configure(Rail.CASH, opening=0)
        await hear(site, past.lines)
        wanted = {**past.rows, "stock_movements": [], "stock": []}
        found = await site.database.read(rows_of)
        assert {**found, "stock_movements": [], "stock": []} == wanted
        assert [row[2] for row in found["stock"]] == [row[2] for row in past.rows["stock"]]
        await recall(site, past.lines)
        await connect(site)
        assert (await site.stock("A1"), await site.stock("A3")) == (12, 10)


async def test_credit_spent_twice_is_the_operators_loss(tmp_path: Path) -> None:
    """The backup holds a coin that was spent later: it is spent again before the recall, and the next coin counts."""

    async def spend(site: Site) -> None:
        await site.until_state((await site.order("A2")).order_id, OrderState.SETTLED)

    async with running_site(tmp_path / "site", Rail.CASH) as site:
        await site.device.insert_coin(PRICE_MINOR)
        await site.settle()
        await site.database.back_up()
        backed_up = len(await told(site))
        await spend(site)
        past = await lose(site, tmp_path / "lost", backed_up)
    async with restored(past, tmp_path / "restored", len(past.lines)) as site:
        await connect(site)
        assert await site.credit() == PRICE_MINOR
        await spend(site)
        await recall(site, past.lines)
        assert await site.credit() == 0
        await sell(site, "A1")
