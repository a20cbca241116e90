"""MicroPython anew, on its whole way: published in the cloud, pieced into the other partition, tried, kept or left.

The boot loader and its partitions are stand-ins (tests/firmware/vm/modules/esp32.py); what runs from either is the VM.
"""

import asyncio
import hashlib
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from firmware.vending import VERSION
from firmware.workbench.releases import SOURCE, make_release
from shared.releases import ReleaseBundle, ReleaseKind
from tests.fakes import release_key
from tests.fakes.until import until
from tests.firmware.vm.device import RESTARTED
from tests.firmware.vm.street import Street, street

IMAGE = b"\xe9" + random.Random(8).randbytes(40_000)
NEWER = "1.99.0"
LIVED_S = 2
UPDATE_S = 60


def hasty(folder: Path, given_s: int) -> Path:
    """The firmware, but that it has to live for two seconds before an image is kept, and has so many to show it."""
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / "probation.py").read_text()
    haste = {"LIVED_MS = 60_000": f"LIVED_MS = {LIVED_S}_000", "GIVEN_MS = 600_000": f"GIVEN_MS = {given_s}_000"}
    for was, becomes in haste.items():
        assert text.count(was) == 1
        text = text.replace(was, becomes)
    (folder / "probation.py").write_text(text)
    return folder


def partition(site: Street) -> None:
    """The board has two partitions for MicroPython; it runs from the first."""
    folder = site.device.flash / "partitions"
    folder.mkdir()
    (folder / "choice.json").write_text(json.dumps({"boots": "ota_0", "state": "valid"}))
    for label in ("ota_0", "ota_1"):
        (folder / label).write_bytes(b"\xff" * 65536)


def choice(site: Street) -> tuple[str, str]:
    """Which partition the boot loader boots, and what it makes of it."""
    found: dict[str, str] = json.loads((site.device.flash / "partitions/choice.json").read_text())
    return found["boots"], found["state"]


def image() -> ReleaseBundle:
    about: dict[str, Any] = {"kind": ReleaseKind.IMAGE, "minimum": VERSION, "board": "esp32", "expires": 2**40}
    return make_release(release_key.KEY, {"micropython.bin": IMAGE}, version=NEWER, **about)


async def fetched_and_booted(site: Street) -> str:
    """The device takes the image, and is about to boot it; the digest of its release."""
    partition(site)
    await site.until_row(firmware_state="valid")
    digest = await site.release(image())
    assert await site.device.ended(UPDATE_S) == RESTARTED
    assert choice(site) == ("ota_1", "new")
    written = (site.device.flash / "partitions/ota_1").read_bytes()
    assert written == IMAGE + b"\xff" * (len(written) - len(IMAGE))
    assert (site.device.flash / "partitions/ota_0").read_bytes() == b"\xff" * 65536
    return digest


@pytest.mark.lab
@pytest.mark.timeout(150)
@pytest.mark.criterion("8.5")
async def test_an_image_is_kept_once_it_has_led_to_the_gateway_and_lived(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with street(tmp_path, hasty(tmp_path / "source", 60)) as site:
        digest = await fetched_and_booted(site)
        sha256 = hashlib.sha256(IMAGE).hexdigest()
        lines = capsys.readouterr().out.splitlines()
        assert len([line for line in lines if "file_fetched" in line and sha256 in line]) == 1
        boots = len(site.device.said("booted"))
        await site.device.power_on()
        site.device.set_link(up=False)
        await until(lambda: len(site.device.said("booted")) > boots, 20)
        await asyncio.sleep(LIVED_S + 1)
        assert choice(site) == ("ota_1", "pending"), "it lives, and nobody has kept it"
        assert site.device.said("release_proven") == []
        site.device.set_link(up=True)
        kept = await site.until_row(UPDATE_S, firmware_state="valid", firmware_offered=digest)
        assert choice(site) == ("ota_1", "valid")
        assert (kept["running_slot"], kept["running_digest"], kept["given_up_reason"]) == ("a", None, None)
        assert await site.buy("A1") == "dispensed"
        await site.device.power_off()
        await site.device.power_on()
        await until(lambda: len(site.device.said("link_online")) >= 3, 20)
        assert choice(site) == ("ota_1", "valid")


@pytest.mark.lab
@pytest.mark.timeout(150)
@pytest.mark.criterion("8.5")
async def test_an_image_that_does_not_lead_to_the_gateway_is_left_and_the_cloud_hears_of_it(tmp_path: Path) -> None:
    async with street(tmp_path, hasty(tmp_path / "source", 5)) as site:
        digest = await fetched_and_booted(site)
        await site.device.power_on()
        site.device.set_link(up=False)
        assert await site.device.ended(UPDATE_S) == RESTARTED
        assert len(site.device.said("release_not_proven")) == 1
        await site.device.power_on()
        told = await site.until_row(UPDATE_S, firmware_state="failed")
        assert choice(site) == ("ota_0", "aborted")
        assert (told["firmware_offered"], told["firmware_reason"]) == (digest, "the image did not prove itself")
        assert (told["running_slot"], told["assigned_digest"]) == ("a", digest)
        assert await site.buy("A1") == "dispensed"
