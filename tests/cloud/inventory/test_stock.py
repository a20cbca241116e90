"""What operators see of stock, page by page."""

from typing import Any

from shared.inventory import Reason
from tests.cloud.conftest import World


async def listed(world: World, query: str) -> dict[str, Any]:
    answer: dict[str, Any] = await (await world.client.get(f"/v1/inventory?{query}", headers=world.operator)).get_json()
    return answer


async def test_stock_is_listed_by_machine_and_page_by_page(world: World) -> None:
    slots = [await world.slot(machine, code) for machine in (0, 1) for code in ("A1", "A2")]
    for quantity, slot in enumerate(slots, 1):
        world.gateway.move(slot, quantity, Reason.RESTOCK)
    await world.acknowledged()
    expected = sorted((str(slot.machine_id), slot.slot, quantity) for quantity, slot in enumerate(slots, 1))

    for wanted in {str(slot.machine_id) for slot in slots}:
        page = await listed(world, f"machine_id={wanted}")
        shown = [(level["machine_id"], level["slot"], level["quantity"]) for level in page["stock"]]
        assert shown == [level for level in expected if level[0] == wanted]

    seen, query = [], "limit=3"
    while True:
        page = await listed(world, query)
        seen += [(level["machine_id"], level["slot"], level["quantity"]) for level in page["stock"]]
        if page["next_cursor"] is None:
            break
        query = f"limit=3&cursor={page['next_cursor']}"
    assert seen == expected


async def test_a_movement_answers_its_instruction_and_no_other(world: World) -> None:
    (asked, left) = (await world.rows("SELECT id FROM stock_instructions WHERE applied_at IS NULL ORDER BY id"))[:2]
    world.gateway.move(await world.slot(), 3, Reason.OPENING, movement_id=asked["id"])
    world.gateway.move(await world.slot(), -1, Reason.VEND, movement_id=left["id"])
    await world.acknowledged()
    applied = await world.rows("SELECT id FROM stock_instructions WHERE applied_at IS NOT NULL")
    assert applied == [asked]
