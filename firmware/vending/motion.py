"""One motion of a coil as its sensors tell it, and when it has to end."""

from . import TYPE_CHECKING, const, rules
from .log import warn

if TYPE_CHECKING:
    from .hardware import Hardware
    from .journal import Journal
    from .reports import Reports
    from .settings import Slot

_BOUNCE_MS = const(60)
"""A switch that has been open for so long does not bounce; of a fast coil's turn it is an eighth at most."""
INRUSH_MS = 200
"""So long a motor may draw what it likes: it has to get its coil moving."""
STALL_MS = 100
"""A current that is too high for so long is a jam and no spike."""


class Motion:
    """From the motor's one start on. Times are since the start.

    `drop`, `left_home`: None without the sensor; `drop` also if its beam was blocked before anything could fall.
    `peak_ma`: the most it has drawn so far; None if nothing measures it.
    """

    def __init__(
        self,
        vend: rules.Vend,
        slot: "Slot",
        home: "bool | None",
        board: "Hardware",
        journal: "Journal",
        reports: "Reports",
    ) -> None:
        self._vend = vend
        self._slot = slot
        self._board = board
        self._journal = journal
        self._reports = reports
        self._home_before = home
        self._home = home
        self._drops_before = board.drops(vend.slot)
        self.drop = None if self._drops_before is None or self._sees_nothing() else False
        self.left_home = None if home is None else False
        self._least_away_ms = min(_BOUNCE_MS, slot.turn_ms // (8 * slot.home_edges))
        self._opened_ms: "int | None" = None
        self._is_away = False
        self._closings = 0
        self._extra_since_ms: "int | None" = None
        self._dropped_ms: "int | None" = None
        self._stalled_since_ms: "int | None" = None
        self._current_ma: "int | None" = None
        self.peak_ma: "int | None" = None

    def _sees_nothing(self) -> bool:
        """Whether what falls cannot be seen: then nobody may say that nothing fell."""
        if not self._board.beam_is_blocked(self._vend.slot):
            return False
        warn("drop_beam_blocked", vend_id=self._vend.vend_id, slot=self._vend.slot)
        return True

    def look(self, motor_ms: int) -> None:
        """Read the sensors; journal what is seen for the first time."""
        self._look_home(motor_ms)
        self._look_at_current()
        if self.drop is False and self._board.drops(self._vend.slot) != self._drops_before:
            self.drop = True
            self._journal.note(("P", self._vend.epoch, self._vend.seq))
            self._reports.tell_drop(self._vend)

    def _look_at_current(self) -> None:
        self._current_ma = self._board.current_ma(self._vend.slot)
        if self._current_ma is not None:
            self.peak_ma = max(self._current_ma, self.peak_ma or 0)

    def _look_home(self, motor_ms: int) -> None:
        """A switch bounces: the coil has left home once it was away for a while, and only then can it come back."""
        home = self._board.home(self._vend.slot)
        if self._home and home is False:
            self._opened_ms = motor_ms
        if home is False and self._opened_ms is not None and motor_ms - self._opened_ms >= self._least_away_ms:
            self._is_away = True
            if not self.left_home:
                self.left_home = True
                self._journal.note(("L", self._vend.epoch, self._vend.seq))
        if home and self._is_away:
            self._is_away = False
            self._closings += 1
        self._home = home

    def is_over(self, motor_ms: int) -> bool:
        """Whether the motor has to stop: its turn is done, it is jammed, or its time is over."""
        self.look(motor_ms)
        if self.drop and self._dropped_ms is None:
            self._dropped_ms = motor_ms
        if motor_ms >= self._slot.max_ms or self._is_jammed(motor_ms) or self._goes_too_far(motor_ms):
            return True
        return self._turn_is_done(motor_ms) and not self._takes_another(motor_ms)

    def evidence(self, motor_ms: int) -> rules.Evidence:
        drop = None if self.drop is False and self._sees_nothing() else self.drop
        return rules.Evidence(drop, self.left_home, self._home_before, self._home, motor_ms)

    def _turn_is_done(self, motor_ms: int) -> bool:
        if self._home is None:
            return motor_ms - (self._extra_since_ms or 0) >= self._slot.turn_ms
        return self._home and (self._closings >= self._slot.home_edges or self._finished_an_old_turn())

    def _takes_another(self, motor_ms: int) -> bool:
        """A turn that dropped nothing may be followed by one more, without a stop: a motor starts once for a vend."""
        if not self._slot.extra_turn or self.drop is not False or self._extra_since_ms is not None:
            return False
        self._extra_since_ms = motor_ms
        self._closings = 0
        warn("extra_turn", vend_id=self._vend.vend_id, slot=self._vend.slot)
        return True

    def _goes_too_far(self, motor_ms: int) -> bool:
        """Whether a second product may be near. Nothing is before the first has fallen.

        Home comes within half a turn then; if it does not show, its switch is broken. And what falls as an extra turn
        begins was still tumbling from the turn before.
        """
        if self._dropped_ms is None:
            return False
        if self._extra_since_ms is not None and self._dropped_ms - self._extra_since_ms <= self._slot.settle_ms:
            return True
        return motor_ms - self._dropped_ms > self._slot.turn_ms // 2

    def _is_jammed(self, motor_ms: int) -> bool:
        """Whether the motor has drawn too much for too long."""
        if self._slot.jam_ma is None or motor_ms < max(INRUSH_MS, self._slot.soft_start_ms):
            return False
        current_ma = self._current_ma
        if current_ma is None or current_ma < self._slot.jam_ma:
            self._stalled_since_ms = None
            return False
        if self._stalled_since_ms is None:
            self._stalled_since_ms = motor_ms
        if motor_ms - self._stalled_since_ms < STALL_MS:
            return False
        warn("motor_jammed", vend_id=self._vend.vend_id, slot=self._vend.slot, current_ma=current_ma)
        return True

    def _finished_an_old_turn(self) -> bool:
        """A coil left in mid-turn by a power cut may have dropped its product back then; if so, it turns once more."""
        return self._home_before is False and not self.left_home and self.drop is not False
