"""Food safety in MicroPython's own VM, at a whole gateway: locked, shown, kept over a power cut, released from afar
and by hand."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from edge.clock import new_id
from firmware.simulator.coil import Habits
from shared.contract import Rail
from shared.upkeep import Action, DeviceInstruction
from tests.fakes.until import until
from tests.firmware.vm.device import compile_firmware
from tests.firmware.vm.site import NotSold, VmSite, vm_site
from tests.firmware.vm.wiring import DOOR_PIN, HIGH, ROMS, cold

WARM_S = 3


async def states(site: VmSite) -> set[str]:
    """What the kiosk shows of the slots."""
    return {slot["state"] for slot in (await site.catalogue())["slots"]}


async def until_states(site: VmSite, wanted: set[str]) -> None:
    for _ in range(400):
        if await states(site) == wanted:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"the slots are {await states(site)}, not {wanted}")


@pytest.mark.criterion("8.6")
async def test_a_zone_that_is_too_warm_locks_and_a_person_releases_it(tmp_path: Path) -> None:
    compile_firmware(tmp_path / "app")
    async with vm_site(tmp_path, tmp_path / "app", Habits(speed=5), Rail.FREE, cold) as site:
        device = site.device
        device.configure(**device.settings | {"climate": {zone: {"warm_s": WARM_S, "grace_s": 0} for zone in ROMS}})
        await device.power_on()
        await site.until_online()
        print(f"live heap with a zone that has to stay cold: {await device.own_heap()} bytes")
        await until_states(site, {"ok"})
        device.cabinet.feel("top", 9)
        await until(lambda: bool(device.said("zone_locked")), 20)
        assert [(told["zone"], told["centi_celsius"]) for told in device.said("zone_locked")] == [("top", 900)]
        await until_states(site, {"locked"})
        with pytest.raises(NotSold):
            await site.place("A1")
        device.cabinet.feel("top", 4)
        await device.power_off()
        await device.power_on()
        await until(lambda: len(device.said("link_online")) == 2, 20)
        await until_states(site, {"locked"})
        site.cloud.change(release(site))
        await until_states(site, {"ok"})
        order = await site.until_ended(await site.place("A1"))
        assert order["vends"][0]["outcome"] == "dispensed"
        await until(lambda: any(b'"zone_released"' in line and b'"Asha"' in line for line in site.cloud.lines), 20)
        beats = [sample for told in site.cloud.telemetry for sample in told.samples]
        assert all(sample.reset_cause == "power_on" for sample in beats)


def cold_behind_a_door(speed: float) -> dict[str, Any]:
    given = cold(speed)
    given["board"]["door"] = {"pin": DOOR_PIN, "active": HIGH}
    return given


@pytest.mark.criterion("8.6")
async def test_whoever_stands_at_the_open_machine_releases_it_while_the_gateway_is_away(tmp_path: Path) -> None:
    compile_firmware(tmp_path / "app")
    async with vm_site(tmp_path, tmp_path / "app", Habits(speed=5), Rail.FREE, cold_behind_a_door) as site:
        device = site.device
        device.configure(**device.settings | {"climate": {zone: {"warm_s": WARM_S, "grace_s": 0} for zone in ROMS}})
        await device.power_on()
        await site.until_online()
        device.cabinet.feel("top", 9)
        await until_states(site, {"locked"})
        device.set_link(up=False)
        device.cabinet.feel("top", 4)
        device.cabinet.set_door(is_open=True)
        device.cabinet.press_button()
        await asyncio.sleep(4)
        device.cabinet.let_button_go()
        await until(lambda: bool(device.said("zones_released_by_hand")), 20)
        device.set_link(up=True)
        await until_states(site, {"ok"})
        await until(
            lambda: any(b'"zone_released"' in line and b'"at_machine":true' in line for line in site.cloud.lines)
        )


def release(site: VmSite) -> DeviceInstruction:
    """A person far away has asked whoever stands there."""
    return DeviceInstruction(
        request_id=new_id(),
        device_id=UUID(site.device.settings["device_id"]),
        machine_id=site.machine_id,
        action=Action.RELEASE_ZONE,
        zone="top",
        asked_by="Asha",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
