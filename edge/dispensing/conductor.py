"""The conductor: carries every open vend to its end, from its first publish on, one step at a time."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from uuid import UUID

import structlog

from edge.clock import Clock, Moment
from edge.database import Database
from edge.dispensing import rules, store
from edge.dispensing.rules import Answer, CancelReason, Number, OpenVend, Step
from edge.failpoints import Failpoints
from edge.links import LINKS_KEY, UNSIGNED, Links, SignedCommand
from edge.watch import Watch
from shared.commands import Command
from shared.devices import Cancel, Dispense, Query
from shared.orders import VendOutcome

IDLE_S = 60.0
"""How long the conductor sleeps when nothing is open and nobody wakes it."""

HEARING_S = 1.0
"""What devices said while the ledger let nobody in, for a backup or on a bad card, is heard so soon afterwards; and
who was not looked at for so long may have said something."""

OPEN_VENDS_KEY = "open_vends"
"""Touched when an open vend may take a step (watch.py)."""

log = structlog.get_logger()


class VendOwner(Protocol):
    """Who is told of what becomes of vends when the device itself does not tell (the orders feature)."""

    async def begin_cancel(self, vend_id: UUID, reason: CancelReason) -> None:
        """The device has not answered in time, or will never accept it: commit the wish to cancel."""

    async def end_unanswered(self, vend_id: UUID, outcome: VendOutcome) -> None:
        """No report will settle this vend any more: commit this outcome."""


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
    put_off_at: float = float("-inf")
    """When its device said last that it has to be at another vend first."""
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


class Conductor:
    """Knows the progress of every open vend."""

    def __init__(self, database: Database, links: Links, clock: Clock, watch: Watch, failpoints: Failpoints) -> None:
        self._database = database
        self._links = links
        self._clock = clock
        self._watch = watch
        self._failpoints = failpoints
        self._progress: dict[UUID, Progress] = {}

    async def run(self, owner: VendOwner) -> None:
        """For ever: carry every open vend one step further, sleep until something happens."""
        with self._watch.on(LINKS_KEY, OPEN_VENDS_KEY) as changed:
            while True:
                changed.clear()
                known = set(self._progress)
                rows = await self._database.read(store.open_dispenses)
                self._forget(known - {UUID(row["vend_id"]) for row in rows})
                for row in rows:
                    await self._take_step(row, self.progress_of(row), owner)
                try:
                    async with asyncio.timeout(rules.RESEND_S / 4 if rows else IDLE_S):
                        await changed.wait()
                except TimeoutError:
                    continue

    def progress(self, vend_id: UUID) -> Progress | None:
        """How far an open vend is; None if it is not known here."""
        return self._progress.get(vend_id)

    def answer_to(self, vend_id: UUID) -> Answer:
        """What the device has said of an open vend last, in the lifetime of this process."""
        progress = self._progress.get(vend_id)
        return Answer.NONE if progress is None else progress.answer

    def told_by(self, device_id: UUID) -> Number:
        """The highest number of which the device has said that it is at it. Until it reports, no ledger holds that."""
        running = (one for one in self._progress.values() if one.answer is Answer.RUNNING)
        return max((one.number for one in running if one.device_id == device_id), default=(0, 0))

    def is_at_another(self, device_id: UUID, vend_id: UUID) -> bool:
        """Whether the device has said that it is at another vend than this one."""
        others = (one for known, one in self._progress.items() if known != vend_id)
        return any(one.device_id == device_id and one.answer is Answer.RUNNING for one in others)

    def take_up(self, row: sqlite3.Row) -> None:
        """The device of this open vend was met: the vend is taken up at once, or given up if its journal is lost."""
        progress = self.progress_of(row)
        progress.sent_at = float("-inf")
        if progress.published and _journal_lost(row):
            progress.answer = Answer.LOST

    def prepare(self, row: sqlite3.Row) -> Callable[[], None]:
        """Make the dispense of a vend ready to go; what is returned lets it go, once its request is committed."""
        progress = self._new_progress(row, published=False)
        return partial(self._begin, UUID(row["vend_id"]), progress, self._signed(row, Step.DISPENSE))

    def _begin(self, vend_id: UUID, progress: Progress, command: SignedCommand | None) -> None:
        """What cannot go now is left to the next step, as nothing was published yet."""
        self._progress[vend_id] = progress
        progress.since = progress.quiet_since = self._clock.monotonic()
        self._publish(progress, Step.DISPENSE, command)

    def _forget(self, ended: set[UUID]) -> None:
        for vend_id in ended:
            device_id = self._progress.pop(vend_id).device_id
            for waiting in self._progress.values():
                if waiting.device_id == device_id and waiting.answer is Answer.NONE:
                    # Perhaps it was this one that it had to wait for.
                    waiting.sent_at = float("-inf")

    def progress_of(self, row: sqlite3.Row) -> Progress:
        """How far an open vend of the ledger is."""
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
            overdue=rules.is_overdue(self._clock.age(requested), now - progress.put_off_at, now - progress.since),
            lapsed=progress.look(now),
        )
        if step in rules.ENDINGS:
            log.warning("vend_unanswered", vend_id=str(vend_id), outcome=rules.ENDINGS[step])
            await owner.end_unanswered(vend_id, rules.ENDINGS[step])
        elif step is Step.BEGIN_CANCEL:
            await owner.begin_cancel(vend_id, "refused" if progress.answer is Answer.DECLINED else "deadline")
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
