"""The gateway's time, told to its devices: at each connect and once an hour, as long as it is believed itself."""

import asyncio
from uuid import UUID

from edge.clock import Clock
from edge.links import LINKS_KEY, UNSIGNED, Links
from edge.watch import Watch
from shared.contract import ClockQuality
from shared.upkeep import SetTime

LOOK_S = 10.0
"""So soon is a clock that has just been set told on."""

REPEAT_S = 3600.0


class TimeSweep:
    """Looks when a device comes or goes, and every LOOK_S."""

    def __init__(self, links: Links, clock: Clock, watch: Watch, look_s: float = LOOK_S) -> None:
        self._links = links
        self._clock = clock
        self._watch = watch
        self._look_s = look_s
        self._told: dict[UUID, tuple[float | None, float]] = {}
        """Device → since when its link stands, and when it was told; monotonic seconds."""

    async def run(self) -> None:
        """Sweep for ever."""
        with self._watch.on(LINKS_KEY) as changed:
            while True:
                changed.clear()
                self.tell()
                try:
                    async with asyncio.timeout(self._look_s):
                        await changed.wait()
                except TimeoutError:
                    continue

    def tell(self) -> None:
        """Tell each device that has not heard it over its connection, or not for an hour. A lost one is not missed."""
        if self._clock.quality is not ClockQuality.SYNCED:
            return
        now = self._clock.monotonic()
        for machine_id, device_id, nonce in self._links.reachable():
            since = self._links.since(device_id)
            link, told_at = self._told.get(device_id, (None, 0.0))
            if link == since and now - told_at < REPEAT_S:
                continue
            self._told[device_id] = since, now
            seconds = int(self._clock.now().timestamp())
            self._links.send(machine_id, device_id, SetTime(now=seconds, nonce=nonce, mac=UNSIGNED))
