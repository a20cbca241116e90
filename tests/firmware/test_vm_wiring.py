"""Vends by every kind of motor and switch that a pin map can name, in MicroPython's own VM at a whole gateway.

The chips between the pins and the motors are models of their own (test_vm_chips.py): what turns a coil here is the
right bits at the right edges, the right pulses or the right phases, and nothing else.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firmware.simulator.coil import TURN_S, Habits
from shared.contract import Rail
from shared.orders import VendResolved
from shared.sync import FACT
from tests.fakes.until import until
from tests.firmware.vm.device import ENDED, compile_firmware
from tests.firmware.vm.site import NotSold, VmSite, vm_site
from tests.firmware.vm.wiring import HIGH, LOW, PWM, SWITCHES, servos, shared_phases, shared_signal, shifted, two_chutes

FAST = Habits(speed=3)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled files."""
    folder = tmp_path_factory.mktemp("app")
    compile_firmware(folder)
    return folder


async def vend(site: VmSite, slot: str) -> VendResolved:
    """Order one from the slot: how it ended, as the cloud is told."""
    order = await site.until_ended(await site.place(slot))
    vend_id = order["vends"][0]["vend_id"]
    await until(lambda: vend_id in resolved(site), 10)
    return resolved(site)[vend_id]


def resolved(site: VmSite) -> dict[str, VendResolved]:
    facts = [FACT.validate_json(line).body for line in site.cloud.lines]
    return {str(body.vend_id): body for body in facts if isinstance(body, VendResolved)}


@pytest.mark.criterion("8.1")
@pytest.mark.criterion("8.7")
@pytest.mark.parametrize("wiring", [shifted, shared_phases, servos, shared_signal])
async def test_every_motor_vends_once_and_its_home_switch_tells_of_it(
    tmp_path: Path, app: Path, wiring: Callable[[float], dict[str, Any]]
) -> None:
    async with vm_site(tmp_path, app, FAST, Rail.FREE, wiring) as site:
        await site.device.power_on()
        await site.until_online()
        for slot in ("A1", "A2", "A1"):
            told = await vend(site, slot)
            assert told.outcome == "dispensed"
            assert told.evidence is not None
            assert (told.evidence.drop, told.evidence.home_before, told.evidence.left_home) == (True, True, True)
            assert told.evidence.home_after
        world = site.world()
        assert set(world.motor_starts.values()) == {1} == set(world.drops.values())
        assert (world.motor_starts.total(), site.device.cabinet.stock) == (3, {"A1": 8, "A2": 9})
        print(f"live heap: {await site.device.own_heap()} bytes")


@pytest.mark.criterion("8.2")
@pytest.mark.criterion("8.7")
async def test_two_motors_turn_together_and_each_chute_tells_of_its_own(tmp_path: Path, app: Path) -> None:
    async with vm_site(tmp_path, app, Habits(speed=1), Rail.FREE, two_chutes) as site:
        device = site.device
        await device.power_on()
        await site.until_online()
        device.cabinet.restock("A1", -device.cabinet.stock["A1"])
        first = await site.place("A1")
        await until(lambda: site.world().motor_starts.total() == 1)
        second = await site.place("A2")
        await until(lambda: site.world().motor_starts.total() == 2)
        assert not device.said("vend_ended"), "both turn"
        outcomes = [(await site.until_ended(order))["vends"][0]["outcome"] for order in (first, second)]
        assert outcomes == ["no_drop", "dispensed"]
        assert sorted(site.world().motor_starts.values()) == [1, 1]
        assert site.world().drops.total() == 1


@pytest.mark.criterion("8.7")
async def test_a_stepper_whose_phases_are_swapped_turns_nothing_and_sells_nothing(tmp_path: Path, app: Path) -> None:
    async with vm_site(tmp_path, app, FAST, Rail.FREE, shifted) as site:
        slots = dict(site.device.settings["slots"])
        one, two, three, four = slots["A1"]["motor"]["phases"]
        slots["A1"] |= {"motor": {"kind": "stepper", "phases": [one, three, two, four]}, "max_ms": 1400}
        site.device.configure(**site.device.settings | {"slots": slots})
        await site.device.power_on()
        await site.until_online()
        told = await vend(site, "A1")
        assert told.outcome == "not_started"
        assert told.evidence is not None
        assert (told.evidence.drop, told.evidence.left_home) == (False, False)
        assert site.world().drops.total() == 0


