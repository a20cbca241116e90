"""How long to wait after a failure: longer each time, with full jitter, so that gateways do not return in step."""

import random


class Backoff:
    """Waiting times in seconds: random between 0 and first, 2 × first, 4 × first … up to `limit`."""

    def __init__(self, first: float, limit: float, chance: random.Random) -> None:
        self._first = first
        self._limit = limit
        self._chance = chance
        self._ceiling = first

    def next(self, at_least: float = 0) -> float:
        """The next waiting time."""
        wait = self._chance.uniform(0, self._ceiling)
        self._ceiling = min(self._ceiling * 2, self._limit)
        return max(wait, at_least)

    def reset(self) -> None:
        """It worked: begin again with `first`."""
        self._ceiling = self._first
