"""The table: which events go to which feature, in which order.

A later row builds on what an earlier one has made. Each row gets all its facts of a batch at once.
"""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import asyncpg

from cloud.climate import service as climate
from cloud.configuration import service as configuration
from cloud.database import Transaction
from cloud.devices import service as devices
from cloud.errors import FactRefused
from cloud.inventory import service as inventory
from cloud.orders import service as orders
from cloud.payments import service as payments
from cloud.rollouts import service as rollouts
from cloud.upkeep import service as upkeep
from shared.sync import Fact

Handler = Callable[[Transaction, UUID, Sequence[Fact]], Awaitable[None]]

_VEND_EVENTS = frozenset({"vend_requested", "vend_cancel_requested", "vend_resolved", "vend_dispensed_unpaid"})
_PAYMENT_EVENTS = frozenset(
    {"payment_attempted", "payment_authorised", "payment_captured", "payment_given_back", "payment_voided"}
)

_OF_A_DEVICE = frozenset({"device_claimed", "device_link_changed"})
_OF_A_SLOT = frozenset({"stock_moved", "slot_suspected", "slot_sensed"})
_OF_FIRMWARE = frozenset({"firmware_changed"})
_OF_SETTINGS = frozenset({"settings_reported"})
_OF_A_ZONE = frozenset({"zone_locked", "zone_released"})
LAST_WORD = _OF_A_DEVICE | _OF_A_SLOT | _OF_FIRMWARE | _OF_SETTINGS | _OF_A_ZONE
"""Events of which the last one in (epoch, seq) order says how it is now."""

PROJECTIONS: tuple[tuple[Handler, frozenset[str]], ...] = (
    (devices.record_steps, _OF_A_DEVICE),
    (orders.record, _VEND_EVENTS | {"order_placed", "payment_authorised", "order_ended"}),
    (payments.record, _PAYMENT_EVENTS),
    (payments.record_credits, frozenset({"credit_inserted"})),
    (inventory.record, _OF_A_SLOT),
    (climate.record, _OF_A_ZONE),
    (rollouts.record_firmware, _OF_FIRMWARE),
    (rollouts.record_claimed, frozenset({"device_claimed"})),
    (rollouts.record_given_up, frozenset({"firmware_given_up"})),
    (configuration.record_settings, _OF_SETTINGS),
    (upkeep.record_ended, frozenset({"device_instruction_ended"})),
)

_HANDLERS = {
    event: [handler for handler, concerned in PROJECTIONS if event in concerned]
    for event in frozenset().union(*(events for _, events in PROJECTIONS))
}

POISON = (FactRefused, asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, ValueError)
"""What is wrong with a fact itself. Any other error stops the batch: it will be sent again."""


async def project(transaction: Transaction, tenant_id: UUID, machines: frozenset[UUID], facts: Sequence[Fact]) -> None:
    """Let facts of one site's gateway take effect. Raises one of POISON, or what the database raises."""
    _refuse_strange_machines(machines, facts)
    older = _orders_of_before(facts)
    concerned: dict[Handler, list[Fact]] = {handler: [] for handler, _ in PROJECTIONS}
    for fact in facts:
        for handler in _HANDLERS.get(fact.body.event, ()):
            concerned[handler].append(fact)
    for handler, found in concerned.items():
        if found:
            await handler(transaction, tenant_id, found)
    if older:
        await orders.refuse_strangers(transaction, list(machines), list(older))


def subject(fact: Fact) -> tuple[UUID, str] | None:
    """The device, its firmware, its settings, one of its zones or the slot of which a fact says how it is now."""
    event, told = fact.body.event, vars(fact.body)
    if event in _OF_A_DEVICE:
        return told["device_id"], ""
    if event in _OF_FIRMWARE:
        return told["device_id"], "firmware"
    if event in _OF_SETTINGS:
        return told["device_id"], "settings"
    if event in _OF_A_ZONE:
        return told["device_id"], f"zone {told['zone']}"
    return (told["machine_id"], told["slot"]) if event in _OF_A_SLOT else None


async def restate(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """What these facts, in effect already, last said of their subjects stands again. Nothing is added up twice."""
    of_devices = [fact for fact in facts if fact.body.event in _OF_A_DEVICE]
    if of_devices:
        await devices.record_steps(transaction, tenant_id, of_devices)
    of_firmware = [fact for fact in facts if fact.body.event in _OF_FIRMWARE]
    if of_firmware:
        await rollouts.record_firmware(transaction, tenant_id, of_firmware)
    of_settings = [fact for fact in facts if fact.body.event in _OF_SETTINGS]
    if of_settings:
        await configuration.record_settings(transaction, tenant_id, of_settings)
    of_zones = [fact for fact in facts if fact.body.event in _OF_A_ZONE]
    if of_zones:
        await climate.record(transaction, tenant_id, of_zones)
    await inventory.restate(transaction, tenant_id, facts)


def _refuse_strange_machines(machines: frozenset[UUID], facts: Sequence[Fact]) -> None:
    for fact in facts:
        machine_id = vars(fact.body).get("machine_id")
        if machine_id is not None and machine_id not in machines:
            raise FactRefused(f"machine {machine_id} is not of this site")


def _orders_of_before(facts: Sequence[Fact]) -> set[UUID]:
    """Orders that the facts speak of and that were placed in another batch.

    Raises FactRefused when one is placed after facts of it: those find no order when they come alone; together with it
    they shall not either.
    """
    orders_told: set[UUID] = set()
    vends_told: set[UUID] = set()
    placed: set[UUID] = set()
    for fact in facts:
        body = fact.body
        if body.event == "order_placed":
            placed.add(body.order_id)
            if body.order_id in orders_told or not vends_told.isdisjoint([vend.vend_id for vend in body.vends]):
                raise FactRefused("facts of the order came before it")
        else:
            told = vars(body)
            if (order_id := told.get("order_id")) is not None:
                orders_told.add(order_id)
            if (vend_id := told.get("vend_id")) is not None:
                vends_told.add(vend_id)
    return orders_told - placed
