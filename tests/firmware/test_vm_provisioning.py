"""A board fresh from the operator's desk, in MicroPython's own VM: set up by phone or by file, it claims itself."""

import asyncio
import hashlib
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from edge.clock import Clock
from firmware.simulator.coil import Habits
from shared.devices import ExpectedDevice
from tests.fakes.settings_key import OperatorKey
from tests.fakes.until import until
from tests.firmware.vm.device import RESTARTED, VmDevice, compile_firmware
from tests.firmware.vm.site import VmSite, vm_site

OWN = {"Host": "192.168.4.1"}
FAST = Habits(speed=5)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    compile_firmware(folder)
    return folder


async def page(device: VmDevice) -> httpx.AsyncClient:
    """A phone on the board's own network."""
    pattern = re.compile(rb"# port 80 is (\d+)")
    opened = len(device.said("setup_open"))
    await until(lambda: len(pattern.findall(device.log.read_bytes())) > max(0, opened - 1), 20)
    port = int(pattern.findall(device.log.read_bytes())[-1])
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=OWN, timeout=20, trust_env=False)


async def offer(phone: httpx.AsyncClient, data: bytes) -> dict[str, Any]:
    assert (await phone.post("/settings", content=data)).status_code == 202
    async with asyncio.timeout(40):
        while True:
            told: dict[str, Any] = (await phone.get("/state")).json()
            if told["state"] in ("saved", "failed"):
                return told
            await asyncio.sleep(0.2)


@pytest.mark.criterion("8.1")
@pytest.mark.criterion("9.3")
async def test_a_board_that_was_set_up_by_phone_restarts_and_claims_itself(tmp_path: Path, app: Path) -> None:
    key = OperatorKey()
    async with vm_site(tmp_path, app, FAST) as site:
        device, values = site.device, site.device.settings
        (device.flash / "settings.json").unlink()
        (device.flash / "trust.json").write_bytes(key.trust)
        await device.power_on()
        async with await page(device) as phone:
            assert "<title>Set up this machine</title>" in (await phone.get("/")).text
            assert (await phone.get("/generate_204", headers={"Host": "a.example"})).status_code == 302
            assert "does not know" in (await offer(phone, OperatorKey().sign(values)))["reason"]
            print(f"live heap while it waits: {await device.heap() - device.said('heap')[0]['bytes']} bytes")
            assert (await offer(phone, key.sign(values)))["state"] == "saved"
        assert await device.ended(20) == RESTARTED
        password = json.loads((device.flash / "label.json").read_text())["password"]
        assert f"password {password}".encode() in device.log.read_bytes()
        await device.power_on()
        await site.until_online()
        assert len(device.said("claimed")) == 1
        await until(lambda: any(b'"device_claimed"' in line for line in site.cloud.lines), 10)


@pytest.mark.criterion("9.3")
async def test_a_file_dropped_on_the_board_is_checked_at_boot(tmp_path: Path, app: Path) -> None:
    key = OperatorKey()
    async with vm_site(tmp_path, app, FAST) as site:
        device, values = site.device, site.device.settings
        (device.flash / "trust.json").write_bytes(key.trust)
        await device.power_on()
        async with await page(device) as phone:
            assert (await phone.get("/state")).json()["reason"] == "settings.json: nobody has signed it"
        assert [told["reason"] for told in device.said("settings_refused")] == ["settings.json: nobody has signed it"]
        await device.power_off()
        (device.flash / "settings.json").write_bytes(key.sign(values))
        await device.power_on()
        await until(lambda: len(device.said("link_online")) == 1, 20)
        await device.power_off()
        await device.power_on()
        await until(lambda: len(device.said("link_online")) == 2, 20)
        assert len(device.said("claimed")) == 1


@pytest.mark.criterion("9.3")
async def test_a_device_that_has_forgotten_itself_needs_a_person_to_claim_again(tmp_path: Path, app: Path) -> None:
    async with vm_site(tmp_path, app, FAST) as site:
        device = site.device
        await device.power_on()
        await site.until_online()
        await device.power_off()
        (device.flash / "credentials.json").unlink()
        await device.power_on()
        await until(lambda: len(device.said("claim_refused")) >= 2 and bool(device.said("login_refused")), 30)
        assert len(device.said("claimed")) == 1, "a code works once, and whoever has it is not let in again"
        await device.power_off()
        code = new_code(site, "the-next-code-0123456789abcdef")
        device.configure(**device.settings | {"claim_code": code})
        await device.power_on()
        await until(lambda: len(device.said("claimed")) == 2, 30)
        await until(lambda: sum(b'"device_claimed"' in line for line in site.cloud.lines) == 2, 10)


@pytest.mark.lab
@pytest.mark.timeout(150)
@pytest.mark.criterion("8.2")
@pytest.mark.criterion("9.3")
async def test_money_that_nobody_has_acknowledged_outlives_a_factory_reset(tmp_path: Path, app: Path) -> None:
    async with vm_site(tmp_path, app, FAST) as site:
        device = site.device
        await device.power_on()
        await site.until_online()
        await site.insert(500)
        assert device.cabinet.insert_coin(1500)
        device.set_link(up=False)
        await until(lambda: len(device.said("credit_inserted")) == 2)
        device.cabinet.press_button()
        assert await device.ended(40) == RESTARTED
        left = {path.name for path in device.flash.iterdir()}
        assert not left & {"settings.json", "credentials.json", "gateway.json"}
        assert device.said("factory_reset")[0]["unacknowledged_credits"] == 1
        code = new_code(site, "after-the-reset-0123456789abcdef")
        device.configure(**device.settings | {"claim_code": code})
        await device.power_on()
        await until(lambda: len(device.said("claimed")) == 2, 30)
        await until(lambda: len(device.said("credit_acknowledged")) == 2, 20)
        assert (await site.catalogue())["credit_minor"] == 2000, "each coin counts once"


def new_code(site: VmSite, code: str) -> str:
    """The cloud has issued this code for the device."""
    site.cloud.change(
        ExpectedDevice(
            device_id=UUID(site.device.settings["device_id"]),
            machine_id=site.machine_id,
            name="left cabinet",
            claim_code_sha256=hashlib.sha256(code.encode()).hexdigest(),
            claim_expires_at=Clock().now() + timedelta(hours=1),
        )
    )
    return code
