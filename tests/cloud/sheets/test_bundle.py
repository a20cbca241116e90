"""The bundle of a finished setup: what a gateway sells from before it has reached any cloud."""

import base64
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud.auth.rules import sha256_hex
from cloud.clock import Clock, new_id
from shared.bundles import SignedBundle, SiteBundle, opened, read
from tests.cloud.conftest import JSON, World, claim
from tests.cloud.setups.test_setups import ask, begun, pulled
from tests.cloud.sheets.test_sheets import finished, sheet_of
from tests.fakes.gateway_client import GatewayClient
from tests.fakes.settings_key import OPERATOR


async def bundle_of(world: World, path: str) -> tuple[dict[str, Any], SignedBundle, SiteBundle]:
    sheet = await ask(world, "POST", f"{path}/bundle", 201)
    signed = opened(base64.b64decode(sheet["bundle"]["file"]), sheet["bundle"]["passphrase"])
    return sheet, signed, read(signed)


@pytest.mark.criterion("9.3")
async def test_it_holds_what_the_claimed_gateway_would_be_told(world: World) -> None:
    path = await finished(world)
    sheet, signed, bundle = await bundle_of(world, path)
    setup = await ask(world, "GET", path, 200)
    assert str(bundle.place.gateway_id) == setup["gateway_id"]
    assert bundle.claim_code == sheet["gateway"]["claim_code"]
    assert signed.public_key == OPERATOR.public_key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    assert bundle.claim_expires_at > Clock().now() + timedelta(days=29)
    await claim(world.client, GatewayClient(ca_pem=bundle.ca_pem), bundle.claim_code)
    told = [change.model_dump(mode="json") for change in await pulled(world, setup["gateway_id"])]
    assert list(bundle.changes) == told
    assert {change["kind"] for change in told} >= {"machine", "planogram", "expected_device", "stock_instruction"}


async def test_boards_trust_the_ca_in_it_before_any_claim(world: World) -> None:
    path = await finished(world)
    sheet, _, bundle = await bundle_of(world, path)
    (device,) = sheet["devices"]
    assert bundle.ca_pem.replace("\n", "\\n") in device["settings"]["text"]
    (later,) = (await sheet_of(world, path))["devices"]
    assert bundle.ca_pem.replace("\n", "\\n") in later["settings"]["text"]
    kept = str(await world.rows("SELECT g::text FROM gateways g"))
    assert x509.load_pem_x509_certificate(bundle.ca_pem.encode()).subject.rfc4514_string() == "CN=Larder site CA"
    assert bundle.ca_pem.splitlines()[1] in kept
    for table in ("gateways", "claim_codes", "audit_entries", "kept_answers", "device_settings"):
        rows = str(await world.rows(f"SELECT t::text FROM {table} t"))  # noqa: S608
        for secret in (bundle.ca_key_pem.splitlines()[1], bundle.claim_code, sheet["bundle"]["passphrase"]):
            assert secret not in rows


async def test_its_code_is_for_its_gateway_once_and_ends_with_a_newer_sheet(world: World) -> None:
    path = await finished(world)
    _, _, old = await bundle_of(world, path)
    _, _, bundle = await bundle_of(world, path)
    first, second = GatewayClient(), GatewayClient()
    wishes = [
        (first.wish(old.claim_code), "claim_code_expired"),
        (first.wish(bundle.claim_code).model_copy(update={"gateway_id": new_id()}), "claim_code_unknown"),
    ]
    for wish, code in wishes:
        answer = await world.client.post("/v1/claim", data=wish.to_line(), headers=JSON)
        assert (answer.status_code, (await answer.get_json())["code"]) == (403, code)
    bound = first.wish(bundle.claim_code).model_copy(update={"gateway_id": bundle.place.gateway_id})
    assert (await world.client.post("/v1/claim", data=bound.to_line(), headers=JSON)).status_code == 200
    answer = await world.client.post("/v1/claim", data=second.wish(bundle.claim_code).to_line(), headers=JSON)
    assert (await answer.get_json())["code"] == "claim_code_used"


async def test_there_is_none_before_the_setup_is_finished_nor_once_the_gateway_has_come_in(world: World) -> None:
    await ask(world, "POST", f"{await begun(world)}/bundle", 409)
    path = await finished(world)
    await claim(world.client, GatewayClient(), (await sheet_of(world, path))["gateway"]["claim_code"])
    await ask(world, "POST", f"{path}/bundle", 409)


async def test_codes_that_are_not_carried_still_live_for_a_day(world: World) -> None:
    path = await finished(world)
    _, _, bundle = await bundle_of(world, path)
    await sheet_of(world, path)
    day, month = timedelta(hours=24), timedelta(days=30)
    found = await world.rows("SELECT secret_sha256, carried, expires_at - created_at AS life FROM claim_codes")
    lives = {row["secret_sha256"]: (row["carried"], row["life"]) for row in found}
    assert lives.pop(sha256_hex(bundle.claim_code))[0] is True
    assert {life for carried, life in lives.values() if not carried} <= {day}
    (device,) = await world.rows(
        "SELECT claim_expires_at - claim_issued_at AS life FROM devices WHERE id = $1",
        UUID((await sheet_of(world, path))["devices"][0]["device_id"]),
    )
    assert device["life"] == day < month
