"""The cloud was cut off somewhere; the restored gateway recalls, ends what was open and tells it: the books close."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.cloud.conftest import World
from tests.edge.recall.test_service import ended, make_past
from tests.fakes.restored_site import Past, recall, restored, told
from tests.fakes.site import SLOTS, Site

OPEN_HERE = """
    SELECT o.id FROM orders o JOIN payments p ON p.order_id = o.id
    WHERE o.ended_at IS NULL OR p.state NOT IN ('settled', 'voided')
       OR p.state = 'settled' AND p.captured_minor + p.given_back_minor <> o.total_minor
"""
DEAD = "SELECT epoch, seq, reason FROM dead_letters"


async def as_of_this_cloud(world: World, past: Past) -> dict[bytes, bytes]:
    """Ids of the past's site, and which of this cloud's stand for them."""
    slot, order = await world.slot(), past.rows["vends"][0]
    pairs = {order[3]: slot.machine_id, order[4]: slot.device_id, order[6]: slot.product_id}
    return {str(old).encode(): str(new).encode() for old, new in pairs.items()}


async def tell(world: World, lines: tuple[bytes, ...], ids: dict[bytes, bytes]) -> None:
    """Push lines as one epoch."""
    for line in lines:
        for old, new in ids.items():
            line = line.replace(old, new)  # noqa: PLW2901
        world.gateway.add_line(line)
    await world.acknowledged()


async def stock_of(world: World, machine_id: UUID) -> dict[str, int]:
    rows: list[dict[str, Any]] = await world.rows("SELECT slot, quantity FROM stock WHERE machine_id = $1", machine_id)
    return {row["slot"]: row["quantity"] for row in rows}


async def stock_there(site: Site) -> dict[str, int]:
    return {slot: await site.stock(slot) for slot in sorted(SLOTS)}


@pytest.mark.criterion("8.1")
@pytest.mark.criterion("8.3")
@pytest.mark.parametrize("lost", [0, 1, 2, 3, 7, 12, 23, 34])
async def test_the_books_close_wherever_the_cloud_was_cut_off(world: World, tmp_path: Path, lost: int) -> None:
    past = await make_past(tmp_path)
    known = len(past.lines) - lost
    ids = await as_of_this_cloud(world, past)
    async with restored(past, tmp_path / "restored", known) as site:
        await recall(site, past.lines[:known])
        await ended(site)
        await site.settle()
        stock, news = await stock_there(site), await told(site)
    await tell(world, past.lines[:known], ids)
    world.gateway.begin_epoch(2)
    await tell(world, news, ids)
    assert await world.rows(DEAD) == []
    assert await world.rows(OPEN_HERE) == []
    assert await stock_of(world, (await world.slot()).machine_id) == stock
