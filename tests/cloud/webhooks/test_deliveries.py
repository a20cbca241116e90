"""From a gateway's facts to a receiver: each once or more, under one id, whatever dies on the way."""

import asyncio
import base64
import hmac
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import pytest

from cloud.callers import system
from cloud.clock import Clock
from cloud.database import Database, Work
from cloud.errors import Unavailable
from cloud.failpoints import Failpoints
from cloud.jobs import Keeper
from cloud.sync.ingest import Ingest
from cloud.webhooks import queue
from cloud.webhooks.queue import Bounds
from cloud.webhooks.rules import MOST_TRIES
from shared.devices import DeviceLinkChanged
from shared.inventory import Reason, SlotSensed
from shared.orders import VendOutcome
from tests.cloud.webhooks.conftest import Hooks
from tests.fakes.until import until
from tests.fakes.webhook_receiver import SILENCE, Received, answer

T = TypeVar("T")

SALE = ("order.placed", "order.completed", "vend.failed", "stock.changed")


class Death(Exception):
    """Of a process, at a fail-point."""


class Dying(Failpoints):
    """In place of the process its task dies."""

    def hit(self, name: str) -> None:
        if name == "webhooks.sent":
            raise Death


class AwayOnce(Database):
    """Cannot be reached for the first turn of a tenant."""

    is_away = True

    async def unit(self, name: str, work: Work[T], **whose: Any) -> T:
        if name == "webhooks.turn" and self.is_away:
            self.is_away = False
            raise Unavailable
        return await super().unit(name, work, **whose)


BUSY = """
    WITH site AS (INSERT INTO sites (tenant_id, id, name, currency)
        SELECT tenant_id, uuidv7(), 'Busy', currency FROM sites RETURNING tenant_id, id)
    INSERT INTO gateways (tenant_id, id, site_id, name, epoch, seq)
    SELECT tenant_id, uuidv7(), id, 'Busy', 1, 1000 FROM site
"""
"""A gateway with more and more facts that are past their time already."""


def is_signed(received: Received, secret: str) -> bool:
    """As a receiver checks it."""
    headers = received.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + received.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return expected in headers["webhook-signature"].split(" ")


async def test_what_facts_say_is_told_signed_and_once(hooks: Hooks) -> None:
    world, slot = hooks.world, await hooks.world.slot()
    world.gateway.sell(slot)
    await world.acknowledged()
    made = await hooks.create(*SALE)
    other = await hooks.create("device.disconnected", "slot.empty", path="/other")
    before = len(world.gateway.lines)
    order_id = world.gateway.sell(slot, [VendOutcome.DISPENSED, VendOutcome.NO_DROP])
    told: dict[str, Any] = {"device_id": slot.device_id, "machine_id": slot.machine_id, "reason": "test"}
    world.gateway.add(DeviceLinkChanged(online=True, **told), DeviceLinkChanged(online=False, **told))
    world.gateway.add(SlotSensed(machine_id=slot.machine_id, slot=slot.slot, empty=True))
    await world.acknowledged(before + 1)
    noted = await world.rows("SELECT FROM webhook_events UNION ALL SELECT FROM webhook_deliveries")
    assert noted == [], "ingest did work for webhooks"
    assert await hooks.sent() == 6
    assert await hooks.sent() == 0
    got = [received for received in hooks.receiver.received if "/in" in received.line]
    assert sorted(received.event["type"] for received in got) == sorted(
        ["order.placed", "stock.changed", "vend.failed", "order.completed"]
    )
    assert all(is_signed(received, made["secret"]) for received in got)
    assert not any(is_signed(received, other["secret"]) for received in got)
    (ended,) = [received.event for received in got if received.event["type"] == "order.completed"]
    assert ended["data"]["order_id"] == str(order_id)
    assert ended["data"]["given_back_minor"] == slot.price_minor
    assert ended["data"]["seq"] == len(world.gateway.lines) - 3
    assert ended["timestamp"].endswith("Z")
    elsewhere = [received.event["type"] for received in hooks.receiver.received if "/other" in received.line]
    assert sorted(elsewhere) == ["device.disconnected", "slot.empty"]
    listed = await hooks.get(f"/v1/webhooks/{made['webhook_id']}/deliveries?state=delivered&limit=3")
    assert len(listed["deliveries"]) == 3
    more = f"/v1/webhooks/{made['webhook_id']}/deliveries?state=delivered&limit=3&cursor={listed['next_cursor']}"
    assert len((await hooks.get(more))["deliveries"]) == 1


