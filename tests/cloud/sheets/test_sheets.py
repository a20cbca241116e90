"""The sheet of a finished setup: what is on it lets a gateway and a board in, once."""

import asyncio
import base64
import zlib
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from cloud.auth.rules import sha256_hex
from cloud.callers import system
from cloud.clock import Clock, new_id
from cloud.database import Transaction
from cloud.onboarding.service import end_claim_codes, lock_gateways, revoke_gateway
from edge.site_ca import SiteCa
from firmware.vending import settings_file
from firmware.vending.settings import Settings
from shared.devices import ExpectedDevice
from tests.cloud.conftest import JSON, World, claim
from tests.cloud.setups.test_setups import ask, begun, outline, pulled, ready
from tests.fakes.gateway_client import GatewayClient
from tests.fakes.memory_flash import MemoryFlash
from tests.fakes.settings_key import OPERATOR


async def finished(world: World) -> str:
    path = await ready(world)
    await ask(world, "POST", f"{path}/finish", 200)
    return path


def board_set_up_by(address: str) -> Settings:
    """What a board of this cloud takes from the part of the address that its page reads."""
    packed = address.partition("#")[2]
    file = zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    return settings_file.load(MemoryFlash({"settings.json": file, "trust.json": OPERATOR.trust}))


async def sheet_of(world: World, path: str) -> dict[str, Any]:
    made: dict[str, Any] = await ask(world, "POST", f"{path}/sheet", 201)
    return made


@pytest.mark.criterion("9.3")
async def test_a_gateway_comes_in_by_the_code_and_then_boards_get_their_settings(world: World, tmp_path: Path) -> None:
    path = await finished(world)
    first = await sheet_of(world, path)
    code = first["gateway"]["claim_code"]
    assert first["gateway"]["command"].endswith(code)
    assert code in first["gateway"]["settings_toml"]
    (device,) = first["devices"]
    assert (device["settings"], device["setup_address"]) == (None, None)
    assert "let it in first" in device["missing"]

    gateway = GatewayClient(ca_pem=SiteCa.open(tmp_path).certificate_pem)
    await claim(world.client, gateway, code)
    second = await sheet_of(world, path)
    assert (second["gateway"]["claimed"], second["gateway"]["claim_code"]) == (True, None)
    (device,) = second["devices"]
    assert device["missing"] is None
    taken = board_set_up_by(device["setup_address"])
    assert (taken.device_id, taken.claim_code, taken.wifi.ssid) == (device["device_id"], device["claim_code"], "shop")
    assert taken.slots["A1"].motor.output.number == 25


async def test_codes_of_the_sheet_before_work_no_more(world: World) -> None:
    path = await finished(world)
    old, new = [(await sheet_of(world, path))["gateway"]["claim_code"] for _ in range(2)]
    refused = await world.client.post("/v1/claim", data=GatewayClient().wish(old).to_line(), headers=JSON)
    assert (refused.status_code, (await refused.get_json())["code"]) == (403, "claim_code_expired")
    await claim(world.client, GatewayClient(), new)


async def test_of_sheets_made_at_once_one_works(world: World) -> None:
    path = await finished(world)
    made = await asyncio.gather(*(sheet_of(world, path) for _ in range(4)))
    taken = 0
    for sheet in made:
        wish = GatewayClient().wish(sheet["gateway"]["claim_code"]).to_line()
        taken += (await world.client.post("/v1/claim", data=wish, headers=JSON)).status_code == 200
    assert taken == 1


async def test_a_code_of_a_sheet_lets_in_one_key_and_nobody_after_it_was_revoked(world: World) -> None:
    path = await finished(world)
    code = (await sheet_of(world, path))["gateway"]["claim_code"]
    gateway, other = GatewayClient(), GatewayClient()
    await claim(world.client, gateway, code)
    await claim(world.client, gateway, code)
    assert await refused(world, other, code) == "claim_code_used"
    gateway_id = UUID((await ask(world, "GET", path, 200))["gateway_id"])
    now = Clock().now()
    await world.do(lambda work: revoke_gateway(work, system("test"), world.tenant_id, gateway_id, now))
    assert await refused(world, gateway, code) == "claim_code_expired"
    again = await sheet_of(world, path)
    await claim(world.client, other, again["gateway"]["claim_code"])


