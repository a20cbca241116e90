"""The hardware watchdog is fed only while link, sensors and dispenser show that they live."""

import asyncio

from . import TYPE_CHECKING
from .log import alarm, log

if TYPE_CHECKING:
    from .clock import Clock
    from .hardware import Hardware

LOOK_S = 1
DISPENSER = "dispenser"
SENSORS = "sensors"
LINK = "link"
LIMITS_MS = {DISPENSER: 60_000, SENSORS: 10_000, LINK: 120_000}
"""So long a part may be silent: a vend, a look at the sensors, a whole try to find Wi-Fi and gateway take less.

A gateway that is away makes nobody silent: the link goes on trying, and the board is never restarted for it.
"""


class Vigil:
    """A part that hangs takes the board to its next boot within its limit and the watchdog's own time.

    A part is the link, the sensors, a dispenser that was woken, or a vend that it is at, by its id.
    """

    def __init__(self, board: "Hardware", clock: "Clock") -> None:
        self._board = board
        self._clock = clock
        now = clock.ms()
        self._heard_ms = {SENSORS: now, LINK: now}

    def lives(self, part: str) -> None:
        """From now on the part is expected to say so again within its limit."""
        self._heard_ms[part] = self._clock.ms()

    def rests(self, part: str) -> None:
        """Nothing is expected of the part until it says that it lives."""
        self._heard_ms.pop(part, None)

    def expected(self) -> dict:
        """The parts that have to show themselves, and when they last did."""
        return dict(self._heard_ms)

    def silent(self) -> list:
        """The parts that have not shown themselves in time."""
        now = self._clock.ms()
        heard = self._heard_ms
        return sorted([part for part in heard if now - heard[part] > LIMITS_MS.get(part, LIMITS_MS[DISPENSER])])

    async def run(self) -> None:
        """For ever. Also a program that blocks as a whole feeds nothing."""
        told: list = []
        while True:
            silent = self.silent()
            if not silent:
                self._board.feed_watchdog()
            if silent != told:
                (alarm if silent else log)("parts_silent", parts=silent)
                told = silent
            await asyncio.sleep(LOOK_S)
