"""The cloud with its Postgres, the gateway with its broker, and a device that is a process of its own: nothing is faked
but the motor."""

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from edge.app import Addresses, Gateway
from edge.upkeep.service import device_log
from firmware.simulator.control import SOCKET, ask
from firmware.simulator.world import read_world
from tests.fakes.gateway import running_gateway, settings_for
from tests.fakes.postgres_cloud import PostgresCloud, running_cloud
from tests.fakes.settings_key import OPERATOR
from tests.fakes.until import until

ROOT = Path(__file__).parents[3]
PIN = "5772156"


class Stage:
    """One machine of the demo's tenant, its device at a gateway of its own."""

    def __init__(self, folder: Path, cloud: PostgresCloud, gateway: Gateway, addresses: Addresses) -> None:
        self.machine = cloud.seeded.machines[0]
        self.gateway = gateway
        self.state, self.settings_path, self.log = folder / "device", folder / "settings.json", folder / "device.log"
        self.gateway_folder = folder / "gateway"
        self._headers = {"Authorization": f"Bearer {cloud.seeded.api_key}"}
        self._cloud_url = cloud.url
        self._url = f"{cloud.url}/v1/devices/{self.machine.device_id}"
        self.settings: dict[str, Any] = {
            "machine_id": self.machine.machine_id,
            "device_id": self.machine.device_id,
            "currency": "INR",
            "ca_pem": gateway.site_ca.certificate_pem,
            "claim_code": self.machine.device_claim_code,
            "gateway_host": "127.0.0.1",
            "gateway_port": addresses.mqtt_port,
            "mdns": False,
            "board": {"door": {"pin": 14}, "temperatures": {"pin": 33, "zones": {"cabinet": None}}},
            "climate": {"cabinet": {"warm_s": 2, "grace_s": 0, "slots": ["A6"]}},
            "service_pin_sha256": hashlib.sha256(f"{self.machine.device_id}:{PIN}".encode()).hexdigest(),
            "slots": {
                f"A{number}": {"motor": {"kind": "dc", "output": output}}
                for number, output in enumerate((16, 17, 18, 19, 21, 22), 1)
            },
        }

    @asynccontextmanager
    async def simulator(self) -> AsyncIterator[None]:
        """The device, its flash believing the operator's key alone."""
        self.state.mkdir()
        (self.state / "trust.json").write_bytes(OPERATOR.trust)
        self.settings_path.write_bytes(OPERATOR.sign(self.settings))
        log = self.log.open("ab")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "firmware.simulator", "--speed", "10"),
            *("--settings", str(self.settings_path), "--state", str(self.state)),
            env={"PATH": os.environ["PATH"]},
            cwd=ROOT,
            stdout=log,
        )
        log.close()
        try:
            yield
            assert process.returncode is None
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def instruct(self, **wish: Any) -> dict[str, Any]:
        """Ask the cloud, and wait for what became of it."""
        headers = self._headers | {"Idempotency-Key": str(uuid4())}
        async with httpx.AsyncClient(trust_env=False, timeout=10, headers=headers) as http:
            asked = await http.post(f"{self._url}/instructions", json=wish)
            assert asked.status_code == 201, asked.text
            while True:
                rows = (await http.get(f"{self._url}/instructions")).json()["instructions"]
                row: dict[str, Any] = next(row for row in rows if row["request_id"] == asked.json()["request_id"])
                if row["state"] is not None:
                    return row
                await asyncio.sleep(0.05)

    async def put_settings(self, **changed: Any) -> dict[str, Any]:
        """Assign settings, and wait until the device runs on them or says why not."""
        async with httpx.AsyncClient(trust_env=False, timeout=10, headers=self._headers) as http:
            put = await http.put(f"{self._url}/settings", json={"settings": self.settings | changed})
            assert put.status_code == 201, put.text
            digest = put.json()["wanted"]["digest"]
            while True:
                shown: dict[str, Any] = (await http.get(f"{self._url}/settings")).json()
                told = shown["reported"] or {}
                if shown["runs_wanted"] or (told.get("offered") == digest and told["state"] in ("reverted", "refused")):
                    return shown
                await asyncio.sleep(0.05)

    async def zone(self, *, locked: bool) -> dict[str, Any]:
        """What the cloud shows of the device's zone, once it says that it is so."""
        async with httpx.AsyncClient(trust_env=False, timeout=10, headers=self._headers) as http:
            for _ in range(400):
                devices = (await http.get(f"{self._cloud_url}/v1/devices")).json()["devices"]
                zones = next(device["zones"] for device in devices if device["device_id"] == self.machine.device_id)
                if zones and zones[0]["locked"] is locked:
                    row: dict[str, Any] = zones[0]
                    return row
                await asyncio.sleep(0.05)
        raise AssertionError(f"the cloud shows {zones}")

    def boots(self) -> int:
        return self.log.read_bytes().count(b'"event": "booted"')


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with running_cloud(tmp_path / "cloud") as cloud:
        code = cloud.seeded.gateway_claim_code
        settings = settings_for(tmp_path / "gateway", cloud.url, claim_code=code, poll_s=1)
        async with running_gateway(settings) as (gateway, addresses):
            await until(lambda: gateway.sync.status.last_ack_at is not None)
            stage = Stage(tmp_path, cloud, gateway, addresses)
            async with stage.simulator():
                await until(lambda: b'"event": "link_online"' in stage.log.read_bytes(), 20)
                yield stage


