"""The sheet and the checklist as an operator sees them."""

import base64
import json
import re
import zlib
from html import unescape
from pathlib import Path

import pytest

from cloud.dashboard.setup_sheet import drawn
from edge.site_ca import SiteCa
from firmware.vending import settings_file
from shared.bundles import opened, read
from tests.cloud.conftest import World, claim
from tests.cloud.dashboard.test_people_pages import PAGE, text, where
from tests.cloud.setups.test_setups import ask, ready
from tests.cloud.sheets.test_sheets import finished
from tests.fakes.cloud_people import PersonAtCloud
from tests.fakes.gateway_client import GatewayClient
from tests.fakes.memory_flash import MemoryFlash
from tests.fakes.settings_key import OPERATOR


async def made(person: PersonAtCloud, here: str, **fields: str) -> str:
    answer = await person.ask("POST", f"{here}/sheet", headers=PAGE, form=fields)
    assert answer.status_code == 200
    return str(await answer.get_data(as_text=True))


@pytest.mark.criterion("9.3")
async def test_the_sheet_lets_gateway_and_board_in(world: World, admin: PersonAtCloud, tmp_path: Path) -> None:
    here = (await finished(world)).removeprefix("/v1")
    assert "The codes of the sheet before stop working" in await text(admin, f"{here}/sheet")
    page = await made(admin, here)
    found = re.search(r"larder-gateway claim --cloud \S+ ([\w-]+)", page)
    assert found is not None
    assert "let it in first" in page
    gateway = GatewayClient(ca_pem=SiteCa.open(tmp_path).certificate_pem)
    await claim(world.client, gateway, found[1])
    page = await made(admin, here)
    assert found[1] not in page
    assert 'aria-label="QR code that opens the page of board' in page
    assert "data:" not in page, "a browser would keep it among what was downloaded"
    file = re.search(r'<textarea[^>]+id="settings-1"[^>]*>([^<]+)</textarea>', page)
    assert file is not None
    signed = unescape(file[1]).encode()
    board = MemoryFlash({"settings.json": signed, "trust.json": OPERATOR.trust})
    assert settings_file.load(board).wifi.ssid == "shop"
    assert json.loads(signed)["text"] not in await text(admin, f"{here}/checks")


def command_on(page: str) -> str:
    found = re.search(r"larder-gateway claim --cloud \S+ ([\w-]+)", page)
    assert found is not None
    return found[1]


async def test_a_sheet_that_is_loaded_again_is_the_same_and_its_codes_work(world: World, admin: PersonAtCloud) -> None:
    here = (await finished(world)).removeprefix("/v1")
    key = re.search(r'name="once" value="([0-9a-f-]+)"', await text(admin, f"{here}/sheet"))
    assert key is not None
    printed = await made(admin, here, once=key[1])
    assert await made(admin, here, once=key[1]) == printed
    await claim(world.client, GatewayClient(), command_on(printed))
    assert "has come in" in await made(admin, here, once="no key")


async def test_the_file_for_a_stick_is_opened_by_the_passphrase_beside_it(world: World, admin: PersonAtCloud) -> None:
    path = await finished(world)
    answer = await admin.ask("POST", f"{path.removeprefix('/v1')}/bundle", headers=PAGE, form={})
    page = await answer.get_data(as_text=True)
    file = re.search(r'<textarea id="bundle"[^>]*>([^<]+)</textarea>', page)
    phrase = re.search(r'class="passphrase"><code>([0-9A-Z-]+)</code>', page)
    assert file is not None
    assert phrase is not None
    bundle = read(opened(base64.b64decode(unescape(file[1])), phrase[1]))
    assert str(bundle.place.gateway_id) == (await ask(world, "GET", path, 200))["gateway_id"]
    assert "QR code that opens the page of board" in page
    await claim(world.client, GatewayClient(), bundle.claim_code)
    here = path.removeprefix("/v1")
    assert await where(admin, "POST", f"{here}/bundle") == here


def test_a_code_that_would_be_too_long_is_left_out_and_said_so() -> None:
    noise = base64.b64encode(zlib.compress(bytes(range(256)) * 40)).decode()
    assert drawn("http://192.168.4.1/#" + noise[:100]) is not None
    assert drawn("http://192.168.4.1/#" + "aB3" * 2_000) is None


async def test_the_checklist_is_followed_and_ends_in_a_report(world: World, admin: PersonAtCloud) -> None:
    path = await finished(world)
    here = path.removeprefix("/v1")
    page = await text(admin, f"{here}/checks")
    for told in ("Gateway has come in", "Snacks 2 board", "Insert a coin", "0 of 8", "waiting"):
        assert told in page
    refused = await admin.ask("POST", f"{here}/checks", headers=PAGE, form={"reason": " "})
    assert refused.status_code == 422
    assert "Say why" in await refused.get_data(as_text=True)
    assert await where(admin, "POST", f"{here}/checks", reason="Shown to me on site") == f"{here}/checks"
    assert "The report was signed" in await text(admin, f"{here}/checks")
    assert (await ask(world, "GET", f"{path}/checklist", 200))["reported_at"] is not None


async def test_an_open_setup_has_neither(world: World, admin: PersonAtCloud) -> None:
    here = (await ready(world)).removeprefix("/v1")
    for page in ("sheet", "checks"):
        assert await where(admin, "GET", f"{here}/{page}") == here
