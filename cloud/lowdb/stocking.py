"""What an inventory becomes: products, a planogram, and an opening of the stock. Inside a unit of the tenant."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from cloud.catalog import service as catalog
from cloud.database import Transaction
from cloud.inventory import service as inventory
from cloud.lowdb.machines import Place, board_of
from cloud.lowdb.mapping import Mapping
from cloud.lowdb.rules import Item, Oddity
from shared.catalog import PlanogramSlot

MOST_UNITS = 1000
"""In a slot; and so many fewer than none."""


async def stock(
    transaction: Transaction,
    tenant_id: UUID,
    mapping: Mapping,
    source: str,
    place: Place,
    items: Sequence[tuple[UUID, Item]],
    now: datetime,
) -> dict[UUID, UUID]:
    """The product of each item, by the id of its record. Products of the same name are one.

    A machine that has a planogram keeps it, and its stock: a gateway may have told of it.
    """
    products = await catalog.products_called([item.name for _, item in items])
    for _, item in items:
        if item.name not in products:
            products[item.name] = await catalog.create_product(tenant_id, item.name)
    if await catalog.is_planned(place.machine_id):
        for _, item in items:
            item.odd.add(Oddity.NOT_PLANNED)
    else:
        slots = _slots([item for _, item in items])
        if slots:
            board = await board_of(transaction, tenant_id, place, source, now)
            planned = [
                PlanogramSlot(
                    slot=slot,
                    product_id=products[item.name],
                    device_id=board,
                    price_minor=item.price_minor or 0,
                    capacity=max(mapping.capacity, item.quantity or 0),
                    par_level=0,
                )
                for slot, item in slots.items()
            ]
            await catalog.publish_planogram(transaction, tenant_id, place.machine_id, now, planned)
            opening = [(slot, item.quantity) for slot, item in slots.items() if item.quantity]
            await inventory.open_stock(transaction, tenant_id, place.site_id, place.machine_id, opening, now)
    return {record_id: products[item.name] for record_id, item in items}


def _slots(items: Sequence[Item]) -> dict[str, Item]:
    """Which item sits where: the first that says so. One without a price or a count that can be is left out."""
    found: dict[str, Item] = {}
    for item in items:
        if item.slot is None or item.price_minor is None:
            item.odd.add(Oddity.NOT_PLANNED)
        elif item.quantity is not None and abs(item.quantity) > MOST_UNITS:
            item.odd |= {Oddity.ODD_QUANTITY, Oddity.NOT_PLANNED}
        elif item.slot in found:
            item.odd |= {Oddity.SLOT_TAKEN, Oddity.NOT_PLANNED}
        else:
            found[item.slot] = item
    return found
