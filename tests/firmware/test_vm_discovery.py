"""A device in MicroPython's own VM and its gateway find each other by multicast DNS, by real datagrams on loopback."""

import asyncio
from pathlib import Path

import pytest
from zeroconf import ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from edge.discovery import DEVICE_TYPE
from firmware.simulator.coil import Habits
from firmware.vending.announcer import ANSWER_GAP_MS
from shared.contract import Rail
from tests.fakes.until import until
from tests.firmware.vm.device import compile_firmware
from tests.firmware.vm.site import vm_site
from tests.firmware.vm.wiring import plain

LOOPBACK = "127.0.0.1"


async def address_told(name: str) -> list[str]:
    """What this device answers to somebody who begins to ask now."""
    heard = asyncio.Event()

    def note(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if name == wanted:
            heard.set()

    wanted = f"{name}.{DEVICE_TYPE}"
    mdns = AsyncZeroconf(interfaces=[LOOPBACK])
    browser = AsyncServiceBrowser(mdns.zeroconf, DEVICE_TYPE, handlers=[note])
    try:
        async with asyncio.timeout(20):
            await heard.wait()
        info = AsyncServiceInfo(DEVICE_TYPE, wanted)
        info.load_from_cache(mdns.zeroconf)
        return info.parsed_addresses()
    finally:
        await browser.async_cancel()
        await mdns.async_close()


@pytest.mark.criterion("8.1")
async def test_a_device_without_an_address_finds_its_gateway_and_answers_who_asks(tmp_path: Path) -> None:
    compile_firmware(tmp_path / "app")
    async with vm_site(
        tmp_path, tmp_path / "app", Habits(speed=5), Rail.FREE, plain, mdns_interfaces=[LOOPBACK]
    ) as site:
        device = site.device
        device.configure(**device.settings | {"gateway_host": None, "mdns": True})
        await device.power_on()
        await site.until_online()
        assert device.said("gateway_tried")[0]["found_by"] == "mdns"
        await until(lambda: site.devices_found > 0, 20)
        # Longer than it rests after telling unasked; it tells again only a minute later.
        await asyncio.sleep(1.5 * ANSWER_GAP_MS / 1000)
        assert await address_told(device.settings["device_id"]) == [LOOPBACK]
        order = await site.until_ended(await site.place("A1"))
        assert order["vends"][0]["outcome"] == "dispensed"
        print(f"live heap with multicast DNS: {await device.own_heap()} bytes")


async def test_a_device_is_found_soon_though_its_network_comes_late_and_keeps_nothing_for_it(tmp_path: Path) -> None:
    compile_firmware(tmp_path / "app")
    async with vm_site(
        tmp_path, tmp_path / "app", Habits(speed=5), Rail.FREE, plain, mdns_interfaces=[LOOPBACK]
    ) as site:
        device = site.device
        device.configure(**device.settings | {"mdns": True})
        await device.power_on()
        await site.until_online()
        await until(lambda: site.devices_found > 0, 20)
        await device.own_heap()
        modules = set(device.said("heap")[-1]["modules"])
        assert "announcer" in modules
        assert not modules & {"radio", "sockets", "dns", "discovery"}
