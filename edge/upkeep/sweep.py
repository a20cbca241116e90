"""Asks devices what people want of them: again and again, while a device is there, until it answers or time is up."""

import asyncio
import sqlite3
from uuid import UUID

import structlog

from edge.clock import Clock
from edge.database import Database, Transaction
from edge.errors import StorageFull
from edge.links import LINKS_KEY, Links
from edge.orders.service import OrderService
from edge.parcels.service import ParcelService
from edge.upkeep import rules, store
from edge.upkeep.service import UPKEEP_KEY, UpkeepService
from edge.watch import Watch
from shared.contract import ClockQuality
from shared.signed import Purpose
from shared.upkeep import DeviceInstruction, RequestState, SettingsReported, SettingsState

LOOK_S = 2.0
"""Between two looks while anything waits: time runs out, an order ends."""
REPEAT_S = 10.0
"""Before the same is asked of the same device again."""
RETRY_S = 600.0
"""Before settings are offered again that the device has gone back from: each try costs it some minutes of selling."""

log = structlog.get_logger()


class UpkeepSweep:
    """Nothing here is asked of a device at which an order is open, but to release a zone."""

    def __init__(
        self,
        database: Database,
        upkeep: UpkeepService,
        orders: OrderService,
        parcels: ParcelService,
        links: Links,
        clock: Clock,
        watch: Watch,
        repeat_s: float = REPEAT_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self._database = database
        self._upkeep = upkeep
        self._orders = orders
        self._parcels = parcels
        self._links = links
        self._clock = clock
        self._watch = watch
        self._repeat_s = repeat_s
        self._retry_s = retry_s
        self._told: dict[str, float] = {}
        self._reverted: dict[str, tuple[str, float]] = {}
        """Of each device that went back from settings: what it said, and when that was first seen here."""

    async def run(self) -> None:
        """Sweep for ever."""
        with self._watch.on(LINKS_KEY, UPKEEP_KEY) as changed:
            while True:
                changed.clear()
                waits = await self._ask() | await self._offer()
                self._forget()
                try:
                    async with asyncio.timeout(min(LOOK_S, self._repeat_s) if waits else None):
                        await changed.wait()
                except TimeoutError:
                    continue

    async def _ask(self) -> bool:
        """Ask what can be asked now; whether anything goes on waiting."""
        waiting = await self._database.read(store.waiting)
        if not waiting or self._clock.quality is not ClockQuality.SYNCED:
            # Whoever does not know the time cannot know what has expired.
            return bool(waiting)
        now = self._clock.now()

        def end_refused(tx: Transaction) -> list[DeviceInstruction]:
            due = []
            for wish in store.waiting(tx):
                reason = rules.why_refused(wish, self._upkeep.machine_of(tx, wish.device_id), now)
                if reason is not None:
                    self._upkeep.end(tx, wish, RequestState.REFUSED, reason)
                elif wish.action not in rules.NEEDS_REST or not self._orders.is_open_at(tx, wish.device_id):
                    due.append(wish)
            return due

        for wish in await self._database.unit("upkeep.sweep", end_refused):
            self._tell(wish)
        return True

    def _tell(self, wish: DeviceInstruction) -> None:
        nonce = self._links.nonce(wish.device_id)
        command = None if nonce is None else rules.command(wish, nonce)
        if command is not None and self._may_tell(str(wish.request_id)):
            self._links.send(wish.machine_id, wish.device_id, command)

    async def _offer(self) -> bool:
        """Offer settings to the devices that have told, in this boot, that they run on others."""
        due, free = await self._database.read(self._due_settings)
        for row in free:
            device_id, data = UUID(row["device_id"]), row["file"].encode()
            if row["boot_id"] != str(self._links.boot_id(device_id)) or self._rests(row):
                continue
            if not self._may_tell(f"{device_id} settings"):
                continue
            try:
                await self._parcels.put(data)
            except StorageFull:
                log.error("settings_not_offered", device_id=str(device_id), reason="storage_full")
                continue
            self._parcels.offer(UUID(row["machine_id"]), device_id, Purpose.SETTINGS, row["digest"], len(data))
        return bool(due)

    def _due_settings(self, tx: Transaction) -> tuple[list[sqlite3.Row], list[sqlite3.Row]]:
        """Those of which it is not known what became, and of them those that may be offered now."""
        due = store.due_settings(tx)
        free = [row for row in due if not _on_trial(row["reported"], row["digest"])]
        return due, [row for row in free if not self._orders.is_open_at(tx, UUID(row["device_id"]))]

    def _rests(self, row: sqlite3.Row) -> bool:
        """Whether the device has gone back from just these a short time ago."""
        told = SettingsReported.model_validate_json(row["reported"])
        if not rules.tries_since(told, row["digest"], row["tries_before"]):
            return False
        now = self._clock.monotonic()
        seen, since = self._reverted.get(row["device_id"], (None, now))
        since = since if seen == row["reported"] else now
        self._reverted[row["device_id"]] = (row["reported"], since)
        return now - since < self._retry_s

    def _may_tell(self, what: str) -> bool:
        """Whether it is time to say it again; from now on it is said."""
        now = self._clock.monotonic()
        if now - self._told.get(what, float("-inf")) < self._repeat_s:
            return False
        self._told[what] = now
        return True

    def _forget(self) -> None:
        now = self._clock.monotonic()
        self._told = {what: at for what, at in self._told.items() if now - at < self._repeat_s}


def _on_trial(reported: str, digest: str) -> bool:
    """Whether the device runs on these settings and will tell whether it keeps them."""
    told = SettingsReported.model_validate_json(reported)
    return told.state is SettingsState.TRIAL and told.digest == digest