async def test_a_long_history_is_followed_without_a_gap(hooks: Hooks) -> None:
    hooks.worker = hooks.new_worker(bounds=Bounds(facts=3))
    await hooks.create("stock.changed")
    for _ in range(8):
        hooks.world.gateway.move(await hooks.world.slot(), 1, Reason.RESTOCK)
    await hooks.world.acknowledged()
    counts = [await hooks.sent() for _ in range(4)]
    assert counts == [3, 3, 2, 0]
    assert [received.event["data"]["seq"] for received in hooks.receiver.received] == list(range(1, 9))


async def test_no_gateway_waits_while_others_always_have_news(hooks: Hooks) -> None:
    hooks.worker = hooks.new_worker(bounds=Bounds(gateways=1))
    await hooks.create("stock.changed")
    await hooks.world.rows(BUSY)
    hooks.world.gateway.move(await hooks.world.slot(), 1, Reason.RESTOCK)
    await hooks.world.acknowledged()
    for _ in range(64):  # by lot: to miss each time is less likely than a stroke of lightning
        await hooks.world.rows("UPDATE gateways SET seq = seq + 1 WHERE name = 'Busy'")
        if await hooks.sent():
            break
    assert [received.event["data"]["seq"] for received in hooks.receiver.received] == [1]


async def test_a_turn_ends_after_so_many_deliveries_and_says_that_there_is_more(hooks: Hooks) -> None:
    await hooks.create("stock.changed")
    await hooks.world.rows(BUSY)
    hooks.world.gateway.move(await hooks.world.slot(), 1, Reason.RESTOCK)
    await hooks.world.acknowledged()

    async def turn(bounds: Bounds) -> bool:
        work = partial(queue.turn, tenant_id=hooks.world.tenant_id, now=hooks.clock.now(), room=0, bounds=bounds)
        return (await hooks.world.do(work)).has_more

    assert await turn(Bounds(deliveries=0))
    assert await turn(Bounds(gateways=1))
    assert await turn(Bounds(gateways=1))
    assert not await turn(Bounds())


async def test_a_tenant_in_trouble_does_not_keep_others_waiting(hooks: Hooks) -> None:
    made = await hooks.create("order.placed")
    await hooks.ping(made["webhook_id"])
    database = AwayOnce(hooks.world.url, Failpoints(), pool_size=1)
    await database.open()
    hooks.worker = hooks.new_worker(database=database)
    assert await hooks.sent() == 0
    assert await hooks.sent() == 1
    await database.close()


