"""Use cases of dispensing: ask for a vend, meet its device, judge what that reports."""

import sqlite3
from enum import Enum
from functools import partial
from uuid import UUID

import structlog

from edge.clock import Clock
from edge.database import Database, Transaction
from edge.devices.service import DeviceService
from edge.dispensing import rules, store
from edge.dispensing.conductor import OPEN_VENDS_KEY, Conductor
from edge.dispensing.rules import Answer
from edge.failpoints import Failpoints
from edge.links import UNSIGNED, Link, Links
from edge.watch import Watch
from shared.devices import Acknowledge, Drop, Hello, Refusal, VendAnswer, VendReport
from shared.orders import VendOutcome
from shared.topics import Topic

ANOTHER_BOOT = UUID(int=0)

ROOM_KEY = "room"
"""Touched when a device that takes several vends together has taken one (watch.py)."""

log = structlog.get_logger()


def vend_key(vend_id: UUID) -> str:
    """Touched when a device says something of this vend (watch.py)."""
    return f"vend:{vend_id}"


class News(Enum):
    """What a report changed."""

    OUTCOME = "outcome"
    REPEAT = "repeat"
    UNPAID_DROP = "unpaid_drop"
    """Proof of a drop after the vend had ended otherwise."""
    UNKNOWN_VEND = "unknown_vend"
    TOO_EARLY = "too_early"
    """The restored ledger has yet to recall what it knew of the vend. No effect, no acknowledgement: it comes again."""
    FOREIGN_VEND = "foreign_vend"
    """The vend was never this device's. No effect, no acknowledgement."""


