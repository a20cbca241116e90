"""LED and buzzer of a device in MicroPython's own VM: what they tell (firmware/FAULTS.md), as the pins tell it."""

import asyncio
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from firmware.simulator.coil import Habits
from tests.fakes.until import until
from tests.firmware.vm.cabinet import Cabinet
from tests.firmware.vm.device import compile_firmware
from tests.firmware.vm.site import PRICE_MINOR, vm_site
from tests.firmware.vm.wiring import BUZZER_PIN, LED_PIN, full

ROUND_S = 1.0
"""The light's pattern takes eight steps of 125 ms."""
SHORT_S, LONG_S = 0.3, 0.6


def spans(cabinet: Cabinet, pin: int, since: float) -> dict[bool, list[float]]:
    """How long a lamp that went on or off after `since` stayed so each time."""
    changes = [(at, on) for at, line, on in cabinet.lamps if line == str(pin) and at > since]
    lasted = [(on, end - at) for (at, on), (end, _) in pairwise(changes)]
    return {state: [seconds for on, seconds in lasted if on == state] for state in (True, False)}


def blinks(cabinet: Cabinet, since: float) -> int:
    """How often the light went on."""
    return len([on for at, line, on in cabinet.lamps if line == str(LED_PIN) and on and at > since])


@pytest.mark.criterion("8.7")
async def test_light_and_sound_tell_a_customer_and_a_technician_how_it_is(tmp_path: Path) -> None:
    compile_firmware(tmp_path / "app")
    async with vm_site(tmp_path, tmp_path / "app", Habits(speed=1.5), wiring=full) as site:
        device, cabinet = site.device, site.device.cabinet
        await device.power_on()
        await site.until_online()
        await asyncio.sleep(ROUND_S)
        began = time.monotonic()
        await site.insert(PRICE_MINOR)
        await asyncio.sleep(ROUND_S)
        assert len(spans(cabinet, BUZZER_PIN, began)[True]) == 1, "one beep for a coin"
        assert blinks(cabinet, began) == 0, "the light stays on"
        began = time.monotonic()
        await site.until_ended(await site.place("A1"))
        vending = spans(cabinet, LED_PIN, began)
        assert len(vending[True]) >= 3
        assert max(median(vending[True]), median(vending[False])) < SHORT_S
        began = time.monotonic()
        device.set_link(up=False)
        await until(lambda: blinks(cabinet, began) > 2, 20)
        offline = spans(cabinet, LED_PIN, began)
        assert median(offline[True]) < SHORT_S < LONG_S < median(offline[False])
        assert not spans(cabinet, BUZZER_PIN, began)[True]
