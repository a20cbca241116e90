"""Zones at the gateway: the device's word is kept, told once, and nothing is sold from what is locked."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge.clock import new_id
from edge.database import Transaction
from edge.errors import Refused
from edge.inventory.service import state_of, stock_key
from shared.catalog import PlanogramSlot, PlanogramVersion, SlotState
from shared.climate import Release, ZoneCondition, ZoneReleased, ZoneReport
from shared.contract import ClockQuality, Rail
from shared.devices import Heartbeat
from shared.errors import Code
from shared.orders import OrderState, VendOutcome
from shared.topics import Channel, Topic
from shared.upkeep import Action, DeviceInstruction, RequestAnswer, RequestState
from tests.fakes.restarted_site import restarted, stop
from tests.fakes.site import PRICE_MINOR, SLOTS, Site, SteppedClock, running_site

BOOT = new_id()
AT_MACHINE = "somebody at the machine"
COLD, WARM, LOCKED = ZoneCondition.COLD, ZoneCondition.WARM, ZoneCondition.LOCKED


class StillClock(SteppedClock):
    """Nothing comes of waiting."""

    def monotonic(self) -> float:
        return 1000.0


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as site:
        yield site


def topic(site: Site, channel: Channel = Channel.SENSOR) -> Topic:
    return Topic(site.machine_id, site.device_id, channel)


async def tell(
    site: Site,
    condition: ZoneCondition,
    zone: str = "top",
    slots: tuple[str, ...] = ("A1", "A2"),
    released: Release | None = None,
) -> None:
    """The device says how its zone is."""
    report = ZoneReport(boot_id=BOOT, zone=zone, condition=condition, centi_celsius=900, slots=slots, released=released)
    await site.climate.report(topic(site), report)


async def facts(site: Site) -> list[tuple[Any, ...]]:
    """What the cloud is told of zones."""
    told = [fact.body for fact in await site.facts()]
    return [
        (body.event, body.zone, body.slots if body.event == "zone_locked" else who(body))
        for body in told
        if body.event in ("zone_locked", "zone_released")
    ]


def who(released: ZoneReleased) -> str | None:
    """Who released the zone, as far as anybody knows."""
    return AT_MACHINE if released.at_machine else released.released_by


async def ask(site: Site, asked_by: str = "Asha") -> Release:
    """A person asks for a release; what the device says once it has done it."""
    asked = wish(site).model_copy(update={"asked_by": asked_by})
    await site.database.unit("test.ask", partial(site.upkeep.apply_instruction, wish=asked))
    return Release(release_id=asked.request_id, at_machine=False)


async def states(site: Site) -> dict[str, SlotState]:
    """What a kiosk shows of each slot."""
    levels = await site.database.read(lambda tx: site.inventory.levels(tx, site.machine_id))
    return {slot: state_of(level, online=True) for slot, level in levels.items()}


def wish(site: Site, zone: str = "top") -> DeviceInstruction:
    """A person asks for a release."""
    return DeviceInstruction(
        request_id=new_id(),
        device_id=site.device_id,
        machine_id=site.machine_id,
        action=Action.RELEASE_ZONE,
        zone=zone,
        asked_by="Asha",
        expires_at=site.clock.now() + timedelta(hours=1),
    )


@pytest.mark.criterion("8.6")
async def test_a_lock_and_its_release_are_told_once_each_however_often_the_device_repeats_itself(site: Site) -> None:
    for condition in (COLD, WARM, LOCKED, LOCKED, LOCKED):
        await tell(site, condition)
    assert await facts(site) == [("zone_locked", "top", ("A1", "A2"))]
    for condition in (WARM, COLD):
        await tell(site, condition)
    assert (await facts(site))[1:] == [("zone_released", "top", None)]


async def test_who_asked_for_a_release_is_told_with_it(site: Site) -> None:
    await tell(site, LOCKED)
    release = await ask(site)
    await tell(site, LOCKED)
    for condition in (COLD, WARM, COLD):
        await tell(site, condition, released=release)
    assert (await facts(site))[1:] == [("zone_released", "top", "Asha")]
    told = (await site.facts())[-1].body
    assert isinstance(told, ZoneReleased)
    assert told.release_id == release.release_id


async def test_of_many_who_asked_the_one_whose_request_did_it_is_named(site: Site) -> None:
    await tell(site, LOCKED)
    await ask(site, "Asha")
    by_ben = await ask(site, "Ben")
    await ask(site, "Chidi")
    await tell(site, COLD, released=by_ben)
    assert (await facts(site))[1:] == [("zone_released", "top", "Ben")]


@pytest.mark.criterion("8.6")
async def test_a_release_at_the_machine_is_told_as_one_even_if_the_gateway_was_away_for_lock_and_release(
    site: Site,
) -> None:
    await tell(site, LOCKED)
    await ask(site)
    for _ in range(2):
        by_hand = Release(release_id=new_id(), at_machine=True)
        for _ in range(2):
            await tell(site, COLD, released=by_hand)
        assert (await states(site))["A1"] is SlotState.OK
    locked, *released = await facts(site)
    assert (locked[0], released) == ("zone_locked", 2 * [("zone_released", "top", AT_MACHINE)])


async def test_a_zone_that_locked_again_while_the_gateway_was_away_was_released_before(site: Site) -> None:
    await tell(site, LOCKED)
    release = await ask(site)
    await tell(site, LOCKED, released=release)
    assert [fact[0] for fact in await facts(site)] == ["zone_locked", "zone_released", "zone_locked"]
    assert (await states(site))["A1"] is SlotState.LOCKED


async def test_a_zone_that_other_settings_name_no_more_is_released_by_asking(site: Site) -> None:
    """The device still has its thermometer, so its heartbeats name it for ever."""
    await tell(site, LOCKED)
    for reason in ("flash_failed", "unknown_zone"):
        assert (await states(site))["A1"] is SlotState.LOCKED
        asked = wish(site)
        await site.database.unit("test.ask", partial(site.upkeep.apply_instruction, wish=asked))
        answer = RequestAnswer(boot_id=BOOT, request_id=asked.request_id, state=RequestState.REFUSED, reason=reason)
        await site.upkeep.record_answer(topic(site, Channel.ANSWER), answer)
    assert (await states(site))["A1"] is SlotState.OK
    assert (await facts(site))[1:] == [("zone_released", "top", "Asha")]


async def test_who_asked_while_nothing_was_locked_has_released_nothing_later(site: Site) -> None:
    await tell(site, COLD)
    await ask(site)
    await tell(site, LOCKED)
    await tell(site, COLD)
    assert (await facts(site))[1:] == [("zone_released", "top", None)]


async def test_nothing_is_sold_from_a_locked_zone_and_all_else_is(site: Site) -> None:
    await site.connect()
    await site.settle()
    await tell(site, LOCKED)
    assert await states(site) == {"A1": SlotState.LOCKED, "A2": SlotState.LOCKED, "A3": SlotState.OK}
    with pytest.raises(Refused) as refused:
        await site.order("A1")
    assert refused.value.code is Code.SLOT_LOCKED
    order = await site.order("A3")
    await site.until_state(order.order_id, OrderState.SETTLED)
    await tell(site, COLD)
    assert set((await states(site)).values()) == {SlotState.OK}


async def test_a_slot_of_two_zones_is_sold_when_neither_is_locked(site: Site) -> None:
    await tell(site, LOCKED, "top", ("A1", "A2"))
    await tell(site, LOCKED, "bottom", ("A2", "A3"))
    await tell(site, COLD, "top", ("A1", "A2"))
    assert await states(site) == {"A1": SlotState.OK, "A2": SlotState.LOCKED, "A3": SlotState.LOCKED}


async def test_a_slot_without_stock_is_locked_too(site: Site) -> None:
    await tell(site, LOCKED, slots=("B1",))
    assert (await states(site))["B1"] is SlotState.LOCKED


@pytest.mark.criterion("8.6")
async def test_a_restart_forgets_no_lock(site: Site) -> None:
    await tell(site, LOCKED)
    await stop(site)
    async with restarted(site) as again:
        assert (await states(again))["A1"] is SlotState.LOCKED
        await tell(again, LOCKED)
        assert len(await facts(again)) == 1


async def test_a_zone_that_the_device_has_no_more_locks_nothing(site: Site) -> None:
    await tell(site, LOCKED)
    beat = Heartbeat(boot_id=BOOT, nonce="0" * 16, uptime_s=1, centi_celsius={"top": 400})
    await site.climate.hear_zones(topic(site), beat)
    silent = Heartbeat(boot_id=BOOT, nonce="0" * 16, uptime_s=1)
    await site.climate.hear_zones(topic(site), silent)
    assert (await states(site))["A1"] is SlotState.LOCKED
    renamed = beat.model_copy(update={"centi_celsius": {"cabinet": 400}})
    await site.climate.hear_zones(topic(site), renamed)
    assert (await states(site))["A1"] is SlotState.OK
    assert (await facts(site))[1:] == [("zone_released", "top", None)]


async def replace_device(site: Site, slots: frozenset[str]) -> None:
    """The cloud says that another device turns these slots from now on."""

    def work(tx: Transaction) -> None:
        offer = site.catalog.offer(tx, site.machine_id)
        told = [
            PlanogramSlot(
                slot=slot.slot,
                product_id=slot.product_id,
                device_id=new_id() if slot.slot in slots else slot.device_id,
                price_minor=slot.price_minor,
                capacity=12,
                par_level=6,
            )
            for slot in offer.slots.values()
        ]
        change = PlanogramVersion(
            machine_id=site.machine_id, version=2, effective_at=site.clock.now(), slots=tuple(told)
        )
        site.catalog.apply_planogram(tx, change)

    site.clock.quality = ClockQuality.SYNCED
    await site.database.unit("test.replace", work)


async def test_a_device_that_was_replaced_leaves_no_lock_behind(site: Site) -> None:
    await tell(site, LOCKED)
    site.disconnect()
    await asyncio.sleep(0.2)
    assert (await states(site))["A1"] is SlotState.LOCKED, "it is only away"
    with site.watch.on(stock_key(site.machine_id)) as changed:
        await replace_device(site, SLOTS)
        await asyncio.wait_for(changed.wait(), 5)
    assert (await states(site))["A1"] is SlotState.OK
    assert (await facts(site))[1:] == [("zone_released", "top", None)]
    await tell(site, LOCKED)
    assert (await states(site))["A1"] is SlotState.LOCKED, "it has come back, and says so"


@pytest.mark.criterion("8.6")
@pytest.mark.parametrize("why", ["the device was replaced", "its thermometer is gone", "its settings name it no more"])
async def test_an_old_release_is_not_told_as_new_when_a_forgotten_zone_is_back(site: Site, why: str) -> None:
    by_hand = Release(release_id=new_id(), at_machine=True)
    await tell(site, LOCKED)
    await tell(site, COLD, released=by_hand)
    await tell(site, LOCKED, released=by_hand)
    if why == "the device was replaced":
        forget = partial(site.climate.forget, machine_id=site.machine_id, device_id=site.device_id)
        await site.database.unit("test.forget", forget)
    elif why == "its thermometer is gone":
        beat = Heartbeat(boot_id=BOOT, nonce="0" * 16, uptime_s=1, centi_celsius={})
        await site.climate.hear_zones(topic(site), beat)
    else:
        no_zone = partial(site.climate.has_no_zone, topic=topic(site), zone="top", asked_by="Asha")
        await site.database.unit("test.no_zone", no_zone)
    assert (await states(site))["A1"] is SlotState.OK
    before = await facts(site)
    await tell(site, LOCKED, released=by_hand)
    assert (await facts(site))[len(before) :] == [("zone_locked", "top", ("A1", "A2"))]
    assert (await states(site))["A1"] is SlotState.LOCKED


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_device_that_is_there_or_turns_any_slot_still_watches_its_zones(site: Site, is_there: bool) -> None:
    await tell(site, LOCKED)
    if not is_there:
        site.disconnect()
    await replace_device(site, SLOTS if is_there else SLOTS - {"A3"})
    await asyncio.sleep(0.3)
    assert (await states(site))["A1"] is SlotState.LOCKED


@pytest.mark.criterion("8.6")
async def test_what_was_paid_for_is_given_back_at_once_when_the_device_refuses_a_locked_zone(tmp_path: Path) -> None:
    async with running_site(tmp_path, Rail.CASH, clock=StillClock()) as site:
        site.device.locked.add("A1")
        await site.connect()
        await site.device.insert_coin(PRICE_MINOR)
        await site.settle()
        order = await site.order("A1")
        ended = await site.until_state(order.order_id, OrderState.SETTLED)
        assert [vend.outcome for vend in ended.vends] == [VendOutcome.CANCELLED]
        assert ended.given_back_minor == PRICE_MINOR == await site.credit()
        told = [fact.body for fact in await site.facts() if fact.body.event == "vend_cancel_requested"]
        assert [body.reason for body in told] == ["refused"]
        assert site.device.starts.total() == 0
        assert await site.stock("A1") == 10
