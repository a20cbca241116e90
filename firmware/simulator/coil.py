"""A spiral that pushes products off a shelf, one a turn."""

import random
from dataclasses import dataclass

from firmware.simulator.world import Witness, WorldLog

TURN_S = 1.5
TURNING_MA, STALLED_MA = 300, 1200


@dataclass(frozen=True)
class Habits:
    """How the machines of this world behave. `speed` 10 turns ten times as fast."""

    speed: float = 1.0
    drop_rate: float = 1.0
    """How likely a product falls at its turn."""
    jam_rate: float = 0.0
    """How likely a motor that starts does not get its coil to turn."""
    opening_stock: int = 10
    """Products in each coil when the world begins."""
    seed: int = 1


# Where in a turn the coil is: at home, past the home switch, past the point where a product falls.
AT_HOME, UNDER_WAY, PAST_DROP = 0, 1, 2
_SHARE_OF_TURN = {AT_HOME: 0.1, UNDER_WAY: 0.7, PAST_DROP: 0.2}
_PLACE_AFTER = {"left_home": UNDER_WAY, "drop": PAST_DROP, "no_drop": PAST_DROP, "home": AT_HOME}


class Coil:
    """One coil with its motor, home switch and products.

    Time passes for it only when somebody looks, and at most one thing happens a look: a slow PC sees the same story.
    """

    def __init__(self, slot: str, log: WorldLog, habits: Habits, chance: random.Random) -> None:
        self._slot = slot
        self._log = log
        self._habits = habits
        self._chance = chance
        self._label: str | None = None
        self._since = 0.0
        self._slips = False
        self._place = AT_HOME
        self.stock = 0
        self.jammed = False
        self.drops = 0

    def resume(self, before: Witness) -> None:
        """Be as this coil was when the power went."""
        self._place = _PLACE_AFTER[before.coil.get(self._slot, "home")]
        self.stock = before.stock.get(self._slot, 0)
        self.jammed = self._slot in before.jammed

    def start(self, label: str, now: float) -> None:
        """Motor on, for the vend `label`."""
        self._log.write("motor_start", self._slot, label)
        self._label = label
        self._since = now
        self._slips = self._chance.random() < self._habits.jam_rate

    def stop(self) -> None:
        """Motor off."""
        if self._label is not None:
            self._log.write("motor_stop", self._slot, self._label)
        self._label = None

    def current_ma(self) -> int:
        """What the motor draws: nothing, a turning or a stalled motor's."""
        if self._label is None:
            return 0
        return STALLED_MA if self.jammed or self._slips else TURNING_MA

    def is_home(self, now: float) -> bool:
        """Whether the home switch is closed."""
        self.look(now)
        return self._place == AT_HOME

    def appearance(self, now: float) -> dict[str, object]:
        """What a person sees of it; looking changes nothing. `turned`: the share of its turn, from home on."""
        moves = not (self.jammed or self._slips)
        turned = sum(share for place, share in _SHARE_OF_TURN.items() if place < self._place)
        if self._label is not None and moves:
            turned += min(_SHARE_OF_TURN[self._place], (now - self._since) * self._habits.speed / TURN_S)
        return {
            "stock": self.stock,
            "motor": "off" if self._label is None else "turning" if moves else "stuck",
            "turned": round(turned, 3),
            "home": self._place == AT_HOME,
            "jammed": self.jammed,
        }

    def look(self, now: float) -> None:
        """Let the next thing happen if its time has come."""
        due = self._since + _SHARE_OF_TURN[self._place] * TURN_S / self._habits.speed
        if self._label is None or self.jammed or self._slips or now < due:
            return
        self._since = now
        event = self._next_event()
        self._place = _PLACE_AFTER[event]
        self._log.write(event, self._slot, self._label)

    def _next_event(self) -> str:
        if self._place == AT_HOME:
            return "left_home"
        if self._place == PAST_DROP:
            return "home"
        if self.stock == 0 or self._chance.random() >= self._habits.drop_rate:
            return "no_drop"
        self.stock -= 1
        self.drops += 1
        return "drop"
