"""Follows what happens and tells it: as many workers as there are instances, none of which knows of the others.

A delivery comes at least once, always under the same id; in which order is promised to nobody.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit
from uuid import UUID

import structlog

from cloud.clock import Clock
from cloud.database import Database, Transaction
from cloud.encryption.columns import WEBHOOK_OLD_SECRET, WEBHOOK_SECRET
from cloud.encryption.keyring import Keyring
from cloud.errors import Unavailable, Undecipherable
from cloud.failpoints import Failpoints
from cloud.mail import Mail, MailRoom
from cloud.watch import first_of
from cloud.webhooks import queue
from cloud.webhooks.queue import Bounds, Claimed, Disabled
from cloud.webhooks.rules import Answer, longest_pause, signature_of
from cloud.webhooks.sender import Sender

log = structlog.get_logger()

LOOK_SECONDS = 1.0
SENDING_AT_ONCE = 256
"""In one process."""
_GATHER_SECONDS = 0.02
"""Several that ended make one look."""
END_SECONDS = 3.0
"""To let what is on its way arrive when the process ends; the rest is sent again later."""

_TENANTS = "SELECT id FROM tenants_with_webhook_work($1) AS t (id)"

_BECAUSE = {"gone": "it answered 410 Gone", "failing": "it has taken nothing for five days"}

Jitter = Callable[[timedelta], timedelta]
"""Some time from none to the one given."""


def any_part(most: timedelta) -> timedelta:
    """Full jitter."""
    return most * random.random()  # noqa: S311  no secret


class WebhookWorker:
    """Sends what is due with `sender`."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        clock: Clock,
        sender: Sender,
        failpoints: Failpoints,
        mails: MailRoom,
        public_url: str,
        *,
        jitter: Jitter = any_part,
        bounds: Bounds | None = None,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._sender = sender
        self._failpoints = failpoints
        self._mails = mails
        self._public_url = public_url
        self._jitter = jitter
        self._bounds = bounds or Bounds()
        self._sending: dict[asyncio.Task[None], UUID] = {}
        self._freed = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._freed.clear()
                try:
                    await self.turn()
                except Unavailable:
                    log.warning("webhooks_wait", again_in_s=LOOK_SECONDS)
                    await asyncio.sleep(LOOK_SECONDS)
                await first_of(self._freed, seconds=LOOK_SECONDS)
                await asyncio.sleep(_GATHER_SECONDS)
        finally:
            await self._end()

    async def turn(self) -> int:
        """Look once, and begin to send what is due; how many. One tenant in trouble does not keep others waiting.

        Raises Unavailable.
        """
        now, begun = self._clock.now(), 0
        for tenant_id in await self._database.unit("webhooks.tenants", partial(_tenants, now)):
            try:
                begun += await self._turn_of(tenant_id, now)
            except Unavailable:
                log.warning("webhooks_of_tenant_wait", tenant_id=str(tenant_id))
        return begun

    async def _turn_of(self, tenant_id: UUID, now: datetime) -> int:
        room = SENDING_AT_ONCE - len(self._sending)
        work = partial(queue.turn, tenant_id=tenant_id, now=now, room=room, bounds=self._bounds)
        turn = await self._database.unit("webhooks.turn", work, tenant_id=tenant_id)
        for delivery in turn.claimed:
            task = asyncio.create_task(self._deliver(delivery), name=f"webhook {delivery.id}")
            self._sending[task] = tenant_id
            task.add_done_callback(self._ended)
        if turn.has_more:
            self._freed.set()
        return len(turn.claimed)

    async def settled(self) -> None:
        """Return once nothing is on its way."""
        while self._sending:
            await asyncio.wait(self._sending)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._sending[task]
        self._freed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("webhook_not_recorded", delivery=task.get_name(), error=repr(error))

    async def _end(self) -> None:
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=END_SECONDS)
            for task in late:
                task.cancel()

    async def _deliver(self, claimed: Claimed) -> None:
        """Once. Whoever dies before the last line leaves it to be sent again, when the lease has ended."""
        answer = await self._send(claimed)
        self._failpoints.hit("webhooks.sent")
        wished = answer.retry_after or timedelta()
        pause = max(self._jitter(longest_pause(claimed.tries)), wished)
        work = partial(queue.record, claimed=claimed, answer=answer, now=self._clock.now(), pause=pause)
        disabled = await self._database.unit("webhooks.record", work, tenant_id=claimed.tenant_id)
        if disabled is not None:
            self._tell_owners(claimed, disabled)

    def _tell_owners(self, claimed: Claimed, disabled: Disabled) -> None:
        host, because = urlsplit(claimed.url).hostname or "", _BECAUSE[disabled.reason]
        for address in disabled.owners:
            self._mails.send(_mail(address, host, because, self._public_url))

    async def _send(self, claimed: Claimed) -> Answer:
        place, now, body = (claimed.tenant_id, claimed.endpoint_id), self._clock.now(), claimed.body.encode()
        try:
            secrets = [WEBHOOK_SECRET.open(self._keyring, place, claimed.secret)]
            if claimed.old_secret is not None:
                secrets.append(WEBHOOK_OLD_SECRET.open(self._keyring, place, claimed.old_secret))
        except Undecipherable as error:
            log.error("webhook_unsigned", reason=str(error))
            return Answer(None, "not sent: its secret cannot be read here; rotate it")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Larder-Webhooks/1",
            "webhook-id": str(claimed.event_id),
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature_of(secrets, str(claimed.event_id), now, body),
        }
        return await self._sender.post(claimed.url, headers, body)


def _mail(to: str, host: str, because: str, public_url: str) -> Mail:
    return Mail(
        to,
        "A webhook was disabled",
        f"Larder sends nothing more to the webhook at {host}, because {because}.\n\n"
        f"What it has not got waits. See to it and enable it again: {public_url}/webhooks\n",
    )


async def _tenants(now: datetime, transaction: Transaction) -> list[UUID]:
    return [row["id"] for row in await transaction.fetch(_TENANTS, now)]
