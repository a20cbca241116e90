"""However a list of facts is cut into batches, and whatever in it contradicts itself, the books end the same."""

import random
from typing import Any

import asyncpg
import pytest

from cloud.database import credentials
from shared.contract import Rail
from shared.devices import DeviceClaimed, DeviceLinkChanged, Evidence
from shared.inventory import Reason, SlotSuspected
from shared.orders import OrderState, VendCancelRequested, VendDispensedUnpaid, VendOutcome, VendResolved
from shared.payments import PaymentVoided
from shared.sync import FACT, FactBody
from tests.cloud.conftest import World
from tests.fakes.gateway_client import GatewayClient, Slot

BOOKS = {
    "orders": "id, state, captured_minor, given_back_minor, ended_at",
    "vends": "id, order_id, state, cancel_reason, outcome, evidence, dispensed_unpaid, requested_at, device_seq",
    "payments": "id, order_id, state, captured_minor, given_back_minor",
    "stock": "machine_id, slot, quantity, suspect, sensed_empty",
    "stock_movements": "id, delta, reason",
    "devices": "id, claimed_at, online, link_changed_at, link_reason",
    "sales_hours": "*",
    "sales_days": "*",
    "product_days": "product_id, day, dispensed, not_started, no_drop, cancelled, ambiguous, sold_minor",
    "dead_letters": "seq, reason, tries",
}
DROP = Evidence(drop=True, left_home=True, home_before=True, home_after=True, motor_ms=900)


async def forget(world: World) -> None:
    """As if the gateway had told nothing yet."""
    owner = await asyncpg.connect(**credentials(world.url) | {"user": "larder_owner"})
    try:
        books = "facts, orders, stock, stock_movements, credits, sales_hours, sales_days, product_days"
        await owner.execute(f"TRUNCATE {books} CASCADE; ALTER TABLE gateways DISABLE TRIGGER gateways_mark_rises")
    finally:
        await owner.close()
    await world.rows("UPDATE gateways SET epoch = 0, seq = 0, chain = decode(repeat('00', 32), 'hex')")
    await world.rows("UPDATE devices SET claimed_at = NULL, online = false, link_changed_at = NULL, link_reason = ''")


async def books(world: World, cuts: list[int]) -> dict[str, list[dict[str, Any]]]:
    """The books after pushing the gateway's facts in batches that begin after these places."""
    await forget(world)
    ends = [*cuts, len(world.gateway.lines)]
    for before, end in zip([0, *cuts], ends, strict=True):
        await world.acknowledged(before + 1, end - before)
    return {table: await world.rows(f"SELECT {shown} FROM {table} ORDER BY 1, 2") for table, shown in BOOKS.items()}  # noqa: S608  no outsider's words


def told(slot: Slot) -> list[FactBody]:
    """Consistent stories of two orders and a device."""
    source = GatewayClient()
    source.sell(slot, [VendOutcome.DISPENSED, VendOutcome.NO_DROP], Rail.CASH)
    source.sell(slot)
    bodies = [FACT.validate_json(line).body for line in source.lines]
    device: dict[str, Any] = {"device_id": slot.device_id, "machine_id": slot.machine_id}
    bodies += [DeviceClaimed(**device), DeviceLinkChanged(**device, online=True, reason="hello")]
    return bodies


def contradiction(rng: random.Random, body: FactBody, others: list[FactBody]) -> FactBody:
    """Another word on what `body` speaks of."""
    at = {name: value for name, value in vars(body).items() if name in {"order_id", "vend_id", "machine_id", "slot"}}
    if body.event == "vend_resolved":
        outcome = rng.choice([*VendOutcome, None])
        if outcome is not None:
            return VendResolved(**at, outcome=outcome, evidence=rng.choice([None, DROP]))
        return VendDispensedUnpaid(**at, evidence=rng.choice([None, DROP]))
    if body.event == "vend_requested":
        return VendCancelRequested(order_id=body.order_id, vend_id=body.vend_id, reason="customer")
    if body.event == "stock_moved":
        return SlotSuspected(machine_id=body.machine_id, slot=body.slot, vend_id=body.movement_id)
    if body.event == "order_ended":
        state = rng.choice([OrderState.SETTLED, OrderState.EXPIRED])
        return body.model_copy(update={"captured_minor": 999_999, "state": state})
    if body.event.startswith("payment_"):
        money = {name: vars(body)[name] for name in ("payment_id", "order_id", "amount_minor", "currency")}
        other = rng.choice([other for other in others if other.event == "order_placed"])
        return rng.choice([PaymentVoided(**money), body.model_copy(update={"order_id": other.order_id}), body])
    return body


def spoiled(rng: random.Random, bodies: list[FactBody]) -> list[FactBody]:
    """The same with contradictions, repeats, gaps and things told before their time."""
    bodies = list(bodies)
    for _ in range(rng.randrange(1, 6)):
        place = rng.randrange(len(bodies))
        deed = rng.random()
        if deed < 0.6:
            bodies.insert(rng.randrange(len(bodies) + 1), contradiction(rng, bodies[place], bodies))
        elif deed < 0.8:
            bodies.insert(rng.randrange(len(bodies)), bodies.pop(place))
        else:
            del bodies[place]
    return bodies


@pytest.mark.parametrize("seed", range(20))
async def test_any_split_ends_the_same(world: World, seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    world.gateway.add(*spoiled(rng, told(await world.slot())))
    total = len(world.gateway.lines)
    one_by_one = await books(world, list(range(1, total)))
    assert await books(world, []) == one_by_one
    assert await books(world, sorted(rng.sample(range(1, total), 3))) == one_by_one


async def test_the_first_outcome_and_the_first_end_stand(world: World) -> None:
    gateway, slot = world.gateway, await world.slot()
    gateway.sell(slot)
    bodies = [FACT.validate_json(line).body for line in gateway.lines]
    for body in bodies:
        if body.event == "vend_resolved":
            gateway.add(body.model_copy(update={"outcome": VendOutcome.NO_DROP}))
        elif body.event == "order_ended":
            gateway.add(body.model_copy(update={"captured_minor": 999_999}))
        elif body.event == "payment_captured":
            money: dict[str, Any] = {"payment_id": body.payment_id, "order_id": body.order_id}
            gateway.add(PaymentVoided(amount_minor=body.amount_minor, currency=body.currency, **money))
    gateway.move(slot, 5, Reason.RESTOCK)
    await world.acknowledged()
    assert [row["outcome"] for row in await world.rows("SELECT outcome FROM vends")] == ["dispensed"]
    assert [row["captured_minor"] for row in await world.rows("SELECT captured_minor FROM orders")] == [2500]
    assert [row["state"] for row in await world.rows("SELECT state FROM payments")] == ["settled"]
    assert len(await world.rows("SELECT 1 FROM dead_letters")) == 3
