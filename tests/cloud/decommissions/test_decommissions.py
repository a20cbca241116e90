"""A machine is drained once the ledger proves it, and not before."""

from typing import Any
from uuid import uuid4

import pytest

from cloud.clock import new_id
from shared.catalog import MachineStopped, MachineVersion
from shared.orders import OrderEnded, OrderState
from shared.payments import PaymentAttempted, PaymentVoided
from tests.cloud.catalog.test_writes import patch, pulled
from tests.cloud.conftest import JSON, World
from tests.fakes.gateway_client import Slot

WHY = {"reason": "The place is given up."}


async def ask(world: World, method: str, path: str, status: int, body: Any = None) -> Any:
    headers = world.operator | JSON | {"Idempotency-Key": str(uuid4())}
    answer = await world.client.open(path, method=method, json=body, headers=headers)
    assert answer.status_code == status, await answer.get_data()
    return await answer.get_json()


def path_of(slot: Slot) -> str:
    return f"/v1/machines/{slot.machine_id}/decommission"


async def kinds(world: World, slot: Slot) -> list[str]:
    return [blocker["kind"] for blocker in (await ask(world, "GET", path_of(slot), 200))["blockers"]]


async def told_version(world: World) -> MachineVersion:
    """The machine as its gateway was told of it last."""
    return [change for change in await pulled(world) if isinstance(change, MachineVersion)][-1]


@pytest.mark.criterion("9.7")
async def test_it_sells_nothing_from_when_it_shall_leave_until_that_is_called_off(world: World) -> None:
    slot = await world.slot()
    await ask(world, "GET", path_of(slot), 404)
    begun = await ask(world, "POST", path_of(slot), 201, WHY)
    assert (begun["reason"], begun["called_off_at"]) == (WHY["reason"], None)
    assert not (await told_version(world)).in_service
    assert (await ask(world, "GET", f"/v1/machines/{slot.machine_id}", 200))["state"] == "draining"
    listed = (await ask(world, "GET", "/v1/machines", 200))["machines"]
    assert [row["machine_id"] for row in listed if row["state"] == "draining"] == [str(slot.machine_id)]
    await ask(world, "POST", path_of(slot), 409, WHY)
    assert (await patch(world, f"/v1/machines/{slot.machine_id}", {"in_service": True})).status_code == 200
    assert not (await told_version(world)).in_service
    called_off = await ask(world, "POST", f"{path_of(slot)}/call-off", 201)
    assert called_off["called_off_at"] is not None
    assert called_off["blockers"] == []
    assert (await told_version(world)).in_service
    await ask(world, "POST", f"{path_of(slot)}/call-off", 409)
    again = await ask(world, "POST", path_of(slot), 201, WHY)
    assert again["decommission_id"] != begun["decommission_id"]
    rows = await world.rows("SELECT action FROM audit_entries WHERE action LIKE 'decommission%' ORDER BY number")
    assert [row["action"].removeprefix("decommission_") for row in rows] == ["begun", "called_off", "begun"]


@pytest.mark.criterion("9.7")
async def test_the_gateways_last_word_and_the_ends_of_orders_drain_it(world: World) -> None:
    """Only a word of this drain counts, and of the ledger that the gateway has now."""
    slot = await world.slot()
    early = MachineStopped(machine_id=slot.machine_id, version=1)
    order_id, payment_id = new_id(), new_id()
    about: dict[str, Any] = {"order_id": order_id, "payment_id": payment_id, "currency": "INR"}
    rail = (await told_version(world)).rail
    world.gateway.add(early, world.gateway.placed(order_id, [(new_id(), slot)], rail))
    world.gateway.add(PaymentAttempted(rail=rail, amount_minor=slot.price_minor, **about))
    await world.acknowledged()
    await ask(world, "POST", path_of(slot), 201, WHY)
    assert await kinds(world, slot) == ["still_selling", "open_orders", "open_payments"]
    world.gateway.add(early)
    await world.acknowledged()
    assert "still_selling" in await kinds(world, slot)
    stopped = MachineStopped(machine_id=slot.machine_id, version=(await told_version(world)).version)
    world.gateway.add(stopped)
    await world.acknowledged()
    assert await kinds(world, slot) == ["open_orders", "open_payments"]
    none: dict[str, Any] = {"captured_minor": 0, "given_back_minor": 0}
    ended = OrderEnded(order_id=order_id, machine_id=slot.machine_id, state=OrderState.EXPIRED, **none)
    world.gateway.add(ended)
    await world.acknowledged()
    assert await kinds(world, slot) == ["open_payments"]
    world.gateway.add(PaymentVoided(amount_minor=slot.price_minor, **about))
    await world.acknowledged()
    assert await kinds(world, slot) == []
    world.gateway.begin_epoch(2)
    world.gateway.sell(await world.slot(1))
    await world.acknowledged()
    assert await kinds(world, slot) == ["still_selling"]
    world.gateway.add(stopped)
    await world.acknowledged()
    assert await kinds(world, slot) == []


@pytest.mark.criterion("9.7")
async def test_no_revoked_gateway_leaves_a_machine_drained(world: World) -> None:
    """Nobody knows what it sold since it was last heard."""
    slot = await world.slot()
    await ask(world, "POST", path_of(slot), 201, WHY)
    world.gateway.add(MachineStopped(machine_id=slot.machine_id, version=(await told_version(world)).version))
    await world.acknowledged()
    assert await kinds(world, slot) == []
    await world.rows("UPDATE gateways SET revoked_at = now()")
    assert await kinds(world, slot) == ["still_selling"]
