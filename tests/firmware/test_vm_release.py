"""A release on its whole way: signed on a desk, published in the real cloud, and in the end run by MicroPython's VM."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from firmware.vending import VERSION
from firmware.workbench.releases import SOURCE, compile_app, make_release
from shared.releases import ReleaseBundle, ReleaseKind
from tests.fakes import release_key
from tests.fakes.until import until
from tests.firmware.vm.device import RESTARTED
from tests.firmware.vm.street import street

NEXT = "99.0.0"
UPDATE_S = 60
LIVED = ("LIVED_MS = 60_000", "LIVED_MS = 2_000")


def next_release(folder: Path, **edits: tuple[str, str]) -> ReleaseBundle:
    """The firmware as it is but for its version, how long it has to live, and edits of its modules."""
    source = folder / "source"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (old, new) in {"__init__": (VERSION, NEXT), "probation": LIVED, **edits}.items():
        text = (source / f"{name}.py").read_text()
        assert text.count(old) == 1
        (source / f"{name}.py").write_text(text.replace(old, new))
    about: dict[str, Any] = {"kind": ReleaseKind.APP, "minimum": VERSION, "board": "esp32", "expires": 2**40}
    return make_release(release_key.KEY, compile_app(source), version=NEXT, **about)


@pytest.mark.lab
@pytest.mark.timeout(150)
@pytest.mark.criterion("8.5")
async def test_a_device_updates_itself_while_it_sells(tmp_path: Path) -> None:
    async with street(tmp_path) as site:
        before = await site.until_row(firmware_state="valid")
        assert (before["running_slot"], before["running_digest"], before["running_version"]) == ("a", None, VERSION)
        digest = await site.release(next_release(tmp_path))
        await until(lambda: bool(site.device.said("release_begun")), UPDATE_S)
        assert await site.buy("A1") == "dispensed"
        assert await site.device.ended(UPDATE_S) == RESTARTED
        await site.device.power_on()
        after = await site.until_row(UPDATE_S, firmware_state="valid", running_digest=digest)
        assert (after["running_slot"], after["running_version"], after["given_up_reason"]) == ("b", NEXT, None)
        assert await site.buy("A2") == "dispensed"


@pytest.mark.lab
@pytest.mark.timeout(150)
@pytest.mark.criterion("8.5")
async def test_a_release_that_does_not_run_is_left_and_the_cloud_hears_of_it(tmp_path: Path) -> None:
    broken = ("def start()", "import a_module_that_nobody_has\n\n\ndef start()")
    async with street(tmp_path) as site:
        await site.until_row(firmware_state="valid")
        digest = await site.release(next_release(tmp_path, boot=broken))
        for _ in range(2):
            assert await site.device.ended(UPDATE_S) == RESTARTED
            await site.device.power_on()
        told = await site.until_row(firmware_state="failed")
        assert (told["running_slot"], told["running_digest"], told["running_version"]) == ("a", None, VERSION)
        assert (told["firmware_offered"], told["assigned_digest"]) == (digest, digest)
        assert "a_module_that_nobody_has" in told["firmware_reason"]
        assert await site.buy("A1") == "dispensed"
