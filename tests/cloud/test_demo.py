"""The demo's seed: made once, written once for its owner's eyes, renewed when lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

from cloud import demo
from cloud.clock import Clock
from cloud.database import Database
from tests.cloud.conftest import JSON, World, claim
from tests.fakes.gateway_client import GatewayClient


def seed_demo(database_url: str, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cloud", "seed-demo", str(file)],
        env=os.environ | {"LARDER_CLOUD_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


async def test_seeding_twice_makes_one_tenant(database: Database) -> None:
    made = await demo.seed(database, Clock())
    assert made is not None
    assert [(machine.name, machine.rail) for machine in made.machines] == [("Snacks", "free"), ("Drinks", "cash")]
    assert await demo.seed(database, Clock()) is None


async def test_a_lost_file_is_made_anew_with_other_secrets(world: World) -> None:
    renewed = await demo.seed(world.database, Clock(), renew=True)
    assert renewed is not None
    assert {machine.device_id for machine in renewed.machines} == {m.device_id for m in world.seeded.machines}
    assert renewed.api_key != world.seeded.api_key
    again = GatewayClient()
    await claim(world.client, again, renewed.gateway_claim_code)
    old = await world.client.post("/v1/claim", data=again.wish(world.seeded.gateway_claim_code).to_line(), headers=JSON)
    assert (await old.get_json())["code"] == "claim_code_used"


def test_the_file_is_for_its_owner_and_no_secret_is_logged(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "demo.json"
    first = seed_demo(database_url, file)
    written = json.loads(file.read_text())
    assert file.stat().st_mode & 0o777 == 0o600
    assert written["api_key"] not in first.stdout + first.stderr
    assert written["gateway_claim_code"] not in first.stdout + first.stderr
    assert "demo_stands_already" in seed_demo(database_url, file).stdout
    assert json.loads(file.read_text()) == written
