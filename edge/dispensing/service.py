"""Use cases of dispensing: ask for a vend, carry it to its end, judge what the device reports."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Protocol
from uuid import UUID

import structlog

from edge.clock import Clock, Moment
from edge.database import Database, Transaction
from edge.devices.service import DeviceService
from edge.dispensing import rules, store
from edge.dispensing.rules import Answer, Number, OpenVend, Step
from edge.failpoints import Failpoints
from edge.links import LINKS_KEY, UNSIGNED, Link, Links, SignedCommand
from edge.watch import Watch
from shared.devices import Acknowledge, Cancel, Command, Dispense, Drop, Hello, Query, Refusal, VendAnswer, VendReport
from shared.orders import VendOutcome
from shared.topics import Topic

IDLE_S = 60.0
"""How long the conductor sleeps when nothing is open and nobody wakes it."""

HEARING_S = 1.0
"""What devices said while the ledger let nobody in, for a backup or on a bad card, is heard so soon afterwards; and
who was not looked at for so long may have said something."""

OPEN_VENDS_KEY = "open_vends"
"""Touched when an open vend may take a step (watch.py)."""

ANOTHER_BOOT = UUID(int=0)

log = structlog.get_logger()


def vend_key(vend_id: UUID) -> str:
    """Touched when a device says something of this vend (watch.py)."""
    return f"vend:{vend_id}"


class VendOwner(Protocol):
    """Who is told of what becomes of vends when the device itself does not tell (the orders feature)."""

    async def cancel_overdue(self, vend_id: UUID) -> None:
        """The device has not answered in time: commit the wish to cancel."""

    async def end_unanswered(self, vend_id: UUID, outcome: VendOutcome) -> None:
        """No report will settle this vend any more: commit this outcome."""


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


@dataclass(slots=True)
class Progress:
    """An open vend's volatile side. Times are seconds on the monotonic clock."""

    device_id: UUID
    number: Number
    published: bool
    since: float
    """When it was taken up."""
    quiet_since: float
    """The first publish of the dispense with its newest nonce, or the last word that the device is at it."""
    sent_at: float = float("-inf")
    answer: Answer = Answer.NONE
    quoted: str | None = None
    """The nonce of the last dispense."""
    looked_at: float = float("-inf")
    ending_since: float = float("-inf")
    """Since when it was about to lapse whenever it was looked at, without a gap."""

    def quote(self, nonce: str | None, now: float) -> None:
        """A dispense goes out. All copies that quote one nonce die together, however often it is repeated."""
        self.published = True
        if nonce != self.quoted:
            self.quoted, self.quiet_since = nonce, now

    def look(self, now: float) -> bool:
        """Note that it is looked at; whether it has lapsed, although all that was said before has been heard."""
        left_s = min(rules.LAPSE_S - (now - self.quiet_since), rules.STUCK_S - (now - self.since))
        if left_s > HEARING_S or now - self.looked_at > HEARING_S:
            self.ending_since = now
        self.looked_at = now
        return left_s <= 0 and now - self.ending_since >= HEARING_S


