"""Food safety and health of a device as a process: what it says, what it refuses, what a power cut leaves of it."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge.clock import new_id
from firmware.simulator.control import ask
from firmware.simulator.world import read_world
from shared import devices as wire
from shared.climate import ZoneCondition, ZoneReport
from shared.contract import ClockQuality
from shared.topics import Channel
from shared.upkeep import UNKNOWN_ZONE, ReleaseZone, RequestState, SetTime
from tests.fakes.device_site import NO_MAC, DeviceSite, device_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[DeviceSite]:
    async with device_site(tmp_path) as site:
        site.settings(climate={"cabinet": {"warm_s": 2, "grace_s": 0, "slots": ["A1"]}})
        yield site


async def do(site: DeviceSite, *words: str) -> dict[str, Any]:
    return await asyncio.to_thread(ask, site.state, *words)


async def zone(site: DeviceSite, condition: ZoneCondition) -> ZoneReport:
    """The next word that the zone is so."""
    while True:
        told: ZoneReport = await site.expect(Channel.SENSOR)
        if told.condition is condition:
            return told


@pytest.mark.criterion("8.6")
async def test_a_zone_locks_refuses_outlives_a_power_cut_and_is_released(site: DeviceSite) -> None:
    async with site.simulator() as process:
        hello = await site.expect(Channel.HELLO)
        assert (await zone(site, ZoneCondition.COLD)).slots == ("A1",)
        await do(site, "temperature", "cabinet", "9")
        assert (await zone(site, ZoneCondition.LOCKED)).centi_celsius == 900
        await do(site, "temperature", "cabinet", "4")
        vend_id = new_id()
        await site.dispense(hello, 1, vend_id)
        answer = await site.expect(Channel.STATE)
        assert (answer.state, answer.reason) == (wire.VendState.REFUSED, wire.Refusal.ZONE_LOCKED)
        await site.dispense(hello, 2, new_id(), "A2")
        assert (await site.expect(Channel.OUTCOME)).slot == "A2"
        process.kill()
    async with site.simulator():
        hello = await site.expect(Channel.HELLO)
        await zone(site, ZoneCondition.LOCKED)
        request = ReleaseZone(request_id=new_id(), zone="cabinet", nonce=hello.nonce, mac=NO_MAC)
        await site.send(request)
        assert (await site.expect(Channel.ANSWER)).state is RequestState.DONE
        await zone(site, ZoneCondition.COLD)
        await site.send(request)
        assert (await site.expect(Channel.ANSWER)).request_id == request.request_id
        await site.dispense(hello, 3, vend_id)
        assert (await site.expect(Channel.OUTCOME)).vend_id == vend_id
    assert read_world(site.state).motor_starts[str(vend_id)] == 1


@pytest.mark.criterion("8.6")
async def test_whoever_stands_at_the_open_machine_releases_a_zone_without_any_network(site: DeviceSite) -> None:
    async with site.simulator() as process:
        await site.expect(Channel.HELLO)
        await do(site, "temperature", "cabinet", "9")
        await zone(site, ZoneCondition.LOCKED)
        await do(site, "link", "down")
        await do(site, "temperature", "cabinet", "4")
        for door in ("close", "open"):
            await do(site, "door", door)
            await do(site, "button", "down")
            await asyncio.sleep(4)
            await do(site, "button", "up")
            await asyncio.sleep(0.5)
            assert (b'"zones_released_by_hand"' in site.log.read_bytes()) == (door == "open")
        process.kill()
    async with site.simulator():
        hello = await site.expect(Channel.HELLO)
        told = await zone(site, ZoneCondition.COLD)
        assert told.released is not None
        assert told.released.at_machine
        await site.dispense(hello, 1, new_id())
        assert (await site.expect(Channel.OUTCOME)).slot == "A1"


async def test_a_device_whose_settings_name_no_zone_says_so_when_one_shall_be_released(site: DeviceSite) -> None:
    """The gateway may still hold one as locked, of the settings before."""
    site.settings(climate={"cabinet": None})
    async with site.simulator():
        hello = await site.expect(Channel.HELLO)
        request = ReleaseZone(request_id=new_id(), zone="cabinet", nonce=hello.nonce, mac=NO_MAC)
        await site.send(request)
        answer = await site.expect(Channel.ANSWER)
    assert (answer.request_id, answer.state, answer.reason) == (
        request.request_id,
        RequestState.REFUSED,
        UNKNOWN_ZONE,
    )


@pytest.mark.criterion("8.6")
async def test_a_heartbeat_tells_what_happened_since_the_last(site: DeviceSite) -> None:
    async with site.simulator():
        hello = await site.expect(Channel.HELLO)
        await site.send(SetTime(now=int(time.time()), nonce=hello.nonce, mac=NO_MAC))
        await site.dispense(hello, 1, new_id())
        await do(site, "door", "open")
        await asyncio.sleep(1.2)
        await do(site, "door", "close")
        beat: wire.Heartbeat = await site.expect(Channel.HEARTBEAT, 15)
        assert (beat.door_open, beat.clock, beat.reset_cause) == (True, ClockQuality.SYNCED, wire.ResetCause.POWER_ON)
        assert (beat.centi_celsius, beat.peak_ma) == ({"cabinet": 400}, {"A1": 300})
        assert beat.journal_bytes
        assert beat.journal_limit_bytes == 16_384
