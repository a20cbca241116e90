"""A release of the whole firmware, from a whole gateway to a device in MicroPython's VM that sells before and after."""

import asyncio
import hashlib
import json
import shutil
from pathlib import Path
from uuid import UUID

import pytest

from edge.clock import new_id
from firmware.simulator.coil import Habits
from firmware.vending import slots
from firmware.workbench.releases import SOURCE, compile_app, digest_of
from firmware.workbench.signing import sign
from shared.releases import AssignedRelease, FirmwareAssigned
from shared.signed import Purpose
from tests.fakes.release_key import KEY, KEY_ID, PUBLIC, signed_release
from tests.fakes.until import until
from tests.firmware.vm.device import RESTARTED, VmDevice, compile_firmware
from tests.firmware.vm.site import PRICE_MINOR, VmSite, vm_site

NEW = "0.2.0"
CHANGES = {
    "__init__.py": ('VERSION = "0.1.0"', f'VERSION = "{NEW}"'),
    # The new program has to live for a minute before it is kept: here for two seconds.
    "probation.py": ("LIVED_MS = 60_000", "LIVED_MS = 2_000"),
}


def next_program(folder: Path) -> dict[str, bytes]:
    """The firmware as the release after this one."""
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (was, becomes) in CHANGES.items():
        source = (folder / name).read_text()
        assert was in source
        (folder / name).write_text(source.replace(was, becomes))
    return compile_app(folder)


def trust(device: VmDevice) -> None:
    """The cable has put the operator's key on the board, and settings that are signed with it."""
    keys = {KEY_ID: PUBLIC}
    (device.flash / "trust.json").write_text(json.dumps({"settings": keys, "release": keys}))
    (device.flash / "settings.json").write_bytes(sign(KEY, Purpose.SETTINGS, json.dumps(device.settings)))


async def vend(site: VmSite) -> None:
    await site.insert(PRICE_MINOR)
    order = await site.until_ended(await site.place("A1"))
    assert (order["state"], order["vends"][0]["outcome"]) == ("settled", "dispensed")


@pytest.mark.lab
@pytest.mark.criterion("8.5")
@pytest.mark.timeout(120)
async def test_a_device_takes_a_release_from_its_gateway_and_sells_before_and_after(tmp_path: Path) -> None:
    compile_firmware(tmp_path / "app")
    files = next_program(tmp_path / "next")
    bundle = signed_release(NEW, files=files)
    digest, document = digest_of(bundle), bundle.signed.to_line()
    async with vm_site(tmp_path, tmp_path / "app", Habits(speed=5), release_keys=[PUBLIC]) as site:
        device = site.device
        trust(device)
        await device.power_on()
        await site.until_online()
        await vend(site)
        await until(lambda: bool(device.said("acknowledge_received") and device.said("credit_acknowledged")))
        before = await device.own_heap()
        site.cloud.files = {hashlib.sha256(content).hexdigest(): content for content in (document, *files.values())}
        release = AssignedRelease(digest=digest, size=len(document))
        device_id = UUID(device.settings["device_id"])
        site.cloud.change(
            FirmwareAssigned(assignment_id=new_id(), device_id=device_id, machine_id=site.machine_id, release=release)
        )
        await until(lambda: bool(device.said("release_begun")), 20)
        order_id = await site.place("A1")
        await until(lambda: len(list((device.flash / "b/vending").glob("*.mpy"))) == len(files), 40)
        await asyncio.sleep(3)
        assert device.has_power, "an order waits for its coins"
        print(f"live heap while a release waits for leave to boot: {await device.own_heap() - before} bytes more")
        await until(lambda: device.cabinet.insert_coin(PRICE_MINOR))
        assert (await site.until_ended(order_id))["state"] == "settled"
        assert await device.ended(60) == RESTARTED
        await device.power_on()
        await until(lambda: bool(device.said("release_proven")), 20)
        assert device.said("booted")[-1]["firmware"] == NEW
        assert slots.proven("b", f"{device.flash}/") == NEW
        valid = f'"digest":"{digest}","version":"{NEW}"}},"state":"valid"'.encode()
        await until(lambda: any(valid in line for line in site.cloud.lines), 20)
        await vend(site)
        assert site.world().motor_starts.total() == 3
