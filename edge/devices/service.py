"""Use cases of devices: claim, login, hello, heartbeat, and which of them are there."""

import hashlib
import hmac
import sqlite3
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import structlog

from edge.access import Identity, IdentityKind
from edge.clock import Clock, Moment
from edge.database import Database, Transaction
from edge.devices import rules, store
from edge.devices.rules import Journal
from edge.links import LINKS_KEY, UNSIGNED, Link, Links
from edge.outbox import Outbox, TelemetryBuffer
from edge.watch import Watch
from shared.contract import ClockQuality
from shared.devices import (
    Claim,
    Claimed,
    DeviceClaimed,
    DeviceHealth,
    DeviceLinkChanged,
    ExpectedDevice,
    Heartbeat,
    Hello,
    Vitals,
)
from shared.topics import Topic

CLAIM_PREFIX = b"claim:"

log = structlog.get_logger()


def link_key(machine_id: UUID) -> str:
    """Touched when a device of this machine comes, goes or has leave to boot (watch.py)."""
    return f"link:{machine_id}"


class DeviceService:
    """Who the devices are, and whether they can be commanded."""

    def __init__(
        self,
        database: Database,
        links: Links,
        outbox: Outbox,
        telemetry: TelemetryBuffer,
        clock: Clock,
        watch: Watch,
    ) -> None:
        self._database = database
        self._links = links
        self._outbox = outbox
        self._telemetry = telemetry
        self._clock = clock
        self._watch = watch

    async def authenticate(self, client_id: str, username: str, password: bytes) -> Identity | None:
        """Who logs in: a device by its token, or one that may claim by "claim:" + code. None for anyone else."""
        try:
            device_id = UUID(client_id)
        except ValueError:
            return None
        row = await self._database.read(lambda tx: store.device(tx, device_id))
        if row is None or client_id != username or str(device_id) != client_id:
            return None
        if password.startswith(CLAIM_PREFIX):
            code = password.removeprefix(CLAIM_PREFIX)
            kind, proven = IdentityKind.CLAIMING_DEVICE, self._may_claim(row, code)
        else:
            kind, proven = IdentityKind.DEVICE, _matches(password, row["token_sha256"])
        return Identity(kind, UUID(row["machine_id"]), device_id) if proven else None

    async def claim(self, topic: Topic, claim: Claim) -> None:
        """Register a device's credentials, once a claim code; the same credentials again are confirmed again."""

        def work(tx: Transaction) -> bool:
            if store.add_claim(tx, topic.device_id, claim):
                self._outbox.append(tx, DeviceClaimed(device_id=topic.device_id, machine_id=topic.machine_id))
                return True
            row = store.device(tx, topic.device_id)
            return row is not None and row["token_sha256"] == claim.token_sha256

        if not await self._database.unit("devices.claim", work):
            log.warning("claim_refused", device_id=str(topic.device_id))
            return
        log.info("device_claimed", device_id=str(topic.device_id))
        self._links.send(topic.machine_id, topic.device_id, Claimed(mac=UNSIGNED), bytes.fromhex(claim.command_key))

    def meet(self, tx: Transaction, topic: Topic, hello: Hello) -> bytes | None:
        """A device is there: compare its journal with the ledger; the key for its commands, None if it is refused.

        A journal found to be lost is noted in the same transaction, so no crash can make it look like a new device's.
        """
        device_id = topic.device_id
        row = store.device(tx, device_id)
        if row is None or row["command_key"] is None or not rules.is_plausible(hello):
            log.error("hello_refused", device_id=str(device_id), epoch=hello.epoch, seq=hello.seq)
            return None
        if rules.is_ahead(hello, row["epoch"], row["seq"]):
            store.start_epoch(tx, device_id, hello.epoch + 1)
        known = Journal(row["journal_id"], (row["seen_epoch"], row["seen_seq"]))
        told = Journal(str(hello.journal_id), (hello.epoch, hello.seq))
        if rules.is_lost(known, told):
            log.warning("journal_lost", device_id=str(device_id), known=known.highest, told=told.highest)
            store.set_journal_lost(tx, device_id)
        store.set_journal(tx, device_id, told)
        store.set_firmware(tx, device_id, hello.firmware)
        self._set_online(tx, device_id, topic.machine_id, online=True, reason="hello")
        tx.touch(LINKS_KEY)
        return bytes(row["command_key"])

    async def heartbeat(self, topic: Topic, heartbeat: Heartbeat) -> None:
        """Take the fresh nonce; keep one health sample a minute."""
        link = self._links.of(topic)
        if link.nonce is None:
            # A hello is said once a connection: one that was not heard (full disk, full inbox) takes a new connection.
            if not link.refused:
                link.hang_up("hello_unheard")
            return
        if link.unheard:
            link.hang_up("report_unheard")
            return
        link.renew(heartbeat.boot_id, heartbeat.nonce)
        sample, at = _health(topic, heartbeat, link, self._clock.now()), self._clock.moment()
        await self._database.unit("devices.heartbeat", lambda tx: self._keep_health(tx, sample, at))

    def _keep_health(self, tx: Transaction, sample: DeviceHealth, at: Moment) -> None:
        subject = str(sample.device_id)
        kept = self._telemetry.kept(tx, subject, at)
        if kept is not None:
            sample = rules.fold(DeviceHealth.model_validate_json(kept), sample)
        self._telemetry.keep(tx, subject, at, sample)

    def apply_expected(self, tx: Transaction, change: ExpectedDevice) -> None:
        """Take a device the cloud expects here."""
        store.put_expected(tx, change)

    def machine_of(self, tx: Transaction, device_id: UUID) -> UUID | None:
        """The machine in which the device stands; None for a device that is not known here."""
        row = store.device(tx, device_id)
        return None if row is None else UUID(row["machine_id"])

    def unexpected(self, tx: Transaction, boards: Collection[UUID]) -> list[UUID]:
        """Those of them that nobody has told this gateway of."""
        return sorted(board for board in boards if store.device(tx, board) is None)

    def begin_epoch(self, tx: Transaction) -> None:
        """The ledger was restored: never again use a number that may have been used."""
        store.raise_all_epochs(tx)

    def online(self, device_id: UUID) -> bool:
        """Whether the device can be commanded now, and is not about to boot."""
        return self._links.can_begin(device_id)

    def next_number(self, tx: Transaction, device_id: UUID) -> tuple[int, int]:
        """Take the device's next (epoch, seq): strictly rising, never twice."""
        return store.next_number(tx, device_id)

    def skip_number(self, tx: Transaction, device_id: UUID, epoch: int, seq: int) -> None:
        """A number that was used before the ledger was restored: go on above it."""
        store.skip_number(tx, device_id, epoch, seq)

    def saw_number(self, tx: Transaction, device_id: UUID, epoch: int, seq: int) -> None:
        """The device has told of this command: a journal that does not reach it has lost it."""
        store.see_number(tx, device_id, epoch, seq)

    async def run(self) -> None:
        """Keep the ledger's word on who is online true: it says so of the devices that can be commanded now."""
        with self._watch.on(LINKS_KEY) as changed:
            while True:
                changed.clear()
                if await self._database.read(self._misjudged):
                    await self._database.unit("devices.presence", self._correct_presence)
                await changed.wait()

    def _misjudged(self, tx: Transaction) -> list[sqlite3.Row]:
        return [row for row in store.presence(tx) if bool(row["online"]) != self._links.online(UUID(row["device_id"]))]

    def _correct_presence(self, tx: Transaction) -> None:
        # Links may change while this runs, and a hello is committed before its link is opened: each wakes us again.
        for row in self._misjudged(tx):
            came = not row["online"]
            reason = "hello" if came else "disconnected"
            self._set_online(tx, UUID(row["device_id"]), UUID(row["machine_id"]), online=came, reason=reason)

    def _set_online(self, tx: Transaction, device_id: UUID, machine_id: UUID, *, online: bool, reason: str) -> None:
        if store.set_online(tx, device_id, online=online):
            fact = DeviceLinkChanged(device_id=device_id, machine_id=machine_id, online=online, reason=reason)
            self._outbox.append(tx, fact)
        tx.touch(link_key(machine_id))

    def _may_claim(self, row: sqlite3.Row, code: bytes) -> bool:
        if row["used_code_sha256"] == row["claim_code_sha256"] or not _matches(code, row["claim_code_sha256"]):
            return False
        # A clock nobody has set cannot tell that a code is too old; the code still works only once.
        believed = self._clock.quality is ClockQuality.SYNCED
        return not believed or self._clock.now() < datetime.fromisoformat(row["claim_expires_at"])


def _matches(secret: bytes, sha256: str | None) -> bool:
    return hmac.compare_digest(hashlib.sha256(secret).hexdigest(), sha256 or "")


def _health(topic: Topic, heartbeat: Heartbeat, link: Link, at: datetime) -> DeviceHealth:
    return DeviceHealth(
        device_id=topic.device_id,
        machine_id=topic.machine_id,
        at=at,
        firmware=link.firmware,
        **{name: getattr(heartbeat, name) for name in Vitals.model_fields},
    )