class DispenseService:
    """Everything between a vend's request and its report."""

    def __init__(
        self,
        database: Database,
        devices: DeviceService,
        links: Links,
        clock: Clock,
        watch: Watch,
        failpoints: Failpoints,
    ) -> None:
        self._database = database
        self._devices = devices
        self._links = links
        self._clock = clock
        self._watch = watch
        self._failpoints = failpoints
        self._progress: dict[UUID, Progress] = {}

    async def hello(self, topic: Topic, hello: Hello) -> None:
        """Meet a device: its open vend is taken up at once, or given up if the journal that knew of it is lost.

        The verdict is committed with the hello, and it stands before anything can be sent over this link.
        """
        device_id, link = topic.device_id, self._links.of(topic)
        told = self._told_by(device_id)

        def work(tx: Transaction) -> bool:
            self._devices.saw_number(tx, device_id, *told)
            key = self._devices.meet(tx, topic, hello)
            if key is None:
                return False
            tx.touch(OPEN_VENDS_KEY)
            tx.then(partial(self._met, link, hello, key, store.open_dispense(tx, device_id)))
            return True

        link.refused = not await self._database.unit("dispensing.hello", work)
        if not link.refused:
            log.info("device_hello", device_id=str(device_id), firmware=hello.firmware, seq=hello.seq)

    def _told_by(self, device_id: UUID) -> Number:
        """The highest number of which the device has said that it is at it. Until it reports, no ledger holds that."""
        running = (one for one in self._progress.values() if one.answer is Answer.RUNNING)
        return max((one.number for one in running if one.device_id == device_id), default=(0, 0))

    def _met(self, link: Link, hello: Hello, key: bytes, row: sqlite3.Row | None) -> None:
        """In one step of the event loop: first the verdict, then the link. A link that was replaced stays unused."""
        if row is not None:
            progress = self._progress_of(row)
            progress.sent_at = float("-inf")
            if progress.published and _journal_lost(row):
                progress.answer = Answer.LOST
        link.open(hello, key)

    async def answer(self, topic: Topic, answer: VendAnswer) -> None:
        """Take what a device says of a vend that has no outcome yet."""
        progress = self._progress.get(answer.vend_id)
        if progress is None or progress.device_id != topic.device_id:
            return
        progress.answer = rules.heard(answer, progress.answer)
        if progress.answer is Answer.RUNNING:
            progress.quiet_since = self._clock.monotonic()
        if answer.reason is Refusal.STALE_NONCE and self._links.of(topic).renew(answer.boot_id, answer.nonce):
            progress.sent_at = float("-inf")
        elif answer.reason is not None:
            log.warning("vend_refused", vend_id=str(answer.vend_id), reason=answer.reason)
        self._watch.touch([OPEN_VENDS_KEY, vend_key(answer.vend_id)])

    async def record_drop(self, topic: Topic, drop: Drop) -> None:
        """Keep the proof of a drop, in case the device's report never comes."""

        def work(tx: Transaction) -> None:
            store.set_drop_seen(tx, topic.device_id, drop.vend_id)

        await self._database.unit("dispensing.record_drop", work)

    def running(self, vend_id: UUID) -> bool:
        """Whether the device has said that it is at this vend."""
        progress = self._progress.get(vend_id)
        return progress is not None and progress.answer is Answer.RUNNING

    def is_free(self, tx: Transaction, device_id: UUID) -> bool:
        """Whether the device has no open vend."""
        return not store.is_busy(tx, device_id)

    def request(self, tx: Transaction, vend_id: UUID, machine_id: UUID, device_id: UUID, slot: str) -> tuple[int, int]:
        """Open a dispense (G3); its (epoch, seq). It is published as soon as this is committed: a customer waits."""
        number = self._devices.next_number(tx, device_id)
        row = store.add_dispense(tx, vend_id, machine_id, device_id, slot, number, self._clock.moment())
        tx.meanwhile(partial(self._prepare, row))
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

    async def run(self, owner: VendOwner) -> None:
        """The conductor: carry every open vend one step further, sleep until something happens."""
        with self._watch.on(LINKS_KEY, OPEN_VENDS_KEY) as changed:
            while True:
                changed.clear()
                known = set(self._progress)
                rows = await self._database.read(store.open_dispenses)
                self._forget(known - {UUID(row["vend_id"]) for row in rows})
                for row in rows:
                    await self._take_step(row, self._progress_of(row), owner)
                try:
                    async with asyncio.timeout(rules.RESEND_S / 4 if rows else IDLE_S):
                        await changed.wait()
                except TimeoutError:
                    continue

    def _prepare(self, row: sqlite3.Row) -> Callable[[], None]:
        progress = self._new_progress(row, published=False)
        return partial(self._begin, UUID(row["vend_id"]), progress, self._signed(row, Step.DISPENSE))

    def _begin(self, vend_id: UUID, progress: Progress, command: SignedCommand | None) -> None:
        """The request is committed. What cannot go now is left to the conductor, as nothing was published yet."""
        self._progress[vend_id] = progress
        self._publish(progress, Step.DISPENSE, command)

    def _forget(self, ended: set[UUID]) -> None:
        for vend_id in ended:
            del self._progress[vend_id]

    def _progress_of(self, row: sqlite3.Row) -> Progress:
        # What this process has requested itself has its progress since the commit; of the rest it cannot know.
        vend_id = UUID(row["vend_id"])
        if vend_id not in self._progress:
            self._progress[vend_id] = self._new_progress(row, published=True)
        return self._progress[vend_id]

    def _new_progress(self, row: sqlite3.Row, *, published: bool) -> Progress:
        device_id, number, now = UUID(row["device_id"]), (row["epoch"], row["seq"]), self._clock.monotonic()
        # Where no link is open the hello will judge: it ends whatever is still on its way to the device.
        lost = published and self._links.online(device_id) and _journal_lost(row)
        answer = Answer.LOST if lost else Answer.NONE
        return Progress(device_id, number, published=published, since=now, quiet_since=now, answer=answer)

    async def _take_step(self, row: sqlite3.Row, progress: Progress, owner: VendOwner) -> None:
        vend_id, now = UUID(row["vend_id"]), self._clock.monotonic()
        requested = Moment(UUID(row["requested_boot"]), row["requested_ms"])
        vend = OpenVend(
            cancelling=row["state"] == "cancelling",
            published=progress.published,
            answer=progress.answer,
            drop_seen=bool(row["drop_seen"]),
        )
        step = rules.next_step(
            vend,
            connected=self._links.online(UUID(row["device_id"])),
            overdue=self._clock.age(requested) >= rules.ANSWER_WITHIN_S,
            lapsed=progress.look(now),
        )
        if step in rules.ENDINGS:
            log.warning("vend_unanswered", vend_id=str(vend_id), outcome=rules.ENDINGS[step])
            await owner.end_unanswered(vend_id, rules.ENDINGS[step])
        elif step is Step.BEGIN_CANCEL:
            await owner.cancel_overdue(vend_id)
        elif step is not Step.WAIT and now - progress.sent_at >= rules.RESEND_S:
            self._publish(progress, step, self._signed(row, step))

    def _signed(self, row: sqlite3.Row, step: Step) -> SignedCommand | None:
        """The command as it goes over the device's link now; None where that is not open."""
        device_id = UUID(row["device_id"])
        nonce = self._links.nonce(device_id)
        if nonce is None:
            return None
        return self._links.sign(UUID(row["machine_id"]), device_id, _command(step, row, nonce))

    def _publish(self, progress: Progress, step: Step, command: SignedCommand | None) -> None:
        if command is None or not self._links.holds(progress.device_id, command):
            return
        # Before the publish: whoever is interrupted in it must believe that it went out.
        progress.sent_at = self._clock.monotonic()
        if step is Step.DISPENSE:
            progress.quote(self._links.nonce(progress.device_id), progress.sent_at)
        self._failpoints.hit(f"dispensing.{step.value}.before_publish")
        self._links.publish(command)
        self._failpoints.hit(f"dispensing.{step.value}.after_publish")


def _journal_lost(row: sqlite3.Row) -> bool:
    lost, highest = (row["lost_epoch"], row["lost_seq"]), (row["seen_epoch"], row["seen_seq"])
    return rules.is_lost((row["epoch"], row["seq"]), lost, highest)


def _command(step: Step, row: sqlite3.Row, nonce: str) -> Command:
    number = {"epoch": row["epoch"], "seq": row["seq"], "vend_id": UUID(row["vend_id"]), "mac": UNSIGNED}
    if step is Step.DISPENSE:
        return Dispense(**number, slot=row["slot"], nonce=nonce)
    return Cancel(**number) if step is Step.CANCEL else Query(**number)
