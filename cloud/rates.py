"""How often something may be done. Pure."""

import re
from dataclasses import dataclass

_TEXT = re.compile(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,5})")


@dataclass(frozen=True)
class Rate:
    """`capacity` times at once, and on average as often in `seconds`."""

    capacity: int
    seconds: int

    @property
    def per_s(self) -> float:
        """How many are allowed anew each second."""
        return self.capacity / self.seconds

    def __str__(self) -> str:
        return f"{self.capacity}/{self.seconds}"


def read_rate(text: object) -> Rate:
    """`600/60` as a rate. Raises ValueError."""
    if isinstance(text, Rate):
        return text
    found = _TEXT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("must be like 600/60: so many times in so many seconds")
    return Rate(int(found[1]), int(found[2]))
