"""The whole gateway: started, claimed, selling, stopped, started again without a cloud."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from structlog.testing import capture_logs

from edge.app import Gateway
from edge.clock import Clock, new_id
from edge.errors import DatabaseError, SettingsError
from edge.links import LINKS_KEY
from shared.contract import Rail
from tests.fakes.cloud import FakeCloud, running
from tests.fakes.gateway import DEVICE_CODE, SLOTS, running_gateway, settings_for, site_changes
from tests.fakes.mqtt_device import MqttDevice
from tests.fakes.until import until

NO_CLOUD = "http://127.0.0.1:9"


async def buy(http: httpx.AsyncClient, machine_id: object) -> str:
    """Buy one from the first slot; the order's last state."""
    wish = {"machine_id": str(machine_id), "planogram_version": 1, "lines": [{"slot": SLOTS[0], "quantity": 1}]}
    placed = await http.post("/kiosk/v1/orders", json=wish, headers={"Idempotency-Key": str(uuid4())})
    assert placed.status_code == 201, placed.text
    events = await http.get(f"/kiosk/v1/orders/{placed.json()['order_id']}/events")
    return str(json.loads(events.text.strip().splitlines()[-1].removeprefix("data: "))["state"])


@pytest.mark.criterion("8.1")
@pytest.mark.criterion("8.2")
@pytest.mark.criterion("8.3")
async def test_a_site_from_its_claim_to_its_first_sale_and_on_without_a_cloud(tmp_path: Path) -> None:
    machine_id = new_id()
    device = MqttDevice(machine_id, new_id(), frozenset(SLOTS))
    async with running(FakeCloud()) as cloud:
        cloud.change(*site_changes(machine_id, device.fake.device_id, Rail.FREE))
        async with (
            running_gateway(settings_for(tmp_path, cloud.url)) as (gateway, addresses),
            httpx.AsyncClient(base_url=addresses.kiosk_url, timeout=10) as http,
        ):
            await until(lambda: len(cloud.lines) == len(SLOTS))
            ca_pem = gateway.site_ca.certificate_pem
            await device.claim(addresses.mqtt_port, ca_pem, DEVICE_CODE)
            await device.connect(addresses.mqtt_port, ca_pem)
            await until(lambda: gateway.links.online(device.fake.device_id))
            assert await buy(http, machine_id) == "settled"
            status = (await http.get("/kiosk/v1/status")).json()
            assert status["stock"][str(machine_id)][SLOTS[0]] == 9
            await until(lambda: len(cloud.lines) == status["facts"]["seq"])
            assert cloud.chain.hex() == status["facts"]["chain"]
            assert status["gateway_id"] == str(cloud.gateway_id)
            await device.disconnect()
    async with (
        running_gateway(settings_for(tmp_path, NO_CLOUD)) as (gateway, addresses),
        httpx.AsyncClient(base_url=addresses.kiosk_url, timeout=10) as http,
    ):
        await device.connect(addresses.mqtt_port, ca_pem)
        await until(lambda: gateway.links.online(device.fake.device_id))
        assert await buy(http, machine_id) == "settled"
        await device.disconnect()
    assert sorted(device.fake.starts.values()) == [1, 1]


async def test_a_lost_ledger_keeps_the_claim_and_begins_a_new_epoch(tmp_path: Path) -> None:
    async with running(FakeCloud()) as cloud:
        cloud.change(*site_changes(new_id(), new_id()))
        async with running_gateway(settings_for(tmp_path, cloud.url)):
            await until(lambda: len(cloud.lines) == len(SLOTS))
        for file in tmp_path.glob("ledger.db*"):
            file.unlink()
        async with running_gateway(settings_for(tmp_path, cloud.url)) as (gateway, _):
            await until(lambda: cloud.epoch == 2)
            await until(lambda: len(cloud.facts[2]) == len(SLOTS))
            assert gateway.identity.claim is not None
        assert cloud.requests.count("POST /v1/claim") == 1


async def lose_the_ledger(folder: Path) -> None:
    async with running_gateway(settings_for(folder, NO_CLOUD)) as (gateway, _):
        await gateway.database.close()
        gateway.watch.touch([LINKS_KEY])
        await asyncio.sleep(0.2)


def within(work: Any) -> Iterator[Any]:
    """The functions that a task of the gateway comes down to."""
    if isinstance(work, partial):
        for inner in (work.func, *work.args):
            yield from within(inner)
    else:
        yield work


