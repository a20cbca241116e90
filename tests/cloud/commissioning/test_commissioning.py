"""From a finished setup to the report: what the site tells is checked off, and what was seen is signed."""

import asyncio
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from cloud.clock import new_id
from cloud.database import Transaction
from edge.site_ca import SiteCa
from firmware.vending import SettingsError, settings_file
from shared.devices import DeviceClaimed, DeviceLinkChanged
from shared.payments import CreditInserted
from shared.signed import REPORT, SignedText, signed_bytes
from shared.sync import Ack
from shared.upkeep import Action, DeviceInstructionEnded, RequestState
from tests.cloud.auth.conftest import admin, office, platform
from tests.cloud.conftest import World, claim
from tests.cloud.dashboard.test_people_pages import PAGE
from tests.cloud.setups.test_setups import ask, begun, outline, ready
from tests.cloud.sheets.test_sheets import finished, sheet_of
from tests.fakes.cloud_people import PersonAtCloud
from tests.fakes.gateway_client import GatewayClient, Slot
from tests.fakes.memory_flash import MemoryFlash
from tests.fakes.settings_key import OPERATOR
from tests.firmware.test_settings_file import VALUES

__all__ = ["admin", "office", "platform"]


async def checks(world: World, path: str) -> dict[str, str]:
    found = await ask(world, "GET", f"{path}/checklist", 200)
    assert found["passed"] == sum(check["state"] == "passed" for check in found["checks"])
    return {check["name"]: check["state"] for check in found["checks"]}


async def came_in(world: World, path: str, folder: Path) -> tuple[GatewayClient, Slot]:
    """The gateway of the setup, and slot A1 of its machine."""
    gateway = GatewayClient(ca_pem=SiteCa.open(folder).certificate_pem)
    await claim(world.client, gateway, (await sheet_of(world, path))["gateway"]["claim_code"])
    machine = (await ask(world, "GET", path, 200))["machines"][0]
    rows = await world.rows(
        "SELECT p.machine_id, s.device_id, s.product_id, s.slot, s.price_minor FROM planogram_slots s"
        " JOIN planograms p ON p.id = s.planogram_id WHERE p.machine_id = $1 AND s.slot = 'A1'",
        UUID(machine["machine_id"]),
    )
    return gateway, Slot(**rows[0])


async def told(world: World, gateway: GatewayClient) -> None:
    answer = await world.client.post("/v1/sync/facts", data=gateway.packed(), headers=gateway.headers())
    assert Ack.model_validate_json(await answer.get_data()).seq == len(gateway.lines)


async def test_each_thing_is_checked_off_once_the_site_has_shown_it(world: World, tmp_path: Path) -> None:
    path = await finished(world)
    before = await checks(world, path)
    assert set(before.values()) == {"waiting"}
    assert list(before)[:2] == ["gateway_claimed", "gateway_time"]
    gateway, slot = await came_in(world, path, tmp_path)
    assert [name for name, state in (await checks(world, path)).items() if state == "passed"] == ["gateway_claimed"]
    device: dict[str, Any] = {"device_id": slot.device_id, "machine_id": slot.machine_id}
    gateway.add(DeviceClaimed(**device), DeviceLinkChanged(online=True, reason="connected", **device))
    gateway.sell(slot)
    gateway.add(CreditInserted(credit_id=new_id(), amount_minor=1000, currency="INR", **device))
    await told(world, gateway)
    assert await checks(world, path) == {
        "gateway_claimed": "passed",
        "gateway_time": "passed",
        "device_claimed Snacks 2 board": "passed",
        "device_link Snacks 2 board": "passed",
        "test_vend Snacks 2 A1": "passed",
        "test_vend Snacks 2 A2": "waiting",
        "cash Snacks 2": "passed",
        "sync_equal": "passed",
    }


async def test_a_test_vend_asked_for_from_afar_counts_by_its_evidence(world: World, tmp_path: Path) -> None:
    path = await finished(world)
    gateway, slot = await came_in(world, path, tmp_path)
    wish = {"action": "jog", "slot": "A1", "pin": "1234"}
    for drop, state in ((False, "failed"), (True, "passed")):
        asked = await ask(world, "POST", f"/v1/devices/{slot.device_id}/instructions", 201, json=wish)
        evidence = {"drop": drop, "left_home": None, "home_before": None, "home_after": None, "motor_ms": 1500}
        ended = DeviceInstructionEnded.model_validate(
            {
                "request_id": UUID(asked["request_id"]),
                "device_id": slot.device_id,
                "machine_id": slot.machine_id,
                "action": Action.JOG,
                "state": RequestState.DONE,
                "evidence": evidence,
            }
        )
        gateway.add(ended)
        await told(world, gateway)
        assert (await checks(world, path))["test_vend Snacks 2 A1"] == state


