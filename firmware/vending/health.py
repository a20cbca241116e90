"""How the device is: looked at once a second, told with each heartbeat."""

import asyncio

from . import TYPE_CHECKING
from .journal import MAX_BYTES

if TYPE_CHECKING:
    from .clock import Clock
    from .hardware import Hardware
    from .journal import Journal

LOOK_S = 1


class Health:
    """What came and went between two heartbeats is in the next one: an open door, the most a motor drew.

    `climate` (climate.py) is shown the same temperatures; None where no zone has to stay cold.
    """

    def __init__(self, board: "Hardware", journal: "Journal", clock: "Clock", climate) -> None:
        self._board = board
        self._journal = journal
        self._clock = clock
        self._climate = climate
        self._reset_cause = board.reset_cause()
        self._celsius: dict = {}
        self._door_was_open = False
        self._peaks: dict = {}

    async def run(self) -> None:
        """For ever."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Door and temperatures as they are now."""
        self._celsius = self._board.temperatures()
        is_open = bool(self._board.door_is_open())
        self._door_was_open = self._door_was_open or is_open
        if self._climate is not None:
            self._climate.look(self._celsius, is_open or self._board.is_defrosting() is True)

    def note_current(self, slot: str, peak_ma: "int | None") -> None:
        """A motor has drawn so much at most; None where nothing measures it."""
        if peak_ma is not None:
            self._peaks[slot] = max(peak_ma, self._peaks.get(slot, 0))

    def take(self) -> dict:
        """The health fields of shared.devices.Heartbeat; what was latched begins anew."""
        told = self._board.health()
        told["uptime_s"] = self._clock.ms() // 1000
        told["reset_cause"] = self._reset_cause
        told["journal_bytes"] = self._journal.size
        told["journal_limit_bytes"] = MAX_BYTES
        told["centi_celsius"] = self._celsius
        is_open = self._board.door_is_open()
        told["door_open"] = None if is_open is None else is_open or self._door_was_open
        told["peak_ma"] = self._peaks
        told["clock"] = self._clock.quality()
        self._door_was_open = False
        self._peaks = {}
        return told