async def test_a_failure_is_tried_again_later_and_ends_dead_then_replayed(hooks: Hooks) -> None:
    made = await hooks.create("order.placed")
    path = await hooks.ping(made["webhook_id"])
    hooks.receiver.answers.extend([answer(500, b"no")] * MOST_TRIES)
    assert await hooks.sent() == 1
    assert await hooks.sent() == 0
    waiting = (await hooks.get(path))["delivery"]
    assert (waiting["state"], waiting["attempts"]) == ("waiting", 1)
    for _ in range(MOST_TRIES - 1):
        hooks.clock.go(hours=6.1)
        assert await hooks.sent() == 1
    dead = await hooks.get(path)
    assert (dead["delivery"]["state"], dead["delivery"]["next_at"]) == ("dead", None)
    assert [attempt["number"] for attempt in dead["attempts"]] == list(range(MOST_TRIES, 0, -1))
    first = dead["attempts"][-1]
    assert (first["status"], first["problem"], first["answer"]) == (500, "status 500", "no")
    assert len(set(hooks.receiver.ids)) == 1
    hooks.clock.go(days=1)
    assert await hooks.sent() == 0
    day = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    replay = f"/v1/webhooks/{made['webhook_id']}/replay"
    for begin, end, count in ((day, "2099-01-01T00:00:00Z", 0), ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z", 1)):
        told = await hooks.ask("POST", replay, json={"created_from": begin, "created_to": end})
        assert await told.get_json() == {"replayed": count}
    assert await hooks.sent() == 1
    assert (await hooks.get(path))["delivery"]["state"] == "delivered"
    assert (await hooks.ask("POST", f"{path}/replay")).status_code == 200
    assert await hooks.sent() == 1
    assert len(set(hooks.receiver.ids)) == 1
    assert len(hooks.receiver.ids) == MOST_TRIES + 2


async def test_killed_between_sending_and_recording_it_is_sent_again_under_its_id(hooks: Hooks) -> None:
    made = await hooks.create("order.placed")
    path = await hooks.ping(made["webhook_id"])
    doomed = hooks.new_worker(Dying())
    assert await doomed.turn() == 1
    await doomed.settled()
    assert await hooks.sent() == 0, "it may be on its way still"
    hooks.clock.go(seconds=61)
    running = asyncio.create_task(hooks.worker.run(), name="webhooks of the test")
    await until(lambda: len(hooks.receiver.ids) == 2)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running  # what was on its way has arrived by then
    assert len(set(hooks.receiver.ids)) == 1
    found = await hooks.get(path)
    assert (found["delivery"]["state"], found["delivery"]["attempts"]) == ("delivered", 2)
    assert [attempt["number"] for attempt in found["attempts"]] == [2]


async def test_workers_of_several_instances_send_nothing_twice_and_no_more_at_once_than_one_would(
    hooks: Hooks,
) -> None:
    made = await hooks.create("stock.changed")
    slow = await hooks.create("stock.changed", path="/slow")
    for _ in range(20):
        hooks.world.gateway.move(await hooks.world.slot(), 1, Reason.RESTOCK)
    await hooks.world.acknowledged()
    workers = [hooks.worker, hooks.new_worker(), hooks.new_worker()]
    hooks.receiver.answers.extend([SILENCE] * 40)
    for _ in range(2):
        await asyncio.gather(*(worker.turn() for worker in workers))
    sending = await hooks.world.rows(
        "SELECT endpoint_id, count(*) AS n FROM webhook_deliveries WHERE sending GROUP BY 1 ORDER BY 1"
    )
    at_once = {row["endpoint_id"]: row["n"] for row in sending}
    assert at_once == {UUID(each["webhook_id"]): Bounds().of_endpoint for each in (made, slow)}
    hooks.receiver.answers.clear()
    for task in list(hooks.receiver.connections):
        task.cancel()
    await asyncio.gather(*(worker.settled() for worker in workers))
    hooks.clock.go(minutes=5)
    while await hooks.sent():
        pass
    delivered = await hooks.world.rows("SELECT FROM webhook_deliveries WHERE state = 'delivered'")
    assert len(delivered) == 40
    assert len(set(hooks.receiver.ids)) == 20, "an event has one id for all endpoints"


@pytest.mark.parametrize("reason", ["gone", "failing"])
async def test_an_endpoint_that_wants_nothing_is_disabled_and_its_owners_hear_of_it(hooks: Hooks, reason: str) -> None:
    await hooks.world.rows("UPDATE memberships SET role = 'owner'")
    made = await hooks.create("order.placed")
    where = f"/v1/webhooks/{made['webhook_id']}"
    hooks.receiver.answers.extend([answer(410)] if reason == "gone" else [answer(500)] * 2)
    path = await hooks.ping(made["webhook_id"])
    assert await hooks.sent() == 1
    if reason == "failing":
        hooks.clock.go(days=5, minutes=1)
        assert await hooks.sent() == 1
    row = await hooks.get(where)
    assert (row["enabled"], row["disabled_because"]) == (False, reason)
    state = (await hooks.get(path))["delivery"]["state"]
    assert state == ("dead" if reason == "gone" else "waiting")
    carrying = asyncio.create_task(hooks.mails.run(), name="mail of the test")
    await hooks.mails.settled()
    carrying.cancel()
    (mail,) = hooks.world.mailbox.to(hooks.world.seeded.email)
    assert "127.0.0.1" in mail
    audited = await hooks.world.rows("SELECT actor_kind, after FROM audit_entries WHERE action = 'webhook_disabled'")
    assert [(entry["actor_kind"], reason in entry["after"]) for entry in audited] == [("system", True)]
    hooks.clock.go(days=1)
    assert await hooks.sent() == 0
    assert (await hooks.ask("POST", f"{where}/ping")).status_code == 409
    enabled = await hooks.ask("PATCH", where, json={"enabled": True})
    assert (await enabled.get_json())["failing_since"] is None
    assert await hooks.sent() == (0 if reason == "gone" else 1)


async def test_two_secrets_sign_while_one_is_changed(hooks: Hooks) -> None:
    made = await hooks.create("order.placed")
    answered = await hooks.ask("POST", f"/v1/webhooks/{made['webhook_id']}/secret")
    secret = (await answered.get_json())["secret"]
    kept = await hooks.world.rows("SELECT secret, old_secret FROM webhook_endpoints")
    assert not {secret, made["secret"]} & set(kept[0].values())
    await hooks.ping(made["webhook_id"])
    await hooks.sent()
    hooks.clock.go(hours=25)
    await hooks.ping(made["webhook_id"])
    await hooks.sent()
    during, after = hooks.receiver.received
    assert [is_signed(during, each) for each in (secret, made["secret"])] == [True, True]
    assert [is_signed(after, each) for each in (secret, made["secret"])] == [True, False]


async def test_while_disabled_nothing_is_noted_down_and_what_waited_goes_on(hooks: Hooks) -> None:
    made = await hooks.create("stock.changed")
    where = f"/v1/webhooks/{made['webhook_id']}"
    await hooks.ping(made["webhook_id"])
    await hooks.ask("PATCH", where, json={"enabled": False})
    hooks.world.gateway.move(await hooks.world.slot(), 1, Reason.RESTOCK)
    await hooks.world.acknowledged()
    assert await hooks.sent() == 0
    await hooks.ask("PATCH", where, json={"enabled": True})
    hooks.world.gateway.move(await hooks.world.slot(), 2, Reason.RESTOCK)
    await hooks.world.acknowledged(2)
    await hooks.sent()
    assert sorted(hooks.receiver.types) == ["ping", "stock.changed"]
    assert [r.event["data"].get("delta") for r in hooks.receiver.received if r.event["type"] != "ping"] == [2]
    assert (await hooks.ask("DELETE", where)).status_code == 204
    assert (await hooks.ask("GET", where)).status_code == 404
    hooks.world.gateway.move(await hooks.world.slot(), 1, Reason.RESTOCK)
    await hooks.world.acknowledged(3)
    assert await hooks.sent() == 0


async def test_a_dead_letter_is_told_when_it_takes_effect(hooks: Hooks) -> None:
    world, slot = hooks.world, await hooks.world.slot()
    await hooks.create("order.placed", "order.completed")
    world.gateway.sell(slot)
    placed = world.gateway.lines[0]
    world.gateway.begin_epoch(2)
    world.gateway.add_line(placed.replace(str(slot.product_id).encode(), str(UUID(int=7)).encode()))
    await world.acknowledged()
    assert await hooks.sent() == 0
    await world.rows(
        "INSERT INTO products (tenant_id, id, name, version) SELECT tenant_id, $1, 'late', 1 FROM tenants", UUID(int=7)
    )
    gateway_id = world.gateway.claimed.gateway_id if world.gateway.claimed else UUID(int=0)
    assert await Ingest(world.database).replay(system("test"), world.tenant_id, gateway_id) == 1
    assert await hooks.sent() == 1
    assert hooks.receiver.types == ["order.placed"]


async def test_too_many_that_wait_are_dead_at_once(hooks: Hooks) -> None:
    hooks.worker = hooks.new_worker(bounds=Bounds(waiting=0))
    made = await hooks.create("stock.changed")
    path = await hooks.ping(made["webhook_id"])
    hooks.world.gateway.move(await hooks.world.slot(), 1, Reason.RESTOCK)
    await hooks.world.acknowledged()
    assert await hooks.sent() == 1
    assert (await hooks.get(path))["delivery"]["state"] == "delivered"
    (dead,) = (await hooks.get(f"/v1/webhooks/{made['webhook_id']}/deliveries?state=dead"))["deliveries"]
    assert (dead["type"], dead["attempts"]) == ("stock.changed", 0)


async def test_a_receiver_is_given_time_and_what_is_old_is_let_go(hooks: Hooks) -> None:
    made = await hooks.create("order.placed")
    hooks.receiver.answers.append(answer(429, Retry_After="3600"))
    await hooks.ping(made["webhook_id"])
    counts = []
    for minutes in (0, 55, 6):
        hooks.clock.go(minutes=minutes)
        counts.append(await hooks.sent())
    assert counts == [1, 0, 1], "Retry-After was not honoured"
    with pytest.raises(Exception, match="permission denied"):
        await hooks.world.rows("DELETE FROM webhook_events")
    keeper = Keeper(hooks.world.database, Clock())
    assert await keeper.forget_webhooks(30) == 0
    hooks.clock.go(days=-32)
    hooks.world.gateway.sell(await hooks.world.slot())
    await hooks.world.acknowledged()
    await hooks.worker.turn()
    await hooks.worker.settled()
    assert await keeper.forget_webhooks(30) == 1
    left = await hooks.world.rows("SELECT FROM webhook_deliveries")
    assert len(left) == 1
    ahead = Keeper(hooks.world.database, hooks.clock)
    hooks.clock.go(days=32 + 60)
    with pytest.raises(Exception, match="younger than a week"):
        await ahead.forget_webhooks(30)
