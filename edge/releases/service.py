"""Use cases of releases: take what the cloud assigns, believe it or not, hear what devices make of it.

Whom to believe stands in the gateway's own settings, never in what the cloud says.
"""

import asyncio
import sqlite3
from collections.abc import Mapping
from functools import partial
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.clock import Clock
from edge.database import Database, Transaction
from edge.outbox import Outbox
from edge.parcels.service import ParcelService
from edge.releases import rules, store
from edge.releases.rules import NotBelieved
from edge.shelf import Shelf
from shared.contract import ClockQuality
from shared.releases import FirmwareAssigned, FirmwareChanged, FirmwareGivenUp, FirmwareReport, FirmwareState, Manifest
from shared.signed import Purpose
from shared.topics import Topic

RELEASES_KEY = "releases"
"""Touched when a release was assigned, one of its files has come, or a device has spoken of its firmware (watch.py)."""

MAX_DOCUMENT_BYTES = 32_768

log = structlog.get_logger()


class ReleaseService:
    """Which device shall run what. `keys` are of those who may sign releases."""

    def __init__(
        self,
        database: Database,
        parcels: ParcelService,
        shelf: Shelf,
        outbox: Outbox,
        clock: Clock,
        keys: Mapping[str, Ed25519PublicKey],
    ) -> None:
        self._database = database
        self._parcels = parcels
        self._shelf = shelf
        self._outbox = outbox
        self._clock = clock
        self._keys = keys
        self._believed: dict[str, Manifest] = {}
        self._ready: dict[UUID, tuple[str, str | None]] = {}
        """In which boot a device has told last that it is ready for which release."""

    def apply_assigned(self, tx: Transaction, change: FirmwareAssigned) -> None:
        """The cloud has assigned a release, or none. The device may fetch it once it was checked."""
        if store.put_assignment(tx, change):
            digest = change.release.digest if change.release else None
            log.info("release_assigned", device_id=str(change.device_id), digest=digest)
            self._parcels.permit(tx, change.device_id, Purpose.RELEASE, [digest] if digest else [])
            tx.touch(RELEASES_KEY)

    async def report(self, topic: Topic, report: FirmwareReport) -> None:
        """Take what a device says of its firmware: that is what is believed."""

        def work(tx: Transaction) -> None:
            if store.put_report(tx, topic.device_id, report):
                self._outbox.append(tx, _changed(topic, report))
            self._judge(tx, topic.device_id, report)
            tx.touch(RELEASES_KEY)

        self._ready.pop(topic.device_id, None)
        if report.ready:
            self._ready[topic.device_id] = str(report.boot_id), report.offered
        await self._database.unit("releases.report", work)
        running = report.running
        about = {"state": report.state, "slot": running.slot, "version": running.version, "reason": report.reason}
        log.info("device_firmware", device_id=str(topic.device_id), **about)

    def _judge(self, tx: Transaction, device_id: UUID, report: FirmwareReport) -> None:
        wish = store.assignment(tx, device_id)
        if wish is None:
            return
        digest = wish["digest"]
        if rules.is_reached(digest, report.running.digest, report.state, report.offered):
            self._parcels.permit(tx, device_id, Purpose.RELEASE, [])
            store.set_checked(tx, device_id, checked=False)
            return
        if not self._parcels.may_fetch(tx, device_id, digest):
            # It had the release once, and has lost it since.
            self._parcels.permit(tx, device_id, Purpose.RELEASE, [digest])
        if wish["offered"] and report.state is FirmwareState.FAILED and report.offered == digest:
            failures = store.count_failure(tx, device_id)
            if failures >= rules.MAX_FAILURES:
                self._give_up(tx, wish, f"failed {failures} times, last: {report.reason}")

    def _give_up(self, tx: Transaction, wish: sqlite3.Row, reason: str) -> None:
        """Offer it no more until it is assigned anew, and tell the cloud."""
        device_id = UUID(wish["device_id"])
        log.error("release_given_up", device_id=wish["device_id"], digest=wish["digest"], reason=reason)
        store.give_up(tx, device_id, reason)
        self._parcels.permit(tx, device_id, Purpose.RELEASE, [])
        fact = FirmwareGivenUp(
            assignment_id=UUID(wish["assignment_id"]),
            device_id=device_id,
            machine_id=UUID(wish["machine_id"]),
            reason=reason,
        )
        self._outbox.append(tx, fact)

    async def check(self) -> None:
        """Whatever has come: let the device fetch all that it lists, or give it up."""
        wishes = await self._database.read(self.unreached)
        self._believed = {wish["digest"]: self._believed[wish["digest"]] for wish in wishes if self._knows(wish)}
        for wish in wishes:
            verdict = await self._verdict(wish)
            if isinstance(verdict, str) or (verdict is not None and not wish["checked"]):
                await self._database.unit("releases.check", partial(self._settle, wish=wish, verdict=verdict))

    async def missing(self) -> list[tuple[str, int]]:
        """SHA-256 and size of what has yet to come from the cloud; none as long as the gateway's disk is nearly full.

        Of a release first the signed text: until that was found right, none of its files is missed.
        """
        if not self._database.has_room():
            return []
        await self.check()
        wanted: dict[str, int] = {}
        for wish in await self._database.read(self.unreached):
            wanted[wish["digest"]] = wish["size"]
            if (manifest := self._believed.get(wish["digest"])) is not None:
                wanted |= {file.sha256: file.size for file in manifest.files}
        return [(sha256, wanted[sha256]) for sha256 in await asyncio.to_thread(self._shelf.lacks, wanted)]

    async def is_here(self, digest: str) -> bool:
        """Whether the release was found right, and lies here with all its files."""
        manifest = self._believed.get(digest)
        if manifest is None:
            return False
        wanted = [digest, *(file.sha256 for file in manifest.files)]
        return not await asyncio.to_thread(self._shelf.lacks, wanted)

    def unreached(self, tx: Transaction) -> list[sqlite3.Row]:
        """What devices shall run and do not run yet, or not for good (columns: store.assignments)."""
        return [wish for wish in store.assignments(tx) if not _is_reached(wish)]

    def is_ready(self, wish: sqlite3.Row) -> bool:
        """Whether the device holds all that it shall run, and waits for leave to boot by it."""
        return self._ready.get(UUID(wish["device_id"])) == (wish["boot_id"], wish["digest"])

    def note_offer(self, tx: Transaction, device_id: UUID) -> None:
        """It is being offered: if the device says next that this came to nothing, that counts."""
        store.set_offered(tx, device_id)

    def _knows(self, wish: sqlite3.Row) -> bool:
        return wish["digest"] in self._believed

    async def _verdict(self, wish: sqlite3.Row) -> Manifest | str | None:
        """What a release that was assigned lists, or why it is not for the device; None: it has not come yet."""
        digest = wish["digest"]
        if not self._knows(wish):
            document = await asyncio.to_thread(self._shelf.read, digest, 0, MAX_DOCUMENT_BYTES)
            if not document:
                return None
            try:
                self._believed[digest] = rules.believe(document, self._keys)
            except NotBelieved as error:
                return str(error)
        manifest = self._believed[digest]
        has_begun = wish["state"] == FirmwareState.FETCHING and wish["taken_up"] == digest
        believes_clock = self._clock.quality is ClockQuality.SYNCED
        if believes_clock and not has_begun and rules.has_expired(manifest, self._clock.now()):
            return "it has expired"
        return manifest

    def _settle(self, tx: Transaction, wish: sqlite3.Row, verdict: Manifest | str) -> None:
        device_id = UUID(wish["device_id"])
        now = store.assignment(tx, device_id)
        if now is None or now["assignment_id"] != wish["assignment_id"]:
            return
        if isinstance(verdict, str):
            self._give_up(tx, now, verdict)
            return
        digests = [wish["digest"], *(file.sha256 for file in verdict.files)]
        self._parcels.permit(tx, device_id, Purpose.RELEASE, digests)
        store.set_checked(tx, device_id, checked=True)
        tx.touch(RELEASES_KEY)


def _is_reached(wish: sqlite3.Row) -> bool:
    state = wish["state"]
    told = state is not None
    return told and rules.is_reached(wish["digest"], wish["running"], FirmwareState(state), wish["taken_up"])


def _changed(topic: Topic, report: FirmwareReport) -> FirmwareChanged:
    return FirmwareChanged(
        device_id=topic.device_id,
        machine_id=topic.machine_id,
        running=report.running,
        state=report.state,
        offered=report.offered,
        reason=report.reason,
    )
