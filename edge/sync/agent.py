"""The sync agent: claims the gateway once, then keeps its lanes going, each on its own, while the program runs."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from edge.clock import Clock
from edge.errors import LarderError, StorageFull
from edge.failpoints import Failpoints
from edge.identity import GatewayIdentity
from edge.outbox import OUTBOX_KEY, Position
from edge.releases.service import RELEASES_KEY
from edge.settings import Settings
from edge.sync.backoff import Backoff
from edge.sync.cloud_client import CloudAway, CloudClient, CloudRefused
from edge.sync.doorbell import Doorbell, DoorbellGone
from edge.sync.files import Files
from edge.sync.pull import Pull
from edge.sync.push import Push
from edge.sync.recall import Recall
from edge.watch import Watch

GATHER_S = 0.1
"""Facts come in bursts; waiting this long after the first sends them together."""

log = structlog.get_logger()


class _Stalled(Exception):
    """Facts wait, the watermark stands, and nobody says why."""


@dataclass(slots=True)
class SyncStatus:
    """How the sync is doing, for health pages. `online`: every lane worked when it was last tried.

    `last_error` names the lanes that did not, and why; it is empty when all did.
    """

    online: bool = False
    last_ack_at: datetime | None = None
    last_error: str = ""
    stalls: int = 0


class SyncAgent:
    """Runs the sync. Nothing here can stop a sale; it only waits, and tries again.

    `place`: the id of the gateway that this one is by its bundle, before any claim.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        identity: GatewayIdentity,
        client: CloudClient,
        recall: Recall,
        push: Push,
        pull: Pull,
        files: Files,
        doorbell: Doorbell,
        watch: Watch,
        clock: Clock,
        failpoints: Failpoints,
        software: str,
        ca_pem: str,
        place: UUID | None,
    ) -> None:
        self.status = SyncStatus()
        self._settings = settings
        self._identity = identity
        self._client = client
        self._recall = recall
        self._push = push
        self._pull = pull
        self._files = files
        self._doorbell = doorbell
        self._watch = watch
        self._clock = clock
        self._failpoints = failpoints
        self._software = software
        self._ca_pem = ca_pem
        self._place = place
        self._errors: dict[str, str] = {}
        self._rung = asyncio.Event()
        self._chance = random.Random()  # noqa: S311 - jitter, no secret
        self._last_progress = clock.monotonic()

    async def position(self) -> Position:
        """Where facts stand, for health pages."""
        return await self._push.position()

    async def claim(self) -> None:
        """Return once this gateway is claimed. Asks for as long as it takes; a refused code is not tried again."""
        backoff = self._backoff()
        refused: str | None = None
        while self._identity.claim is None:
            code = self._settings.read_claim_code()
            if code is None or code.get_secret_value() == refused:
                if code is None:
                    self._failed("claim", "this gateway has no claim code")
                await asyncio.sleep(backoff.next(at_least=self._settings.backoff_first_s))
                continue
            try:
                claimed = await self._client.claim(code, self._software, self._ca_pem, self._place)
                self._failpoints.hit("sync.claim.before_keep")
                self._identity.keep(claimed)
                self._failpoints.hit("sync.claim.after_keep")
            except CloudRefused as error:
                refused = code.get_secret_value()
                self._failed("claim", str(error))
            except (CloudAway, StorageFull) as error:
                self._failed("claim", str(error))
                await asyncio.sleep(backoff.next(_retry_after(error)))
            else:
                self._worked("claim")
                log.info("gateway_claimed", gateway_id=str(claimed.gateway_id))

    async def run(self) -> None:
        """Keep all lanes going. The gateway must be claimed. Returns only by cancellation or a defect."""
        lanes = {
            "facts": self._facts,
            "telemetry": self._telemetry,
            "changes": self._changes,
            "files": self._fetch,
            "doorbell": self._listen,
            "watchdog": self._watchdog,
        }
        while True:
            self._last_progress = self._clock.monotonic()
            try:
                async with asyncio.TaskGroup() as group:
                    for name, lane in lanes.items():
                        group.create_task(lane(), name=f"sync.{name}")
            except* _Stalled:
                self.status.stalls += 1
                log.error("sync_stalled", waiting_s=self._settings.watchdog_s)
            await self._client.renew()

    async def _facts(self) -> None:
        backoff = self._backoff()
        with self._watch.on(OUTBOX_KEY) as added:
            while True:
                added.clear()
                if await self._attempt("facts", self._push_facts, backoff):
                    continue
                await added.wait()
                await asyncio.sleep(GATHER_S)

    async def _telemetry(self) -> None:
        backoff = self._backoff()
        while True:
            if not await self._attempt("telemetry", self._push.samples, backoff):
                await asyncio.sleep(self._settings.telemetry_s)

    async def _changes(self) -> None:
        backoff = self._backoff()
        while True:
            self._rung.clear()
            if await self._attempt("changes", self._pull.changes, backoff):
                continue
            try:
                async with asyncio.timeout(self._settings.poll_s):
                    await self._rung.wait()
            except TimeoutError:
                log.debug("poll_due")

    async def _fetch(self) -> None:
        backoff = self._backoff()
        with self._watch.on(RELEASES_KEY) as changed:
            while True:
                changed.clear()
                if await self._attempt("files", self._files.fetch, backoff):
                    continue
                try:
                    async with asyncio.timeout(self._settings.poll_s):
                        await changed.wait()
                except TimeoutError:
                    log.debug("look_due")

    async def _listen(self) -> None:
        backoff = self._backoff()

        def ring() -> None:
            backoff.reset()
            self._rung.set()

        while True:
            try:
                await self._doorbell.listen(ring)
            except DoorbellGone as error:
                wait = backoff.next()
                log.info("doorbell_gone", error=str(error), retry_s=round(wait, 1))
                await asyncio.sleep(wait)

    async def _watchdog(self) -> None:
        before: tuple[int, int] | None = None
        while True:
            position = await self._push.position()
            acked = (position.acked_epoch, position.acked_seq)
            now = self._clock.monotonic()
            if acked != before or not position.waiting:
                before, self._last_progress = acked, max(now, self._last_progress)
            elif now - self._last_progress > self._settings.watchdog_s:
                raise _Stalled
            await asyncio.sleep(self._settings.watchdog_s / 4)

    async def _push_facts(self) -> bool:
        if await self._recall.facts():
            self._last_progress = self._clock.monotonic()
            return True
        sent = await self._push.facts()
        if sent:
            self.status.last_ack_at = self._clock.now()
        return sent

    async def _attempt(self, lane: str, work: Callable[[], Awaitable[bool]], backoff: Backoff) -> bool:
        """Do it once. True: at once again (after a failure only when the waiting time is over)."""
        try:
            again = await work()
        except (CloudAway, CloudRefused, StorageFull) as error:
            self._failed(lane, str(error))
            wait_s = backoff.next(_retry_after(error))
            if not (isinstance(error, CloudAway) and error.silent):
                # What was heard is no stall, nor is the wait that follows from it.
                self._last_progress = max(self._last_progress, self._clock.monotonic() + wait_s)
            await asyncio.sleep(wait_s)
            return True
        backoff.reset()
        self._worked(lane)
        return again

    def _failed(self, lane: str, reason: str) -> None:
        if self._errors.get(lane) != reason:
            log.warning("sync_failed", lane=lane, reason=reason)
        self._errors[lane] = reason
        self._show()

    def _worked(self, lane: str) -> None:
        if self._errors.pop(lane, None) is not None:
            log.info("sync_works_again", lane=lane)
        self._show()

    def _show(self) -> None:
        self.status.online = not self._errors
        self.status.last_error = "; ".join(f"{lane}: {reason}" for lane, reason in sorted(self._errors.items()))

    def _backoff(self) -> Backoff:
        return Backoff(self._settings.backoff_first_s, self._settings.backoff_limit_s, self._chance)


def _retry_after(error: LarderError) -> float:
    return error.retry_after_s if isinstance(error, CloudAway) else 0