async def test_a_person_far_away_turns_a_motor_restarts_the_device_and_gives_it_other_settings(stage: Stage) -> None:
    await until((stage.state / SOCKET).exists)
    shut = await stage.instruct(action="jog", slot="A1", pin=PIN)
    assert (shut["state"], shut["reason"]) == ("refused", "the door is shut")
    ask(stage.state, "door", "open")
    wrong = await stage.instruct(action="jog", slot="A1", pin="0000")
    assert (wrong["state"], wrong["reason"]) == ("refused", "the PIN is wrong")
    assert read_world(stage.state).motor_starts.total() == 0
    turned = await stage.instruct(action="jog", slot="A1", pin=PIN)
    assert (turned["state"], turned["asked_by"]) == ("done", "demo")
    assert turned["evidence"]["drop"] is True
    assert dict(read_world(stage.state).motor_starts) == {turned["request_id"]: 1}

    restarted = await stage.instruct(action="restart")
    assert (restarted["state"], restarted["reason"]) == ("done", None)
    await until(lambda: stage.boots() == 2, 20)

    kept = await stage.put_settings(claim_code=None)
    assert (kept["runs_wanted"], kept["reported"]["state"]) == (True, "kept")
    await until(lambda: stage.boots() == 3, 20)
    running = json.loads(json.loads(stage.settings_path.read_bytes())["text"])
    assert running == stage.settings | {"claim_code": None}

    told = await asyncio.to_thread(device_log, stage.gateway_folder, None)
    assert "service_pin_wrong" in {line["event"] for line in told}
    everything = json.dumps(told) + stage.log.read_text()
    assert PIN not in everything
    assert stage.machine.device_claim_code not in everything


@pytest.mark.criterion("8.6")
async def test_a_zone_released_at_the_machine_without_a_network_is_known_in_the_cloud_afterwards(stage: Stage) -> None:
    await until((stage.state / SOCKET).exists)
    ask(stage.state, "temperature", "cabinet", "9")
    assert (await stage.zone(locked=True))["slots"] == ["A6"]
    ask(stage.state, "link", "down")
    for words in (("temperature", "cabinet", "4"), ("door", "open"), ("button", "down")):
        ask(stage.state, *words)
    await asyncio.sleep(4)
    ask(stage.state, "button", "up")
    await until(lambda: b'"zones_released_by_hand"' in stage.log.read_bytes())
    ask(stage.state, "link", "up")
    row = await stage.zone(locked=False)
    assert (row["released_at_machine"], row["released_by"]) == (True, None)
    ask(stage.state, "temperature", "cabinet", "9")
    assert (await stage.zone(locked=True))["released_at_machine"] is False
    asked = await stage.instruct(action="release_zone", zone="cabinet")
    assert asked["state"] == "done"
    row = await stage.zone(locked=False)
    assert (row["released_at_machine"], row["released_by"]) == (False, "demo")
