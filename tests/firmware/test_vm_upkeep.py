"""Looking after a device in MicroPython's own VM, from the cloud's word to the device's: restart, jog, settings."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from edge.clock import Clock, new_id
from edge.site_ca import SiteCa
from firmware.simulator.coil import Habits
from shared.signed import SignedText
from shared.sync import FACT, FactBody
from shared.upkeep import Action, DeviceInstruction, SettingsAssigned
from tests.fakes.settings_key import OperatorKey
from tests.fakes.until import until
from tests.firmware.vm.device import RESTARTED, compile_firmware
from tests.firmware.vm.site import VmSite, vm_site

PIN = "3141592"
KEY = OperatorKey()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled files."""
    folder = tmp_path_factory.mktemp("app")
    compile_firmware(folder)
    return folder


@pytest.fixture
async def site(tmp_path: Path, app: Path) -> AsyncIterator[VmSite]:
    """The device runs on signed settings, and its board believes nobody else's."""
    async with vm_site(tmp_path, app, Habits(speed=5)) as site:
        device_id = site.device.settings["device_id"]
        pin_sha256 = hashlib.sha256(f"{device_id}:{PIN}".encode()).hexdigest()
        site.device.configure(**site.device.settings | {"service_pin_sha256": pin_sha256})
        (site.device.flash / "settings.json").write_bytes(KEY.sign(site.device.settings))
        (site.device.flash / "trust.json").write_bytes(KEY.trust)
        await site.device.power_on()
        await site.until_online()
        yield site


def told(site: VmSite, event: str) -> list[Any]:
    """The facts of this kind that have reached the cloud."""
    bodies: list[FactBody] = [FACT.validate_json(line).body for line in site.cloud.lines]
    return [body for body in bodies if body.event == event]


def ask(site: VmSite, action: Action, **others: Any) -> UUID:
    wish = DeviceInstruction(
        request_id=new_id(),
        device_id=UUID(site.device.settings["device_id"]),
        machine_id=site.machine_id,
        action=action,
        asked_by="Asha",
        expires_at=Clock().now() + timedelta(minutes=5),
        **others,
    )
    site.cloud.change(wish)
    return wish.request_id


def assign(site: VmSite, version: int, **changed: Any) -> str:
    """Settings with these differences; their digest."""
    signed = SignedText.model_validate_json(KEY.sign(site.device.settings | changed))
    device_id = UUID(site.device.settings["device_id"])
    site.cloud.change(SettingsAssigned(device_id=device_id, machine_id=site.machine_id, version=version, signed=signed))
    return hashlib.sha256(signed.to_line()).hexdigest()


def failed(site: VmSite, times: int) -> bool:
    """Whether the link has failed so often."""
    return len(site.device.said("link_failed")) >= times


def running(site: VmSite) -> dict[str, Any]:
    """What settings.json on the flash says."""
    found: dict[str, Any] = json.loads(json.loads((site.device.flash / "settings.json").read_bytes())["text"])
    return found


async def test_a_restart_that_the_cloud_asks_for_comes_once_and_is_answered(site: VmSite) -> None:
    request_id = ask(site, Action.RESTART)
    assert await site.device.ended(20) == RESTARTED
    await site.device.power_on()
    await site.until_online()
    await until(lambda: bool(told(site, "device_instruction_ended")), 20)
    (ended,) = told(site, "device_instruction_ended")
    assert (ended.request_id, ended.state) == (request_id, "done")
    await asyncio.sleep(1)
    assert site.device.has_power, "it did not restart again"
    log = site.device.log.read_bytes()
    credentials = json.loads((site.device.flash / "credentials.json").read_bytes())
    secrets = [*credentials.values(), site.device.settings["claim_code"], site.device.settings["wifi"]["password"]]
    assert not [secret for secret in secrets if secret.encode() in log]


async def test_a_motor_is_not_turned_from_afar_at_a_machine_whose_door_is_shut(site: VmSite) -> None:
    ask(site, Action.JOG, slot="A1", pin=PIN)
    await until(lambda: bool(told(site, "device_instruction_ended")), 20)
    (ended,) = told(site, "device_instruction_ended")
    assert (ended.state, ended.reason) in (("refused", "the door has no switch"), ("refused", "the door is shut"))
    assert site.world().motor_starts.total() == 0
    assert PIN.encode() not in site.device.log.read_bytes()


async def test_new_settings_are_kept_once_the_link_has_stood_on_them(site: VmSite) -> None:
    digest = assign(site, 1, gateway_host="localhost")
    assert await site.device.ended(60) == RESTARTED
    await site.device.power_on()
    await until(lambda: any((one.digest, one.state) == (digest, "kept") for one in told(site, "settings_reported")), 20)
    assert running(site)["gateway_host"] == "localhost"
    assert not (site.device.flash / "settings.trial").exists()
    heap_bytes = await site.device.heap()
    print(f"live heap after new settings: {heap_bytes - site.device.said('heap')[0]['bytes']} bytes")


async def test_settings_without_a_link_are_given_up_across_power_cuts(site: VmSite, tmp_path: Path) -> None:
    before = running(site)
    digest = assign(site, 1, ca_pem=SiteCa.open(tmp_path / "another").certificate_pem)
    assert await site.device.ended(60) == RESTARTED
    for failures in (1, 2):
        await site.device.power_on()
        await until(partial(failed, site, failures), 20)
        await site.device.power_off()
    await site.device.power_on()
    await site.until_online()
    await until(lambda: any(one.state == "reverted" for one in told(site, "settings_reported")), 20)
    reported = told(site, "settings_reported")[-1]
    assert (reported.offered, reported.reason) == (digest, "not proven in 2 boots")
    assert running(site) == before


@pytest.mark.lab
@pytest.mark.timeout(300)
async def test_settings_without_a_link_are_given_up_after_two_minutes(site: VmSite, tmp_path: Path) -> None:
    before = running(site)
    digest = assign(site, 1, ca_pem=SiteCa.open(tmp_path / "another").certificate_pem)
    assert await site.device.ended(60) == RESTARTED
    await site.device.power_on()
    assert await site.device.ended(150) == RESTARTED
    await site.device.power_on()
    await site.until_online()
    await until(lambda: any(one.state == "reverted" for one in told(site, "settings_reported")), 20)
    reported = told(site, "settings_reported")[-1]
    assert (reported.offered, reported.reason) == (digest, "the link did not come up in 2 minutes")
    assert running(site) == before


async def test_settings_that_the_board_would_not_run_on_are_refused_with_the_reason(site: VmSite) -> None:
    digest = assign(site, 1, slots={"A1": {"motor": {"kind": "dc", "output": 7}}})
    await until(lambda: any(one.state == "refused" for one in told(site, "settings_reported")), 60)
    reported = told(site, "settings_reported")[-1]
    assert reported.offered == digest
    assert "pin 7 is wired to the flash" in reported.reason
    assert site.device.has_power