class DispenseService:
    """Everything between a vend's request and its report."""

    def __init__(
        self,
        database: Database,
        devices: DeviceService,
        links: Links,
        conductor: Conductor,
        clock: Clock,
        watch: Watch,
        failpoints: Failpoints,
    ) -> None:
        self._database = database
        self._devices = devices
        self._links = links
        self._conductor = conductor
        self._clock = clock
        self._watch = watch
        self._failpoints = failpoints

    async def hello(self, topic: Topic, hello: Hello) -> None:
        """Meet a device: its open vends are taken up at once, or given up if the journal that knew of them is lost.

        The verdict is committed with the hello, and it stands before anything can be sent over this link.
        """
        device_id, link = topic.device_id, self._links.of(topic)
        told = self._conductor.told_by(device_id)

        def work(tx: Transaction) -> bool:
            self._devices.saw_number(tx, device_id, *told)
            key = self._devices.meet(tx, topic, hello)
            if key is None:
                return False
            tx.touch(OPEN_VENDS_KEY)
            tx.then(partial(self._met, link, hello, key, store.open_dispenses_of(tx, device_id)))
            return True

        link.refused = not await self._database.unit("dispensing.hello", work)
        if not link.refused:
            log.info("device_hello", device_id=str(device_id), firmware=hello.firmware, seq=hello.seq)

    def _met(self, link: Link, hello: Hello, key: bytes, rows: list[sqlite3.Row]) -> None:
        """In one step of the event loop: first the verdict, then the link. A link that was replaced stays unused."""
        for row in rows:
            self._conductor.take_up(row)
        link.open(hello, key)

    async def answer(self, topic: Topic, answer: VendAnswer) -> None:
        """Take what a device says of a vend that has no outcome yet."""
        progress = self._conductor.progress(answer.vend_id)
        if progress is None or progress.device_id != topic.device_id:
            return
        before, progress.answer = progress.answer, rules.heard(answer, progress.answer)
        if progress.answer is Answer.DECLINED and before is not Answer.DECLINED:
            # The cancel goes at once: a customer waits for the money.
            progress.sent_at = float("-inf")
        if progress.answer is Answer.RUNNING:
            progress.quiet_since = self._clock.monotonic()
        if answer.reason is Refusal.STALE_NONCE and self._links.of(topic).renew(answer.boot_id, answer.nonce):
            progress.sent_at = float("-inf")
        elif answer.reason is not None:
            log.warning("vend_refused", vend_id=str(answer.vend_id), reason=answer.reason)
        if answer.reason is Refusal.BUSY and self._conductor.is_at_another(topic.device_id, answer.vend_id):
            progress.put_off_at = self._clock.monotonic()
        if progress.answer is Answer.RUNNING is not before and self._links.at_once(topic.device_id) > 1:
            self._watch.touch([ROOM_KEY])
        self._watch.touch([OPEN_VENDS_KEY, vend_key(answer.vend_id)])

    async def record_drop(self, topic: Topic, drop: Drop) -> None:
        """Keep the proof of a drop, in case the device's report never comes."""

        def work(tx: Transaction) -> None:
            store.set_drop_seen(tx, topic.device_id, drop.vend_id)

        await self._database.unit("dispensing.record_drop", work)

    def running(self, vend_id: UUID) -> bool:
        """Whether the device has said that it is at this vend."""
        return self._conductor.answer_to(vend_id) is Answer.RUNNING

    def is_free(self, tx: Transaction, device_id: UUID) -> bool:
        """Whether the device may be asked for one more vend."""
        return self.turning(tx, device_id) is not None

    def turning(self, tx: Transaction, device_id: UUID) -> frozenset[str] | None:
        """The slots of the device's open vends, none of which takes another meanwhile; None if it takes no more."""
        vends = store.open_vends(tx, device_id)
        answers = [self._conductor.answer_to(vend_id) for vend_id in vends]
        return frozenset(vends.values()) if rules.has_room(answers, self._links.at_once(device_id)) else None

    def is_idle(self, tx: Transaction, device_id: UUID) -> bool:
        """Whether the device has no open vend."""
        return not store.open_vends(tx, device_id)

    def request(self, tx: Transaction, vend_id: UUID, machine_id: UUID, device_id: UUID, slot: str) -> tuple[int, int]:
        """Open a dispense (G3); its (epoch, seq). It is published as soon as this is committed: a customer waits."""
        number = self._devices.next_number(tx, device_id)
        row = store.add_dispense(tx, vend_id, machine_id, device_id, slot, number, self._clock.moment())
        tx.meanwhile(partial(self._conductor.prepare, row))
        tx.touch(OPEN_VENDS_KEY)
        return number

    def resume(self, tx: Transaction, device_id: UUID) -> bool:
        """Take up a command of before a restore, under its old number, to learn what became of it; false if none is."""
        if not store.resume(tx, device_id, ANOTHER_BOOT):
            return False
        tx.touch(OPEN_VENDS_KEY)
        return True

    def cancel(self, tx: Transaction, vend_id: UUID) -> bool:
        """Ask for the seq to be burnt (G4), unless that is asked already or the vend has ended; whether it was news."""
        tx.touch(OPEN_VENDS_KEY)
        return store.set_cancelling(tx, vend_id)

    def settle(self, tx: Transaction, topic: Topic, report: VendReport) -> tuple[News, VendOutcome]:
        """Take a device's report of a vend's end (G5); what is new, and the outcome the report proves."""
        row = store.dispense(tx, report.vend_id) or store.held(tx, report.vend_id)
        outcome = rules.judge(report, drop_seen=row is not None and bool(row["drop_seen"]))
        if row is None:
            return News.UNKNOWN_VEND, outcome
        if row["device_id"] != str(topic.device_id):
            return News.FOREIGN_VEND, outcome
        self._devices.saw_number(tx, topic.device_id, report.epoch, report.seq)
        if store.drop_held(tx, report.vend_id) or store.end_dispense(tx, report.vend_id, outcome):
            tx.touch(OPEN_VENDS_KEY)
            return News.OUTCOME, outcome
        late = outcome is VendOutcome.DISPENSED and row["outcome"] != VendOutcome.DISPENSED
        return (News.UNPAID_DROP if late else News.REPEAT), outcome

    def end(self, tx: Transaction, vend_id: UUID, outcome: VendOutcome) -> VendOutcome | None:
        """End an open vend without a report; None if it has ended meanwhile, else its outcome.

        That is DISPENSED, whatever was believed, if proof of a drop has come in since.
        """
        row = store.dispense(tx, vend_id)
        proven = VendOutcome.DISPENSED if row is not None and row["drop_seen"] else outcome
        return proven if store.end_dispense(tx, vend_id, proven) else None

    def acknowledge(self, topic: Topic, report: VendReport) -> None:
        """Tell the device that its report is committed."""
        self._failpoints.hit("dispensing.acknowledge.before")
        acknowledge = Acknowledge(epoch=report.epoch, seq=report.seq, vend_id=report.vend_id, mac=UNSIGNED)
        self._links.send(topic.machine_id, topic.device_id, acknowledge)
        self._failpoints.hit("dispensing.acknowledge.after")
