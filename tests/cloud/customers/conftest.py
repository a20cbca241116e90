"""Somebody at the support desk, on the world's cloud."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from quart import Response

from tests.cloud.conftest import World

PHONE, NAME, UPI = "+919820012345", "Asha Kulkarni", "asha.k@okbank"
NOTE = "The machine at the station took my fifty rupees, says Asha"
PERSONAL = (PHONE, PHONE[3:], NAME, "Kulkarni", UPI, NOTE, "fifty rupees")


@dataclass
class Desk:
    """What a program that may do everything asks of /v1/customers."""

    world: World

    async def ask(self, method: str, path: str, status: int, **more: Any) -> Response:
        headers = self.world.operator | {"Idempotency-Key": str(uuid4())} | more.pop("headers", {})
        answer = await self.world.client.open(f"/v1/customers{path}", method=method, headers=headers, **more)
        assert answer.status_code == status, await answer.get_data()
        return answer

    async def told(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        return await (await self.ask(method, path, status, **more)).get_json()

    async def customer(self, phone: str = PHONE, **more: str) -> UUID:
        """Somebody new."""
        wish = {"phone": phone, "name": NAME, "upi_address": UPI} | more
        return UUID((await self.told("POST", "", 201, json=wish))["customer_id"])

    async def found(self, phone: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await self.told("POST", "/search", json={"phone": phone}))["customers"]
        return rows

    async def order(self) -> UUID:
        """One that was sold."""
        order_id = self.world.gateway.sell(await self.world.slot())
        await self.world.acknowledged()
        return order_id

    async def audited(self, customer_id: UUID) -> list[dict[str, Any]]:
        """What was done with them, the last first."""
        path = f"/v1/audit?subject_id={customer_id}"
        answer = await self.world.client.get(path, headers=self.world.operator)
        rows: list[dict[str, Any]] = (await answer.get_json())["entries"]
        return rows


@pytest.fixture
async def desk(world: World) -> Desk:
    return Desk(world)
