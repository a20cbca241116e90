"""Turns the motors. "Started" is on flash before a motor's pin rises, what is seen as soon as it is seen."""

import asyncio

from . import TYPE_CHECKING, const, rules
from .journal import JournalFailed
from .log import log
from .motion import Motion
from .settings import MAX_MOTION_MS
from .vigil import DISPENSER

if TYPE_CHECKING:
    from .clock import Clock
    from .hardware import Hardware
    from .health import Health
    from .journal import Journal
    from .reports import Reports
    from .vigil import Vigil

LOOK_S = 0.005
"""Between two looks at the sensors of a running motor."""
_REST_LOOK_S = const(0.05)


class Dispenser:
    """`wake` it when a vend has been accepted; it runs as often as motors may turn at once.

    `climate` (climate.py) is None where no zone has to stay cold.
    """

    def __init__(
        self,
        board: "Hardware",
        journal: "Journal",
        slots: dict,
        reports: "Reports",
        clock: "Clock",
        vigil: "Vigil",
        health: "Health",
        climate,
    ) -> None:
        self._board = board
        self._journal = journal
        self._slots = slots
        self._reports = reports
        self._clock = clock
        self._vigil = vigil
        self._health = health
        self._climate = climate
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        self._vigil.lives(DISPENSER)
        self._wanted.set()

    def refuses(self, slot: str) -> bool:
        """Whether nothing is sold from the slot: its zone is locked."""
        return self._climate is not None and self._climate.refuses(slot)

    async def run(self) -> None:
        """For ever, one vend after the other. Until "started" is on flash nothing else runs, to find the same."""
        while True:
            self._vigil.rests(DISPENSER)
            vend = rules.waiting(self._journal.state)
            if vend is None:
                await self._wanted.wait()
                self._wanted.clear()
                continue
            self._vigil.lives(vend.vend_id)
            await self._vend(vend)
            self._vigil.rests(vend.vend_id)
            self._reports.news()

    async def rest(self) -> None:
        """Return once no vend is accepted or started, or after the longest time that one may take."""
        until = self._clock.ms() + MAX_MOTION_MS
        while rules.running(self._journal.state) is not None and self._clock.ms() < until:
            await asyncio.sleep(_REST_LOOK_S)

    async def _vend(self, vend: rules.Vend) -> None:
        if self.refuses(vend.slot):
            self._journal.note(("X", vend.epoch, vend.seq, vend.vend_id, rules.NOT_STARTED))
            return
        home_before = self._board.home(vend.slot)
        for record in rules.begin(self._journal.state, vend.epoch, vend.seq, home_before):
            try:
                self._journal.append(record)
            except JournalFailed:
                # Late is worse than never: the gateway counts on an accepted vend to start at once.
                self._journal.note(("X", vend.epoch, vend.seq, vend.vend_id, rules.NOT_STARTED))
                return
            await self._turn(vend, home_before)

    async def _turn(self, vend: rules.Vend, home_before: "bool | None") -> None:
        slot = self._slots[vend.slot]
        motion = Motion(vend, slot, home_before, self._board, self._journal, self._reports)
        began = self._clock.ms()
        # Nothing may come between the record on flash and these lines, and nothing between them and `finally`.
        try:
            self._board.motor_on(vend.slot, vend.vend_id)
            self._reports.tell_started(vend)
            log("motor_started", vend_id=vend.vend_id, slot=vend.slot)
            while not motion.is_over(self._clock.ms() - began):
                await asyncio.sleep(LOOK_S)
        finally:
            self._board.motor_off(vend.slot)
        motor_ms = self._clock.ms() - began
        self._health.note_current(vend.slot, motion.peak_ma)
        await self._settle(motion, began, slot.settle_ms)
        evidence = motion.evidence(motor_ms)
        for record in rules.end(self._journal.state, vend.epoch, vend.seq, evidence):
            self._journal.note(record)
        log("vend_ended", vend_id=vend.vend_id, slot=vend.slot, drop=evidence.drop, motor_ms=motor_ms)

    async def _settle(self, motion: Motion, began: int, settle_ms: int) -> None:
        """A product may tumble a moment longer than the coil turns."""
        until = self._clock.ms() + settle_ms
        while motion.drop is False and self._clock.ms() < until:
            await asyncio.sleep(LOOK_S)
            motion.look(self._clock.ms() - began)