async def test_boards_are_not_told_to_trust_a_gateway_that_was_revoked(world: World, tmp_path: Path) -> None:
    path = await finished(world)
    gateway = GatewayClient(ca_pem=SiteCa.open(tmp_path).certificate_pem)
    await claim(world.client, gateway, (await sheet_of(world, path))["gateway"]["claim_code"])
    assert (await sheet_of(world, path))["devices"][0]["settings"]
    gateway_id, now = UUID((await ask(world, "GET", path, 200))["gateway_id"]), Clock().now()
    await world.do(lambda work: revoke_gateway(work, system("test"), world.tenant_id, gateway_id, now))
    sheet = await sheet_of(world, path)
    assert sheet["gateway"]["claim_code"]
    assert sheet["devices"][0]["settings"] is None
    assert "let it in first" in sheet["devices"][0]["missing"]


async def test_a_claim_that_waits_for_a_sheet_finds_its_code_ended(world: World) -> None:
    path = await finished(world)
    code = (await sheet_of(world, path))["gateway"]["claim_code"]
    setup = await ask(world, "GET", path, 200)
    ended = asyncio.Event()

    async def other(transaction: Transaction) -> None:
        await lock_gateways(transaction, [UUID(setup["site_id"])])
        ended.set()
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        async with asyncio.timeout(5):
            while await transaction.fetch_one(waits) is None:
                pass
        await end_claim_codes(UUID(setup["gateway_id"]), Clock().now())

    async with asyncio.TaskGroup() as both:
        both.create_task(world.do(other))
        await ended.wait()
        assert await refused(world, GatewayClient(), code) == "claim_code_expired"


async def refused(world: World, gateway: GatewayClient, code: str) -> str:
    answer = await world.client.post("/v1/claim", data=gateway.wish(code).to_line(), headers=JSON)
    assert answer.status_code == 403
    return str((await answer.get_json())["code"])


async def test_who_made_a_sheet_and_for_what_is_written_down(world: World) -> None:
    path = await finished(world)
    sheet = await sheet_of(world, path)
    (entry,) = (await ask(world, "GET", "/v1/audit?action=sheet_made", 200))["entries"]
    assert entry["subject"]["id"] == path.rpartition("/")[2]
    assert entry["after"] == {
        "carried": False,
        "gateway_id": sheet["gateway"]["gateway_id"],
        "devices": [device["device_id"] for device in sheet["devices"]],
    }


async def test_the_same_request_again_is_the_same_sheet(world: World) -> None:
    path = await finished(world)
    once = {"Idempotency-Key": str(new_id())}
    answers = [await world.client.post(f"{path}/sheet", headers=world.operator | once) for _ in range(2)]
    first, second = [await answer.get_json() for answer in answers]
    assert first == second


async def test_there_is_none_before_the_setup_is_finished(world: World) -> None:
    await ask(world, "POST", f"{await begun(world)}/sheet", 409)


async def test_a_device_without_a_pin_map_gets_a_code_alone(world: World) -> None:
    path = await ready(world)
    machine = {"name": "Bare", "outline": outline(devices=[{"name": "board"}])}
    await ask(world, "PATCH", path, 200, json={"machines": [machine]})
    await ask(world, "POST", f"{path}/finish", 200)
    (device,) = (await sheet_of(world, path))["devices"]
    assert device["claim_code"]
    assert "pin map" in device["missing"]


async def test_codes_are_kept_hashed(world: World) -> None:
    sheet = await sheet_of(world, await finished(world))
    for code in (sheet["gateway"]["claim_code"], sheet["devices"][0]["claim_code"]):
        for table in ("claim_codes", "devices", "changes", "audit_entries", "kept_answers"):
            assert code not in str(await world.rows(f"SELECT t::text FROM {table} t"))  # noqa: S608


async def test_the_gateway_is_told_the_code_of_the_newest_sheet(world: World) -> None:
    path = await finished(world)
    await sheet_of(world, path)
    newest = (await sheet_of(world, path))["devices"][0]
    gateway_id = (await ask(world, "GET", path, 200))["gateway_id"]
    told = [change for change in await pulled(world, gateway_id) if isinstance(change, ExpectedDevice)]
    assert [change.claim_code_sha256 for change in told] == [sha256_hex(newest["claim_code"])]
    assert told[0].device_id == UUID(newest["device_id"])
