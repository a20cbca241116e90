"""A real gateway stops selling at a machine that the real cloud decommissions, and the cloud knows when it has."""

import asyncio
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.edge.sync.test_real_cloud import connect, settled
from tests.fakes.gateway import running_gateway, settings_for
from tests.fakes.postgres_cloud import running_cloud
from tests.fakes.until import until

SECONDS = 10.0


async def drained(cloud: httpx.AsyncClient, path: str) -> None:
    """Return once nothing is left to wait for."""
    async with asyncio.timeout(SECONDS):
        while (await cloud.get(path)).json()["blockers"]:  # noqa: ASYNC110 - the cloud has no such event
            await asyncio.sleep(0.02)


@pytest.mark.criterion("9.7")
async def test_from_a_sale_to_drained_and_back(tmp_path: Path) -> None:
    async with running_cloud(tmp_path / "cloud") as cloud:
        settings = settings_for(tmp_path / "gateway", cloud.url, claim_code=cloud.seeded.gateway_claim_code)
        machine = cloud.seeded.machines[0].machine_id
        wish = {"machine_id": machine, "planogram_version": 1, "lines": [{"slot": "A1", "quantity": 1}]}
        path = f"/v1/machines/{machine}/decommission"
        operator = {"Authorization": f"Bearer {cloud.seeded.api_key}"}
        async with (
            running_gateway(settings) as (gateway, addresses),
            httpx.AsyncClient(base_url=addresses.kiosk_url, timeout=10) as kiosk,
            httpx.AsyncClient(base_url=cloud.url, timeout=10, headers=operator) as http,
        ):
            await until(lambda: gateway.sync.status.last_ack_at is not None)
            device = await connect(gateway, addresses, cloud)
            await settled(kiosk, wish)
            begun = await http.post(path, json={"reason": "Moved."}, headers={"Idempotency-Key": str(uuid4())})
            assert begun.status_code == 201, begun.text
            await drained(http, path)
            refused = await kiosk.post("/kiosk/v1/orders", json=wish, headers={"Idempotency-Key": str(uuid4())})
            assert (refused.status_code, refused.json()["code"]) == (409, "out_of_service")
            assert not (await kiosk.get(f"/kiosk/v1/machines/{machine}/catalogue")).json()["in_service"]
            position = await gateway.sync.position()
            assert position.chain == await cloud.chain()
            called_off = await http.post(f"{path}/call-off", headers={"Idempotency-Key": str(uuid4())})
            assert called_off.status_code == 201, called_off.text
            async with asyncio.timeout(SECONDS):
                while not (await kiosk.get(f"/kiosk/v1/machines/{machine}/catalogue")).json()["in_service"]:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.02)
            await settled(kiosk, wish)
            await device.disconnect()
