"""A receiver on loopback, and the world's worker that may reach it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import pytest
from quart import Response

from cloud.clock import Clock
from cloud.database import Database
from cloud.failpoints import Failpoints
from cloud.mail import MailRoom
from cloud.webhooks.destinations import Allowed
from cloud.webhooks.queue import Bounds
from cloud.webhooks.sender import Sender
from cloud.webhooks.worker import WebhookWorker
from tests.cloud.conftest import World
from tests.fakes.encryption_keys import keyring
from tests.fakes.webhook_receiver import WebhookReceiver, webhook_receiver

LOOPBACK = (ip_network("127.0.0.0/8"),)


class MovedClock(Clock):
    """The right time, moved on as far as it is told to."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def go(self, **far: float) -> None:
        self._ahead += timedelta(**far)


@dataclass
class Hooks:
    """The webhooks of a program with a key, and who sends them."""

    world: World
    receiver: WebhookReceiver
    clock: MovedClock = field(default_factory=MovedClock)
    mails: MailRoom = field(init=False)
    worker: WebhookWorker = field(init=False)

    def __post_init__(self) -> None:
        self.mails = MailRoom(self.world.mailbox, "Larder <larder@larder.example>", self.clock)
        self.worker = self.new_worker()

    def new_worker(
        self, failpoints: Failpoints | None = None, bounds: Bounds | None = None, database: Database | None = None
    ) -> WebhookWorker:
        allowed = Allowed(frozenset({self.receiver.port}), LOOPBACK, http=True)
        sender = Sender(allowed, self.clock)
        never = failpoints or Failpoints()
        parts = (
            database or self.world.database,
            keyring(),
            self.clock,
            sender,
            never,
            self.mails,
            "https://cloud.example",
        )
        return WebhookWorker(*parts, jitter=longest, bounds=bounds)

    async def ask(self, method: str, path: str, **more: Any) -> Response:
        """A request with a key of its own."""
        headers = self.world.operator | {"Idempotency-Key": str(uuid4())} | more.pop("headers", {})
        return await self.world.client.open(path, method=method, headers=headers, **more)

    async def create(self, *events: str, path: str = "/in") -> dict[str, Any]:
        """An endpoint at the receiver: what the answer says of it, with its secret."""
        wish = {"url": "https://erp.example.com/larder", "events": list(events)}
        answer = await self.ask("POST", "/v1/webhooks", json=wish)
        assert answer.status_code == 201, await answer.get_data()
        made = await answer.get_json()
        await self.move(made["webhook"]["webhook_id"], f"http://127.0.0.1:{self.receiver.port}{path}")
        return {"secret": made["secret"], **made["webhook"]}

    async def move(self, webhook_id: str, url: str) -> None:
        """Past the check of URLs, which lets nobody write an address of loopback."""
        await self.world.rows("UPDATE webhook_endpoints SET url = $2 WHERE id = $1::text::uuid", webhook_id, url)

    async def sent(self) -> int:
        """All that is due now, told and recorded; how many."""
        count = await self.worker.turn()
        await self.worker.settled()
        return count

    async def ping(self, webhook_id: str) -> str:
        """The delivery's path."""
        answer = await self.ask("POST", f"/v1/webhooks/{webhook_id}/ping")
        assert answer.status_code == 201, await answer.get_data()
        return f"/v1/webhooks/{webhook_id}/deliveries/{(await answer.get_json())['delivery_id']}"

    async def get(self, path: str) -> dict[str, Any]:
        answer = await self.ask("GET", path)
        assert answer.status_code == 200, await answer.get_data()
        return dict(await answer.get_json())


def longest(most: timedelta) -> timedelta:
    """No jitter."""
    return most


@pytest.fixture
async def hooks(world: World) -> AsyncIterator[Hooks]:
    async with webhook_receiver() as receiver:
        yield Hooks(world, receiver)
