"""A release on its whole way: signed, published in the real cloud, fetched over a line that breaks, offered, told back.

Only the device is a stand-in: it asks for the pieces as the firmware does, over real MQTT and TLS, and says that it
runs what it has fetched.
"""

import asyncio
import hashlib
import random
from base64 import b64decode
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from structlog.testing import capture_logs

from edge.app import Gateway
from shared.parcels import PIECE_BYTES, Ask
from shared.releases import FirmwareReport, FirmwareRunning, FirmwareState, Manifest
from shared.signed import SignedText
from shared.topics import Channel
from tests.edge.sync.test_real_cloud import connect
from tests.fakes import release_key
from tests.fakes.fault_proxy import FaultProxy, Trouble
from tests.fakes.gateway import running_gateway, settings_for
from tests.fakes.mqtt_device import MqttDevice
from tests.fakes.postgres_cloud import PostgresCloud, running_cloud
from tests.fakes.until import until

FILES = {"app.mpy": random.Random(1).randbytes(300_000), "boot.mpy": random.Random(2).randbytes(5000)}
BUNDLE = release_key.signed_release("1.1.0", files=FILES)


async def tell(device: MqttDevice, state: FirmwareState, running: str | None, offered: str | None = None) -> None:
    firmware = FirmwareRunning(slot="b" if running else "a", digest=running, version="1.1.0" if running else "1.0.0")
    boot_id = UUID(device.fake.boot_id)
    await device.say(Channel.OTA, FirmwareReport(boot_id=boot_id, running=firmware, state=state, offered=offered))


async def fetch(device: MqttDevice, sha256: str) -> bytes:
    """As the firmware does: a piece at a time, until an empty one."""
    fetched = b""
    while len(piece := await fetch_piece(device, sha256, len(fetched))) == PIECE_BYTES:
        fetched += piece
    return fetched + piece


async def fetch_piece(device: MqttDevice, sha256: str, offset: int) -> bytes:
    before = len(told_of(device, "piece"))
    wish = Ask(boot_id=UUID(device.fake.boot_id), digest=sha256, offset=offset, size=PIECE_BYTES)
    await device.say(Channel.ASK, wish)
    async with asyncio.timeout(5):
        while len(pieces := told_of(device, "piece")) == before:  # noqa: ASYNC110 - the device has no such event
            await asyncio.sleep(0.001)
    assert (pieces[-1]["digest"], pieces[-1]["offset"]) == (sha256, offset)
    return b64decode(pieces[-1]["data"])


def told_of(device: MqttDevice, kind: str) -> list[dict[str, Any]]:
    return [command for command in device.told if command["type"] == kind]


async def publish_and_assign(http: httpx.AsyncClient, device_id: UUID) -> str:
    published = await http.post("/v1/releases", content=BUNDLE.to_line(), headers={"Content-Type": "application/json"})
    assert published.status_code == 201, published.text
    digest = str(published.json()["digest"])
    assigned = await http.put(f"/v1/devices/{device_id}/release", json={"digest": digest})
    assert assigned.status_code == 200, assigned.text
    return digest


async def row_of(http: httpx.AsyncClient, device_id: UUID) -> dict[str, Any]:
    devices = (await http.get("/v1/devices")).json()["devices"]
    return next(device for device in devices if device["device_id"] == str(device_id))


async def told(http: httpx.AsyncClient, device_id: UUID, state: str) -> dict[str, Any]:
    """What the cloud shows of the device, once that is told."""
    async with asyncio.timeout(10):
        while (row := await row_of(http, device_id))["firmware_state"] != state:  # noqa: ASYNC110 - it is asked
            await asyncio.sleep(0.05)
    return row


async def take(device: MqttDevice, gateway: Gateway, digest: str) -> None:
    """Fetch what was offered, check it as the firmware does, and run it."""
    await until(lambda: bool(told_of(device, "offer")), 20)
    assert told_of(device, "offer")[0]["digest"] == digest
    await tell(device, FirmwareState.FETCHING, None, digest)
    document = await fetch(device, digest)
    assert hashlib.sha256(document).hexdigest() == digest
    manifest = Manifest.model_validate_json(SignedText.model_validate_json(document).text)
    for file in manifest.files:
        assert await fetch(device, file.sha256) == FILES[file.name]
    await device.disconnect()
    await until(lambda: not gateway.links.online(device.fake.device_id))


@pytest.mark.criterion("8.5")
async def test_a_release_from_the_signing_to_the_devices_own_word(tmp_path: Path) -> None:
    async with running_cloud(tmp_path / "cloud") as cloud:
        # Of each connection a few chunks of 16 KiB come through: the large file needs several.
        port = int(cloud.url.rpartition(":")[2])
        proxy = FaultProxy(port, seed=3, stall_s=1, weights={Trouble.NONE: 1})
        async with proxy.listening() as broken:
            with capture_logs() as lines:
                await _update(tmp_path, cloud, f"http://127.0.0.1:{broken}")
    fetched = {line["bytes"]: line["begun_at"] for line in lines if line["event"] == "file_fetched"}
    assert len(fetched) == 3
    assert fetched[300_000] > 0, "the line did not break"


async def _update(folder: Path, cloud: PostgresCloud, cloud_url: str) -> None:
    operator = {"Authorization": f"Bearer {cloud.seeded.api_key}"}
    about = {"claim_code": cloud.seeded.gateway_claim_code, "release_keys": [release_key.PUBLIC]}
    async with (
        running_gateway(settings_for(folder / "gateway", cloud_url, poll_s=0.5, **about)) as (gateway, addresses),
        httpx.AsyncClient(base_url=cloud.url, headers=operator, timeout=10) as http,
    ):
        await until(lambda: gateway.sync.status.last_ack_at is not None)
        device = await connect(gateway, addresses, cloud)
        device_id = device.fake.device_id
        await tell(device, FirmwareState.VALID, None)
        digest = await publish_and_assign(http, device_id)
        await take(device, gateway, digest)
        row = await row_of(http, device_id)
        assert (row["assigned_digest"], row["running_digest"]) == (digest, None)
        ca_pem = gateway.site_ca.certificate_pem
        await device.connect(addresses.mqtt_port, ca_pem)
        await until(lambda: gateway.links.online(device_id))
        await tell(device, FirmwareState.TRIAL, digest, digest)
        await told(http, device_id, "trial")
        await tell(device, FirmwareState.VALID, digest, digest)
        row = await told(http, device_id, "valid")
        assert (row["running_slot"], row["running_digest"], row["running_version"]) == ("b", digest, "1.1.0")
        await until(lambda: not gateway.shelf.holds(digest))
        await device.disconnect()
