"""What LED and buzzer tell to who stands at the machine: a pattern of eight steps a second."""

from . import const
from .lines import FULL
from .signals import CREDIT, FAULT, IDLE, LOCKED, OFFLINE, RELEASE, RELEASED, RESET, SETUP, VENDING

_STEP_MS = const(125)
STEPS = 8

_PATTERNS = {
    IDLE: (0b11111111, 0),
    VENDING: (0b10101010, 0),
    CREDIT: (0b11111111, 0b10000000),
    FAULT: (0b10100000, 0b10101000),
    LOCKED: (0b11110000, 0b11110000),
    OFFLINE: (0b10000000, 0),
    SETUP: (0b11001100, 0),
    RESET: (0b10101010, 0b11111111),
    RELEASE: (0b11101110, 0b10001000),
    RELEASED: (0b11111111, 0b10101010),
}
"""Kind → light, again and again, and sound, once; the highest bit comes first."""


class Panel:
    """Its lines come by constructor, None where there is none. `step` is the timer's: it makes no object."""

    def __init__(self, led, buzzer, timer) -> None:
        self._led = led
        self._buzzer = buzzer
        self._kind = ""
        self._light = 0
        self._sound = 0
        self._place = 0
        timer.init(period=_STEP_MS, mode=timer.PERIODIC, callback=self.step)

    def show(self, kind: str) -> None:
        """From now on; the same kind again does not start its sound again.

        A sound is heard to its end if the next kind has none: money may be counted faster than a beep takes.
        """
        if kind == self._kind:
            return
        self._kind = kind
        self._light, sound = _PATTERNS[kind]
        if sound:
            self._sound = sound
            self._place = 0

    def step(self, timer: object) -> None:
        bit = 0x80 >> (self._place % STEPS)
        if self._led is not None:
            self._led.write(FULL if self._light & bit else 0)
        if self._buzzer is not None:
            self._buzzer.write(FULL if self._place < STEPS and self._sound & bit else 0)
        # Past the first round the sound is over.
        self._place = self._place + 1 if self._place < 2 * STEPS - 1 else STEPS
