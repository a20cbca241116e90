"""A person's wish is asked of the device until it answers or time is up, and told of once."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from edge.clock import new_id
from edge.database import Transaction
from edge.outbox import OUTBOX_KEY
from edge.sync.pull import CHANGE
from edge.upkeep import store
from edge.upkeep.store import KEPT_ENDED
from shared.commands import COMMAND, mac_of
from shared.contract import ClockQuality
from shared.devices import Evidence
from shared.orders import OrderState
from shared.topics import Channel, Topic
from shared.upkeep import (
    Action,
    DeviceInstruction,
    DeviceInstructionEnded,
    Jog,
    ReleaseZone,
    RequestAnswer,
    RequestState,
    Restart,
)
from tests.fakes.site import Site, running_site
from tests.fakes.until import until

PIN = "48151623"
SEEN = Evidence(drop=True, left_home=True, home_before=True, home_after=True, motor_ms=900)
ASKED = (Restart, Jog, ReleaseZone)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as site:
        site.clock.quality = ClockQuality.SYNCED
        yield site


def wish(site: Site, action: Action = Action.RESTART, *, seconds: float = 60, **others: Any) -> DeviceInstruction:
    return DeviceInstruction(
        request_id=new_id(),
        device_id=others.pop("device_id", site.device_id),
        machine_id=site.machine_id,
        action=action,
        asked_by="Asha",
        expires_at=site.clock.now() + timedelta(seconds=seconds),
        **others,
    )


def jog(site: Site, **others: Any) -> DeviceInstruction:
    return wish(site, Action.JOG, slot="A1", pin=PIN, **others)


async def instruct(site: Site, asked: DeviceInstruction) -> None:
    """As it comes from the cloud."""
    change = CHANGE.validate_json(asked.to_line())
    assert isinstance(change, DeviceInstruction)
    await site.database.unit("test.instruct", lambda tx: site.upkeep.apply_instruction(tx, change))


def asked(site: Site) -> list[Restart | Jog | ReleaseZone]:
    commands = [COMMAND.validate_json(payload) for _, payload in site.sent]
    return [command for command in commands if isinstance(command, ASKED)]


async def answer(site: Site, request_id: UUID, state: RequestState = RequestState.DONE, **others: Any) -> None:
    told = RequestAnswer(boot_id=new_id(), request_id=request_id, state=state, **others)
    await site.upkeep.record_answer(Topic(site.machine_id, site.device_id, Channel.ANSWER), told)


async def ended(site: Site) -> list[DeviceInstructionEnded]:
    bodies = [fact.body for fact in await site.facts()]
    return [body for body in bodies if isinstance(body, DeviceInstructionEnded)]


async def test_it_is_asked_again_until_the_device_answers_and_told_once(site: Site) -> None:
    wanted = wish(site)
    await instruct(site, wanted)
    await until(lambda: len(asked(site)) >= 3)
    command = asked(site)[0]
    assert isinstance(command, Restart)
    assert (command.request_id, command.nonce) == (wanted.request_id, site.device.nonce)
    assert command.mac == mac_of(site.device.key, site.machine_id, site.device_id, command)
    for _ in range(2):
        await answer(site, wanted.request_id)
    [told] = await ended(site)
    assert (told.request_id, told.action, told.state) == (wanted.request_id, Action.RESTART, RequestState.DONE)
    before = len(asked(site))
    await asyncio.sleep(0.2)
    assert len(asked(site)) <= before + 1


async def test_a_jog_tells_what_was_seen_of_it_and_leaves_no_pin(site: Site, tmp_path: Path) -> None:
    wanted = jog(site)
    with capture_logs() as logged:
        await instruct(site, wanted)
        await until(lambda: bool(asked(site)))
        await answer(site, wanted.request_id, evidence=SEEN)
        await answer(site, wanted.request_id, RequestState.REFUSED)
    command = asked(site)[0]
    assert isinstance(command, Jog)
    assert (command.slot, command.pin) == ("A1", PIN)
    [told] = await ended(site)
    assert told.evidence == SEEN
    assert PIN not in json.dumps(logged, default=str)
    rows = await site.database.read(lambda tx: tx.all("SELECT line FROM instructions"))
    assert [PIN in row["line"] for row in rows] == [False]
    assert all(PIN.encode() not in fact.to_line() for fact in await site.facts())


async def test_a_zone_is_released_by_its_name(site: Site) -> None:
    await instruct(site, wish(site, Action.RELEASE_ZONE, zone="cabinet"))
    await until(lambda: bool(asked(site)))
    command = asked(site)[0]
    assert isinstance(command, ReleaseZone)
    assert command.zone == "cabinet"


async def test_what_is_known_changes_nothing_when_it_comes_again(site: Site) -> None:
    wanted = jog(site)
    await instruct(site, wanted)
    await instruct(site, wanted)
    await answer(site, wanted.request_id, evidence=SEEN)
    before = len(asked(site))
    await instruct(site, wanted)
    await asyncio.sleep(0.2)
    assert len(asked(site)) <= before + 1
    assert len(await ended(site)) == 1


async def first_refusal(site: Site) -> str | None:
    """Why the gateway itself ended an instruction."""
    with site.watch.on(OUTBOX_KEY) as changed:
        async with asyncio.timeout(5):
            while not (told := await ended(site)):
                await changed.wait()
                changed.clear()
    assert [one.state for one in told] == [RequestState.REFUSED]
    return told[0].reason


async def test_one_that_expires_is_refused(site: Site) -> None:
    site.disconnect()
    await instruct(site, wish(site, seconds=0.3))
    assert await first_refusal(site) == "expired"
    assert asked(site) == []
    await site.connect()
    await asyncio.sleep(0.2)
    assert asked(site) == []


async def test_one_that_has_expired_when_it_comes_is_refused(site: Site) -> None:
    """A gateway that has lost its place among the changes is told all that is open. A PIN is not sent so late."""
    await instruct(site, wish(site, Action.JOG, slot="A1", seconds=-1))
    assert await first_refusal(site) == "expired"
    assert asked(site) == []


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"device_id": new_id()}, "the device is not known here"),
        ({"action": Action.JOG, "slot": "A1"}, "a slot and a PIN, or a zone, is missing"),
        ({"action": Action.JOG, "pin": PIN}, "a slot and a PIN, or a zone, is missing"),
        ({"action": Action.RELEASE_ZONE}, "a slot and a PIN, or a zone, is missing"),
    ],
)
async def test_one_that_cannot_be_asked_is_refused_at_once(site: Site, others: dict[str, Any], reason: str) -> None:
    await instruct(site, wish(site, others.pop("action", Action.RESTART), **others))
    assert await first_refusal(site) == reason
    assert asked(site) == []


async def test_nothing_is_asked_while_nobody_knows_the_time(site: Site) -> None:
    site.clock.quality = ClockQuality.UNSYNCED
    await instruct(site, wish(site))
    await asyncio.sleep(0.2)
    assert asked(site) == []
    site.clock.quality = ClockQuality.SYNCED
    await until(lambda: bool(asked(site)))


async def test_nobody_disturbs_an_order(site: Site) -> None:
    site.device.slow = True
    order = await site.order("A1")
    await until(lambda: bool(site.device.journal.vends))
    await instruct(site, wish(site))
    await instruct(site, jog(site))
    await instruct(site, wish(site, Action.RELEASE_ZONE, zone="cabinet"))
    await until(lambda: bool(asked(site)))
    await asyncio.sleep(0.2)
    assert {command.type for command in asked(site)} == {"release_zone"}
    await site.device.turn()
    await site.until(order.order_id, lambda view: view.state is OrderState.SETTLED)
    await until(lambda: len({command.type for command in asked(site)}) == 3)


async def test_another_device_answers_for_itself_alone(site: Site) -> None:
    wanted = wish(site)
    await instruct(site, wanted)
    told = RequestAnswer(boot_id=new_id(), request_id=wanted.request_id, state=RequestState.DONE)
    await site.upkeep.record_answer(Topic(site.machine_id, new_id(), Channel.ANSWER), told)
    assert await ended(site) == []


async def test_of_those_that_have_ended_the_newest_are_remembered(site: Site) -> None:
    old = [jog(site) for _ in range(KEPT_ENDED + 2)]

    def end_all(tx: Transaction) -> None:
        for one in old:
            store.add_instruction(tx, one)
            store.end_instruction(tx, one)

    await site.database.unit("test.end", end_all)
    rows = await site.database.read(lambda tx: tx.all("SELECT request_id FROM instructions ORDER BY rowid"))
    assert [row["request_id"] for row in rows] == [str(one.request_id) for one in old[2:]]
