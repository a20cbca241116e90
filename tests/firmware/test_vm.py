"""The firmware as it is shipped, in MicroPython's own VM, at a whole gateway over real TCP and TLS.

tests/firmware/vm/device.py says what of the ESP32 is MicroPython here and what stands in for it.
"""

from pathlib import Path
from typing import Any

import pytest

from edge.site_ca import SiteCa
from firmware.simulator.coil import Habits
from tests.fakes.until import until
from tests.firmware.vm.device import CUT, VmDevice, compile_firmware
from tests.firmware.vm.site import PRICE_MINOR, VmSite, vm_site
from tests.firmware.vm.wiring import SHIFT, SWITCHES, THERMOMETER_PIN, full

MAX_HEAP_BYTES = 90_000
MAX_NAMES = 1260
"""One more, and MicroPython keeps another 9 kB for names."""
MAX_SLOT_BYTES = 80
"""Of each slot more than the two that the cabinet has."""
NOT_NEEDED = {"board", "checks", "drivers", "hardware", "pins", "settings", "wiring"}
NOT_NEEDED |= {"app", "waking", "addresses", "connecting", "greeting", "handshake", "radio", "sockets"}
NOT_NEEDED |= {"claim", "credentials", "announcer", "discovery", "dns", "recovery", "remains"}
NOT_NEEDED |= {"panel", "pca9685", "servo", "shift", "stepper", "thermometers"}
"""Of a device that has read its settings, knows its gateway's address and has motors, a beam and a coin acceptor."""
FAST = Habits(speed=5)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled files."""
    folder = tmp_path_factory.mktemp("app")
    compile_firmware(folder)
    return folder


async def buy(site: VmSite, slot: str = "A1") -> str:
    """Coins, order, product; the id of the vend."""
    await site.insert(PRICE_MINOR)
    order = await site.until_ended(await site.place(slot))
    assert (order["state"], order["vends"][0]["outcome"]) == ("settled", "dispensed")
    return str(order["vends"][0]["vend_id"])


@pytest.mark.criterion("8.1")
@pytest.mark.criterion("8.2")
@pytest.mark.criterion("8.7")
async def test_it_claims_itself_takes_coins_once_and_turns_its_motor_once(tmp_path: Path, app: Path) -> None:
    async with vm_site(tmp_path, app, FAST) as site:
        device = site.device
        await device.power_on()
        await site.until_online()
        assert len(device.said("claimed")) == 1
        heap_bytes = await device.own_heap()
        stand_ins, told = device.said("heap")[0], device.said("heap")[-1]
        print(f"live heap after connect: {heap_bytes} bytes, and {stand_ins['bytes']} of the stand-ins")
        print(f"names: {names_of(device)} of {MAX_NAMES}, after which they need 9 kB more")
        assert heap_bytes <= MAX_HEAP_BYTES
        modules = set(told["modules"])
        assert {"link", "motors", "beam", "pulses"} <= modules
        assert not modules & NOT_NEEDED
        vend_id = await buy(site)
        await until(lambda: bool(device.said("acknowledge_received") and device.said("credit_acknowledged")))
        assert site.world().motor_starts == {vend_id: 1} == site.world().drops
        assert (await site.catalogue())["credit_minor"] == 0
        await device.power_off()
        await device.power_on()
        await until(lambda: len(device.said("link_online")) == 2)
        await site.insert(500)
        assert (await site.catalogue())["credit_minor"] == 500, "no credit is told again"
        assert len(device.said("claimed")) == 1, "it logs in with the token it has made itself"
        await until(lambda: any(sample.journal_bytes for told in site.cloud.telemetry for sample in told.samples), 15)


@pytest.mark.criterion("8.1")
async def test_sixty_slots_in_a_matrix_on_shift_registers_leave_room(tmp_path: Path, app: Path) -> None:
    """Their motors and switches are wired to nothing here: what counts is that the device boots and connects."""
    heaps: list[int] = []
    async with vm_site(tmp_path, app, FAST) as site:
        device = site.device
        for slots in (2, 60):
            device.configure(**device.settings | matrix(device.settings["board"], slots))
            await device.power_on()
            await until(lambda: len(device.said("link_online")) == len(heaps) + 1, 20)
            heaps.append(await device.own_heap())
            await device.power_off()
        print(f"live heap after connect: {heaps[1] - heaps[0]} bytes more for 58 more slots")
        assert heaps[1] - heaps[0] <= 58 * MAX_SLOT_BYTES


@pytest.mark.criterion("8.7")
async def test_shift_registers_pwm_notes_door_current_and_panel_run_in_the_vm(tmp_path: Path, app: Path) -> None:
    async with vm_site(tmp_path, app, FAST, wiring=full) as site:
        device = site.device
        await device.power_on()
        device.cabinet.set_door(is_open=True)
        await site.until_online()
        await until(lambda: device.cabinet.insert_note(2))
        await until(lambda: bool(device.said("credit_acknowledged")))
        assert (await site.catalogue())["credit_minor"] == 5000
        for slot in ("A1", "A2"):
            order = await site.until_ended(await site.place(slot))
            assert (order["state"], order["vends"][0]["outcome"]) == ("settled", "dispensed")
        assert site.world().motor_starts.total() == site.world().drops.total() == 2
        await until(lambda: any(sample.door_open for told in site.cloud.telemetry for sample in told.samples), 20)
        samples = [sample for told in site.cloud.telemetry for sample in told.samples]
        assert 300 in [peak for sample in samples for peak in sample.peak_ma.values()]
        heap_bytes = await device.own_heap()
        print(f"live heap after connect, with all that the cabinet can have: {heap_bytes} bytes")


def everything(speed: float) -> dict[str, Any]:
    """All that a cabinet can have, with sixty slots on shift registers and a zone that has to stay cold."""
    given = full(speed)
    board = given["board"] | {"temperatures": {"pin": THERMOMETER_PIN, "zones": {"top": None}}}
    profile = {name: given["slots"]["A1"][name] for name in ("turn_ms", "max_ms", "settle_ms")} | {"jam_ma": 900}
    sixty = matrix(board, 60)
    sixty["slots"] = {code: slot | profile for code, slot in sixty["slots"].items()}
    return sixty


@pytest.mark.criterion("8.1")
async def test_a_cabinet_with_everything_and_sixty_slots_sells_and_fits_the_heap(tmp_path: Path, app: Path) -> None:
    async with vm_site(tmp_path, app, FAST, wiring=everything) as site:
        device = site.device
        await device.power_on()
        await site.until_online()
        heap_bytes = await device.own_heap()
        print(f"live heap with everything and sixty slots: {heap_bytes} bytes, {names_of(device)} names")
        assert heap_bytes <= MAX_HEAP_BYTES
        assert names_of(device) <= MAX_NAMES
        vend_id = await buy(site, "A2")
        assert site.world().motor_starts == {vend_id: 1} == site.world().drops
        await device.power_off()
        device.configure(**device.settings | {"mdns": True})
        await device.power_on()
        await until(lambda: len(device.said("link_online")) == 2, 20)
        print(f"and with multicast DNS: {await device.own_heap()} bytes, {names_of(device)} names")
        assert names_of(device) <= MAX_NAMES


def names_of(device: VmDevice) -> int:
    """How many names the firmware has made in this boot, as its heap was last looked at."""
    stand_ins = [told for told in device.said("heap") if not told["modules"]][-1]
    return int(device.said("heap")[-1]["names"] - stand_ins["names"])


def matrix(board: dict[str, Any], count: int) -> dict[str, Any]:
    """So many motors between two 74HC595s, each with a switch on a 74HC165, beside what the cabinet has on its pins."""
    slots = {
        f"{chr(ord('A') + row)}{column + 1}": {
            "motor": {"kind": "dc", "row": f"out:{row}", "column": f"out:{8 + column}"},
            "home": f"in:{10 * row + column}",
        }
        for row in range(6)
        for column in range(10)
    }
    return {
        "slots": dict(list(slots.items())[:count]),
        "board": {**board, "expanders": {"out": SHIFT, "in": SWITCHES | {"chips": 8}}},
    }


@pytest.mark.criterion("8.2")
@pytest.mark.parametrize(("writes", "size"), [(1, 20), (3, 1), (4, 0)])
async def test_a_power_cut_in_the_middle_of_a_vend_never_starts_its_motor_again(
    tmp_path: Path, app: Path, writes: int, size: int
) -> None:
    """The journal's records of a vend in their order: accepted, started, left home, product seen, done."""
    async with vm_site(tmp_path, app, FAST) as site:
        device = site.device
        await device.power_on()
        await site.until_online()
        await site.insert(PRICE_MINOR)
        await until(lambda: bool(device.said("credit_acknowledged")))
        device.cut_at(writes, size)
        order_id = await site.place("A1")
        assert await device.ended(20) == CUT
        await device.power_on()
        order = await site.until_ended(order_id)
        world = site.world()
        outcome = order["vends"][0]["outcome"]
        assert world.motor_starts.total() <= 1
        assert outcome == "ambiguous" or (outcome == "dispensed") == (world.drops.total() == 1)


async def test_a_link_that_is_cut_in_mid_vend_changes_nothing_for_it(tmp_path: Path, app: Path) -> None:
    async with vm_site(tmp_path, app, Habits(speed=1.5)) as site:
        device = site.device
        await device.power_on()
        await site.until_online()
        await site.insert(PRICE_MINOR)
        order_id = await site.place("A2")
        await until(lambda: bool(device.said("motor_started")))
        device.set_link(up=False)
        await until(lambda: bool(device.said("vend_ended")))
        assert (await site.order(order_id))["state"] == "dispensing"
        device.set_link(up=True)
        assert (await site.until_ended(order_id))["vends"][0]["outcome"] == "dispensed"
        assert site.world().motor_starts.total() == 1


async def test_a_gateway_of_another_site_is_never_spoken_to(tmp_path: Path, app: Path) -> None:
    async with vm_site(tmp_path, app, FAST) as site:
        device = site.device
        device.configure(**device.settings | {"ca_pem": SiteCa.open(tmp_path / "another").certificate_pem})
        await device.power_on()
        await until(lambda: len(device.said("link_failed")) >= 2)
        assert not device.said("claimed")
        assert device.log.read_bytes().count(b"# socket: unable to verify the first certificate") >= 2
