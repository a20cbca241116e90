"""Settings of devices: refused with the reason, or signed and told to the gateway; and what runs."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from quart import Response

from cloud.app import create_app
from cloud.clock import Clock, new_id
from cloud.configuration.service import read_signer
from cloud.errors import SettingsError
from cloud.failpoints import Failpoints
from firmware.vending import settings_file
from shared.sync import Changes
from shared.upkeep import SettingsAssigned, SettingsReported, SettingsState
from tests.cloud.conftest import JSON, World
from tests.fakes.encryption_keys import keyring
from tests.fakes.gateway_client import Slot
from tests.fakes.mailbox import Mailbox
from tests.fakes.memory_flash import MemoryFlash
from tests.fakes.memory_objects import memory_objects
from tests.fakes.settings_key import OPERATOR

PASSPHRASE = 3 * "nobody knows "
PEM = "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"


def wanted(slot: Slot, **changed: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "machine_id": str(slot.machine_id),
        "device_id": str(slot.device_id),
        "currency": "INR",
        "ca_pem": PEM,
        "wifi": {"ssid": "shop", "password": PASSPHRASE},
        "claim_code": "a-claim-code-of-this-test",
        "slots": {"A1": {"motor": {"kind": "dc", "output": 25}, "home": 26}},
    }
    return settings | changed


async def put(world: World, slot: Slot, settings: dict[str, Any]) -> Response:
    path = f"/v1/devices/{slot.device_id}/settings"
    return await world.client.put(path, json={"settings": settings}, headers=world.operator | JSON)


async def shown(world: World, slot: Slot) -> dict[str, Any]:
    answer = await world.client.get(f"/v1/devices/{slot.device_id}/settings", headers=world.operator)
    assert answer.status_code == 200
    found: dict[str, Any] = await answer.get_json()
    return found


async def told(world: World, cursor: int | None = None) -> list[SettingsAssigned]:
    query = "" if cursor is None else f"?cursor={cursor}"
    answer = await world.client.get(f"/v1/sync/changes{query}", headers=world.gateway.authorisation())
    changes = Changes.model_validate_json(await answer.get_data()).changes
    return [body for body in changes if isinstance(body, SettingsAssigned)]


async def test_they_reach_the_gateway_signed_so_that_a_board_takes_them(world: World) -> None:
    slot = await world.slot()
    assert (await put(world, slot, wanted(slot))).status_code == 201
    for cursor in (0, None):
        (change,) = await told(world, cursor)
        assert (change.device_id, change.machine_id, change.version) == (slot.device_id, slot.machine_id, 1)
        board = MemoryFlash({"settings.json": change.signed.to_line(), "trust.json": OPERATOR.trust})
        assert settings_file.load(board).slots["A1"].motor.output.number == 25


async def test_the_same_again_changes_nothing_and_others_are_the_next_version(world: World) -> None:
    slot = await world.slot()
    statuses = [(await put(world, slot, wanted(slot))).status_code for _ in range(2)]
    assert statuses == [201, 200]
    assert (await put(world, slot, wanted(slot, mdns=False, gateway_host="shop"))).status_code == 201
    assert (await put(world, slot, wanted(slot))).status_code == 201
    assert [change.version for change in await told(world, 0)] == [1, 2, 3]
    assert [change.version for change in await told(world, None)] == [3]


@pytest.mark.parametrize("state", [SettingsState.REVERTED, SettingsState.REFUSED])
async def test_the_same_again_that_came_to_nothing_are_tried_anew(world: World, state: SettingsState) -> None:
    slot = await world.slot()
    await put(world, slot, wanted(slot))
    (first,) = await told(world, 0)
    digest = hashlib.sha256(first.signed.to_line()).hexdigest()
    world.gateway.add(reported(slot, state, None, offered=digest, tries=3))
    await world.acknowledged()
    row = (await shown(world, slot))["reported"]
    assert (row["state"], row["tries"]) == (state, 3)
    assert (await put(world, slot, wanted(slot))).status_code == 201
    assert [(change.version, change.signed) for change in await told(world, 0)] == [
        (1, first.signed),
        (2, first.signed),
    ]
    world.gateway.add(reported(slot, SettingsState.KEPT, digest))
    await world.acknowledged(2)
    assert (await put(world, slot, wanted(slot))).status_code == 200


@pytest.mark.criterion("9.3")
@pytest.mark.parametrize(
    ("changed", "path", "reason"),
    [
        ({"slots": {"A1": {"home": 7}}}, "settings.slots.A1.home", "pin 7 is wired to the flash"),
        ({"slots": {"A1": {"motor": {"kind": "dc", "output": 34}}}}, "settings.slots.A1.motor.output", "pin 34"),
        ({"slots": {"A1": {"max_ms": 99_999}}}, "settings.slots.A1.max_ms", "must be 1 to 60000 ms"),
        ({"slots": {"A1": {"colour": "red"}}}, "settings.slots.A1.colour", "unknown setting"),
        ({"slots": {}}, "settings.slots", "must name 1 to 60 slots"),
        ({"board": {"buzzer": 0}}, "settings.board.buzzer", "pin 0"),
        ({"colour": "red"}, "settings.colour", "unknown setting"),
        ({"currency": "rupees"}, "settings.currency", "three capitals"),
        ({"machine_id": str(new_id())}, "settings.machine_id", "which is this device's"),
        ({"device_id": str(new_id())}, "settings.device_id", "which is this device's"),
        ({"ca_pem": 24_000 * "x"}, "settings", "24000 characters at most"),
    ],
)
async def test_a_wrong_pin_map_is_refused_with_the_setting_and_the_reason(
    world: World, changed: dict[str, Any], path: str, reason: str
) -> None:
    slot = await world.slot()
    answer = await put(world, slot, wanted(slot, **changed))
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    (wrong,) = (await answer.get_json())["errors"]
    assert wrong["path"] == path
    assert reason in wrong["message"]
    assert await told(world, 0) == []
    assert (await shown(world, slot))["wanted"] is None


async def test_what_is_missing_is_named(world: World) -> None:
    slot = await world.slot()
    settings = wanted(slot)
    del settings["ca_pem"]
    (wrong,) = (await (await put(world, slot, settings)).get_json())["errors"]
    assert (wrong["path"], wrong["message"]) == ("settings.ca_pem", "ca_pem is missing")


async def test_what_lets_anybody_in_is_not_shown(world: World) -> None:
    slot = await world.slot()
    answer = await put(world, slot, wanted(slot))
    for text in (await answer.get_data(as_text=True), json.dumps(await shown(world, slot))):
        assert PASSPHRASE not in text
        assert "a-claim-code-of-this-test" not in text
    settings = (await shown(world, slot))["wanted"]["settings"]
    assert (settings["wifi"]["ssid"], settings["slots"]) == ("shop", wanted(slot)["slots"])
    assert (await shown(world, slot))["wanted"]["assigned_by"] == "demo"


def reported(slot: Slot, state: SettingsState, digest: str | None, **others: Any) -> SettingsReported:
    about: dict[str, Any] = {"offered": None, "reason": None} | others
    return SettingsReported(device_id=slot.device_id, machine_id=slot.machine_id, digest=digest, state=state, **about)


async def test_what_a_device_says_is_believed(world: World) -> None:
    slot = await world.slot()
    await put(world, slot, wanted(slot))
    (change,) = await told(world, 0)
    digest = hashlib.sha256(change.signed.to_line()).hexdigest()
    assert (await shown(world, slot))["wanted"]["digest"] == digest
    assert (await shown(world, slot))["reported"] is None
    steps = [
        (reported(slot, SettingsState.KEPT, None), False),
        (reported(slot, SettingsState.TRIAL, digest, offered=digest), False),
        (reported(slot, SettingsState.KEPT, digest), True),
        (reported(slot, SettingsState.REVERTED, None, offered=digest, reason="no link"), False),
    ]
    for seq, (fact, runs) in enumerate(steps, 1):
        world.gateway.add(fact)
        await world.acknowledged(seq)
        now = await shown(world, slot)
        assert (now["reported"]["state"], now["runs_wanted"]) == (fact.state, runs)
    assert now["reported"]["reason"] == "no link"


async def test_a_word_on_a_device_that_is_not_known_is_a_dead_letter(world: World) -> None:
    slot = await world.slot()
    stranger = Slot(slot.machine_id, new_id(), slot.product_id, "A1", 1)
    world.gateway.add(reported(stranger, SettingsState.KEPT, None), reported(slot, SettingsState.KEPT, None))
    await world.acknowledged()
    assert len(await world.rows("SELECT 1 FROM dead_letters")) == 1
    assert (await shown(world, slot))["reported"]["state"] == "kept"


async def test_who_may_assign(world: World) -> None:
    slot = await world.slot()
    path = f"/v1/devices/{slot.device_id}/settings"
    assert (await world.client.put(path, json={"settings": {}}, headers=JSON)).status_code == 401
    assert (await world.client.get(path)).status_code == 401
    stranger = Slot(slot.machine_id, new_id(), slot.product_id, "A1", 1)
    assert (await put(world, stranger, wanted(stranger))).status_code == 404


async def test_without_a_key_nothing_is_assigned(world: World) -> None:
    slot = await world.slot()
    keyless = create_app(
        world.url,
        clock=Clock(),
        failpoints=Failpoints(),
        draining=asyncio.Event(),
        keyring=keyring(),
        carrier=Mailbox(),
        objects=memory_objects(),
        pool_size=1,
    )
    async with keyless.test_app() as running:
        path = f"/v1/devices/{slot.device_id}/settings"
        client = running.test_client()
        answer = await client.put(path, json={"settings": wanted(slot)}, headers=world.operator | JSON)
    assert (answer.status_code, (await answer.get_json())["code"]) == (409, "settings_key_missing")
    assert await told(world, 0) == []


def test_the_key_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.pem"
    with pytest.raises(SettingsError, match=r"SETTINGS_KEY_FILE.*cannot be read"):
        read_signer(path)
    path.write_text("no key")
    with pytest.raises(SettingsError, match="no private key in PEM"):
        read_signer(path)
    key = Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert read_signer(path).sign("{}") == read_signer(path).sign("{}")


@pytest.mark.criterion("5.1")
async def test_they_are_assigned_over_those_that_were_seen(world: World) -> None:
    slot = await world.slot()
    path, body = f"/v1/devices/{slot.device_id}/settings", {"settings": wanted(slot)}
    tag = (await world.client.get(path, headers=world.operator)).headers["ETag"]
    for seen, status in (('"another"', 412), (tag, 201), (tag, 412), ("*", 200)):
        headers = world.operator | JSON | {"If-Match": seen}
        assert (await world.client.put(path, json=body, headers=headers)).status_code == status, seen