@pytest.mark.criterion("8.7")
@pytest.mark.parametrize("level", [LOW, HIGH])
async def test_a_74hc165_whose_data_line_is_stuck_costs_no_second_product(
    tmp_path: Path, app: Path, level: int
) -> None:
    async with vm_site(tmp_path, app, FAST, Rail.FREE, shifted) as site:
        slots = site.device.settings["slots"]
        in_time = slots["A2"] | {"turn_ms": round(1000 * TURN_S / FAST.speed)}
        site.device.configure(**site.device.settings | {"slots": slots | {"A2": in_time}})
        await site.device.power_on()
        await site.until_online()
        site.device.cabinet.short(SWITCHES["data"], level)
        for products in (1, 2):
            told = await vend(site, "A2")
            assert told.outcome == "dispensed", "the beam has seen it"
            assert told.evidence is not None
            assert (told.evidence.left_home, told.evidence.home_after) == (False, level == LOW)
            assert site.world().motor_starts.total() == site.world().drops.total() == products


@pytest.mark.criterion("8.3")
async def test_a_slot_whose_own_switch_says_empty_is_not_sold_from(tmp_path: Path, app: Path) -> None:
    async with vm_site(tmp_path, app, FAST, Rail.FREE, shifted) as site:
        cabinet = site.device.cabinet
        await site.device.power_on()
        await site.until_online()
        assert await states(site, {"ok"}) == {"A1": "ok", "A2": "ok"}
        cabinet.restock("A1", -cabinet.stock["A1"])
        assert await states(site, {"ok", "sold_out"}) == {"A1": "sold_out", "A2": "ok"}
        cabinet.restock("A1", 1)
        assert (await states(site, {"ok"}))["A1"] == "ok"


async def states(site: VmSite, wanted: set[str]) -> dict[str, str]:
    """What the kiosk shows of the slots, once it is what is wanted or ten seconds have passed."""
    for _ in range(200):
        shown = {slot["slot"]: slot["state"] for slot in (await site.catalogue())["slots"]}
        if set(shown.values()) == wanted:
            break
        await asyncio.sleep(0.05)
    return shown


@pytest.mark.criterion("8.7")
async def test_a_board_whose_pwm_chip_is_silent_says_so_and_asks_for_no_orders(tmp_path: Path, app: Path) -> None:
    async with vm_site(tmp_path, app, FAST, Rail.FREE, servos) as site:
        device, board = site.device, site.device.settings["board"]
        device.configure(**device.settings | {"board": board | {"expanders": {"pwm": PWM | {"address": 0x41}}}})
        await device.power_on()
        await until(lambda: bool(device.said("board_unavailable")))
        assert device.said("board_unavailable")[0]["error"] == "[Errno 19] ENODEV"
        with pytest.raises(NotSold):
            await site.place("A1")
        assert site.world().motor_starts.total() == 0


@pytest.mark.criterion("8.2")
@pytest.mark.criterion("8.7")
async def test_a_pwm_chip_that_falls_silent_ends_the_program_and_the_vend_is_paid_back(
    tmp_path: Path, app: Path
) -> None:
    async with vm_site(tmp_path, app, FAST, Rail.FREE, servos) as site:
        device = site.device
        await device.power_on()
        await site.until_online()
        device.cabinet.unplug(PWM["address"])
        order_id = await site.place("A1")
        assert await device.ended(20) == ENDED
        assert b"OSError: [Errno 19] ENODEV" in device.log.read_bytes()
        await device.power_on()
        order = await site.until_ended(order_id)
        assert (order["state"], order["vends"][0]["outcome"]) == ("settled", "not_started")
        assert (await vend(site, "A1")).outcome == "dispensed"
        assert site.world().motor_starts.total() == site.world().drops.total() == 1