async def test_the_report_says_what_was_seen_and_who_answers_for_the_rest(world: World) -> None:
    path = await finished(world)
    open_checks = await checks(world, path)
    refused = await ask(world, "POST", f"{path}/reports", 422, json={})
    assert len(refused["errors"]) == len(open_checks)
    skipped = [{"name": name, "reason": "shown to me on site"} for name in open_checks]
    strange = [*skipped, {"name": "no such check", "reason": "x"}]
    refused = await ask(world, "POST", f"{path}/reports", 422, json={"skipped": strange})
    assert [error["path"] for error in refused["errors"]] == [f"skipped.{len(skipped)}.name"]
    made = await ask(world, "POST", f"{path}/reports", 201, json={"skipped": skipped})
    (report,) = made["reports"]
    machine_id = report["machine_id"]
    assert await ask(world, "GET", f"/v1/machines/{machine_id}/commissioning-report", 200) == report
    signed = SignedText.model_validate(report["signed"])
    OPERATOR.public_key.verify(bytes.fromhex(signed.signature), signed_bytes(REPORT, signed.text))
    text = json.loads(signed.text)
    assert (text["machine_id"], text["made_by"]) == (machine_id, report["made_by"])
    assert text["skipped"] == skipped
    await ask(world, "POST", f"{path}/reports", 409, json={"skipped": skipped})
    assert (await ask(world, "GET", f"{path}/checklist", 200))["reported_at"] == report["made_at"]


async def test_a_report_is_made_once_though_two_ask_at_once(world: World) -> None:
    """The other one has not committed yet when this one is asked for."""
    path = await finished(world)
    skipped = [{"name": name, "reason": "seen"} for name in await checks(world, path)]
    setup = await ask(world, "GET", path, 200)

    inserted = asyncio.Event()

    async def other(transaction: Transaction) -> None:
        report = (setup["machines"][0]["machine_id"], setup["setup_id"])
        await transaction.execute(
            "INSERT INTO commissioning_reports (tenant_id, machine_id, setup_id, signed, made_by, made_at)"
            " SELECT tenant_id, $1, id, '{}', made_by, now() FROM setups WHERE id = $2",
            *map(UUID, report),
        )
        inserted.set()
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        async with asyncio.timeout(5):
            while await transaction.fetch_one(waits) is None:
                pass

    async with asyncio.TaskGroup() as both:
        both.create_task(world.do(other))
        await inserted.wait()
        await ask(world, "POST", f"{path}/reports", 409, json={"skipped": skipped})


async def test_the_largest_setup_is_reported_machine_by_machine(world: World, admin: PersonAtCloud) -> None:
    codes = [f"{tray}{place}" for tray in "ABCDEFGHIJKL" for place in range(1, 21)]
    slots = [outline()["slots"][0] | {"slot": code} for code in codes]
    machine = outline(devices=[{"name": "board"}], slots=slots)
    paths = [await ready(world), await ready(world)]
    for path in paths:
        machines = [{"name": f"Machine {number}", "outline": machine} for number in range(3)]
        await ask(world, "PATCH", path, 200, json={"machines": machines})
        await ask(world, "POST", f"{path}/finish", 200)
    skipped = [{"name": name, "reason": "shown to me on site"} for name in await checks(world, paths[0])]
    made = (await ask(world, "POST", f"{paths[0]}/reports", 201, json={"skipped": skipped}))["reports"]
    assert [len(json.loads(report["signed"]["text"])["skipped"]) for report in made] == 3 * [246]
    page = paths[1].removeprefix("/v1")
    answer = await admin.ask("POST", f"{page}/checks", headers=PAGE, form={"reason": "shown to me on site"})
    assert answer.status_code == 303
    assert (await ask(world, "GET", f"{paths[1]}/checklist", 200))["reported_at"]


async def test_there_is_no_checklist_before_the_setup_is_finished(world: World) -> None:
    await ask(world, "GET", f"{await begun(world)}/checklist", 409)
    await ask(world, "GET", f"{await ready(world)}/checklist", 409)
    await ask(world, "GET", f"/v1/machines/{world.seeded.machines[0].machine_id}/commissioning-report", 404)


def test_no_board_takes_a_report_for_settings() -> None:
    """The same text, signed by the same key, for something else."""
    text = json.dumps(VALUES)
    for sign, refused in ((OPERATOR.signer.sign, False), (OPERATOR.signer.sign_report, True)):
        board = MemoryFlash({"settings.json": sign(text).to_line(), "trust.json": OPERATOR.trust})
        with pytest.raises(SettingsError) if refused else nullcontext():
            settings_file.load(board)