def test_every_part_that_runs_is_run(tmp_path: Path) -> None:
    gateway = Gateway(settings_for(tmp_path, NO_CLOUD), Clock())
    parts = [part for name, part in vars(gateway).items() if name != "sync"]
    runs = [part.run for part in parts if iscoroutinefunction(getattr(part, "run", None))]
    assert len(runs) > 8
    tasks = [function for work in gateway._work().values() for function in within(work)]
    assert [run for run in runs if run not in tasks] == [], "but for sync, which begins with the claim"


async def test_a_part_that_dies_ends_the_program(tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await lose_the_ledger(tmp_path)
    assert caught.group_contains(DatabaseError)


def test_a_part_that_dies_ends_the_program_even_if_nothing_can_be_closed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fakes.dying_gateway", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert ended.returncode == -signal.SIGALRM, ended
    assert "part_died" in ended.stdout


async def test_what_no_sale_needs_may_fail(tmp_path: Path) -> None:
    """Backup, certificate and cloud, each in a way nobody thought of."""
    async with running(FakeCloud()) as cloud:
        settings = settings_for(tmp_path, cloud.url, backup_s=0.02, poll_s=0.1)
        (tmp_path / "ledger.backup.new").mkdir()
        async with running_gateway(settings) as (gateway, addresses), httpx.AsyncClient() as http:
            await until(lambda: "GET /v1/sync/changes" in cloud.requests)
            with capture_logs() as said:
                (tmp_path / "site-ca" / "server.pem").unlink()
                (tmp_path / "site-ca" / "server.pem.new").mkdir()
                await gateway.client.close()
                chores = {"Backup.make", "Gateway._renew_certificate"}
                await until(lambda: chores | {"sync"} <= {str(line.get("chore", line.get("part"))) for line in said})
            assert (await http.get(f"{addresses.kiosk_url}/health/live")).status_code == 200
            (tmp_path / "ledger.backup.new").rmdir()
            await until((tmp_path / "ledger.backup.db").exists)


async def test_a_gateway_that_never_lives_for_a_period_has_a_backup(tmp_path: Path) -> None:
    settings, backup = settings_for(tmp_path, NO_CLOUD, backup_s=40), tmp_path / "ledger.backup.db"
    async with running_gateway(settings) as (gateway, _):
        await until(backup.exists)
        await gateway.backup.make()  # the stop may come between the file and its note in the ledger
    made = backup.stat()
    async with running_gateway(settings):
        await asyncio.sleep(0.8)
    assert backup.stat() == made, "not again before its time"


@pytest.mark.criterion("10.4")
@pytest.mark.parametrize("name", ["kiosk_port", "mqtt_port"])
async def test_a_port_in_use_is_named(tmp_path: Path, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=name.upper()):
            async with running_gateway(settings_for(tmp_path, NO_CLOUD, **{name: port})):
                pass


@pytest.mark.criterion("10.4")
def test_a_state_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError, match="STATE_DIR"):
        Gateway(settings_for(tmp_path / "file" / "state", NO_CLOUD), Clock())


def program(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    own = {name: text for name, text in os.environ.items() if not name.startswith("LARDER_")}
    command = [sys.executable, "-m", "edge", *arguments]
    return subprocess.run(command, env={**own, **environment}, capture_output=True, text=True, timeout=20)


@pytest.mark.criterion("10.4")
def test_a_wrong_setting_ends_the_program_with_one_line() -> None:
    ended = program(LARDER_GATEWAY_MQTT_PORT="many")
    assert ended.returncode == 78
    assert ended.stderr.count("\n") == 1
    assert "LARDER_GATEWAY_MQTT_PORT" in ended.stderr


def test_the_program_tells_its_version() -> None:
    assert program("--version").stdout.strip()


def test_the_program_stops_when_told(tmp_path: Path) -> None:
    environment = {**os.environ, "LARDER_GATEWAY_STATE_DIR": str(tmp_path), "LARDER_GATEWAY_CLOUD_URL": NO_CLOUD}
    environment |= {"LARDER_GATEWAY_KIOSK_PORT": "0", "LARDER_GATEWAY_MQTT_PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", "edge"], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while '"ready"' not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert process.wait(10) == 0
        assert time.monotonic() - begun < 5
