"""Offers each device what it shall run, at a time when it disturbs nobody, until the device says what became of it.

To boot by it the device needs leave: only the gateway knows whether an order is open that has not come to the device.
"""

import asyncio
import sqlite3
from functools import partial
from uuid import UUID

import structlog

from edge.clock import Clock
from edge.database import Database, Transaction
from edge.devices.service import link_key
from edge.dispensing.service import DispenseService
from edge.links import LINKS_KEY, UNSIGNED, Links
from edge.orders.rules import CUSTOMER_WINDOW_S
from edge.orders.service import OrderService
from edge.parcels.service import ParcelService
from edge.payments.service import PaymentService
from edge.releases.service import RELEASES_KEY, ReleaseService
from edge.watch import Watch
from shared.releases import LEAVE_S, FirmwareState, Leave
from shared.signed import Purpose

SWEEP_S = 10.0
OFFER_S = 30.0
"""How often a device is offered the same: it may be about to say that it has begun."""
RETRY_S = 600.0
"""So long after a device has failed with a release it is offered it again: each try costs it a restart."""
LEAVE_AGAIN_S = 600.0
"""So long after a device had leave to boot, and did not, it is given it again: it costs a minute without sales."""

log = structlog.get_logger()


class ReleaseSweep:
    """Looks when a release, one of its files or a device has come or spoken, and every `sweep_s`."""

    def __init__(
        self,
        database: Database,
        releases: ReleaseService,
        orders: OrderService,
        dispenses: DispenseService,
        payments: PaymentService,
        parcels: ParcelService,
        links: Links,
        clock: Clock,
        watch: Watch,
        sweep_s: float = SWEEP_S,
        offer_s: float = OFFER_S,
    ) -> None:
        self._database = database
        self._releases = releases
        self._orders = orders
        self._dispenses = dispenses
        self._payments = payments
        self._parcels = parcels
        self._links = links
        self._clock = clock
        self._watch = watch
        self._sweep_s = sweep_s
        self._offer_s = offer_s
        self._offered: dict[UUID, tuple[str, str, float]] = {}
        """What each device was offered last: the assignment, in which boot, and when."""
        self._let_go: dict[UUID, tuple[str, float]] = {}
        """In which boot each device was last given leave to boot, and when."""
        self._credits: dict[UUID, tuple[int, float]] = {}
        """The credit of each machine for which leave was held back, and since when it is just so much."""

    async def run(self) -> None:
        """Sweep for ever."""
        with self._watch.on(RELEASES_KEY, LINKS_KEY) as changed:
            while True:
                changed.clear()
                await self._sweep()
                try:
                    async with asyncio.timeout(self._sweep_s):
                        await changed.wait()
                except TimeoutError:
                    continue

    async def _sweep(self) -> None:
        await self._releases.check()
        if not self._database.has_room():
            return
        for wish in await self._database.read(self._waiting):
            if await self._database.unit("releases.leave", partial(self._may_leave, wish=wish)):
                self._give_leave(wish)
        for wish in await self._database.read(self._due):
            if not await self._releases.is_here(wish["digest"]):
                continue
            if await self._database.unit("releases.offer", partial(self._may_offer, wish=wish)):
                self._offer(wish)

    def _due(self, tx: Transaction) -> list[sqlite3.Row]:
        return [wish for wish in self._releases.unreached(tx) if wish["checked"] and self._is_due(wish)]

    def _is_due(self, wish: sqlite3.Row) -> bool:
        """Whether the device is there, has told of its firmware in this boot, and has nothing on trial.

        One that fetches it already passes over what is repeated.
        """
        device_id = UUID(wish["device_id"])
        if not self._is_met(wish) or wish["state"] == FirmwareState.TRIAL:
            return False
        assignment_id, boot, at = self._offered.get(device_id, ("", "", 0.0))
        if assignment_id != wish["assignment_id"]:
            return True
        age_s = self._clock.monotonic() - at
        if wish["state"] == FirmwareState.FAILED and wish["taken_up"] == wish["digest"]:
            return age_s >= RETRY_S
        return boot != wish["boot_id"] or age_s >= self._offer_s

    def _is_met(self, wish: sqlite3.Row) -> bool:
        boot_id = self._links.boot_id(UUID(wish["device_id"]))
        return boot_id is not None and wish["boot_id"] == str(boot_id)

    def _rests(self, tx: Transaction, device_id: UUID) -> bool:
        """Whether nothing is open at the device."""
        return not self._orders.is_open_at(tx, device_id) and self._dispenses.is_idle(tx, device_id)

    def _may_offer(self, tx: Transaction, wish: sqlite3.Row) -> bool:
        """Whether nothing is open at the device; then the offer counts from here on."""
        device_id = UUID(wish["device_id"])
        rests = self._rests(tx, device_id)
        if rests:
            self._releases.note_offer(tx, device_id)
        return rests

    def _waiting(self, tx: Transaction) -> list[sqlite3.Row]:
        """For leave to boot, and had none of late."""
        wishes = self._releases.unreached(tx)
        return [wish for wish in wishes if self._releases.is_ready(wish) and self._is_met(wish) and self._may_ask(wish)]

    def _may_ask(self, wish: sqlite3.Row) -> bool:
        boot_id, at = self._let_go.get(UUID(wish["device_id"]), ("", 0.0))
        return boot_id != wish["boot_id"] or self._clock.monotonic() - at >= LEAVE_AGAIN_S

    def _may_leave(self, tx: Transaction, wish: sqlite3.Row) -> bool:
        """Whether nothing is open at the device, nor about to be; then nothing is begun there for a while."""
        device_id, machine_id = UUID(wish["device_id"]), UUID(wish["machine_id"])
        rests = not self._has_customer(tx, machine_id) and self._rests(tx, device_id)
        if rests:
            self._links.let_go(device_id, LEAVE_S)
            tx.touch(link_key(machine_id))
        return rests

    def _has_customer(self, tx: Transaction, machine_id: UUID) -> bool:
        """Whether there is money in the machine that somebody may still be about to spend: left over, it holds up none.

        How fresh it is counts from when it was first seen here.
        """
        amount_minor, now = self._payments.credit(tx, machine_id), self._clock.monotonic()
        seen_minor, since = self._credits.get(machine_id, (0, now))
        if amount_minor != seen_minor:
            since = now
        self._credits[machine_id] = amount_minor, since
        return amount_minor > 0 and now - since < CUSTOMER_WINDOW_S

    def _give_leave(self, wish: sqlite3.Row) -> None:
        device_id, machine_id = UUID(wish["device_id"]), UUID(wish["machine_id"])
        self._let_go[device_id] = wish["boot_id"], self._clock.monotonic()
        self._credits.pop(machine_id, None)
        if (nonce := self._links.nonce(device_id)) is not None:
            self._links.send(machine_id, device_id, Leave(digest=wish["digest"], nonce=nonce, mac=UNSIGNED))
            log.info("release_may_boot", device_id=str(device_id), digest=wish["digest"])

    def _offer(self, wish: sqlite3.Row) -> None:
        device_id, machine_id = UUID(wish["device_id"]), UUID(wish["machine_id"])
        if self._parcels.offer(machine_id, device_id, Purpose.RELEASE, wish["digest"], wish["size"]):
            self._offered[device_id] = wish["assignment_id"], wish["boot_id"], self._clock.monotonic()
            log.info("release_offered", device_id=str(device_id), digest=wish["digest"])
