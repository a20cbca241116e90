"""What a person at the machine sees of the device, and the one button inside it, which makes it forget its settings."""

import asyncio

from . import const, rules
from .borrowed import borrow, give_back
from .signals import CREDIT, FAULT, IDLE, LOCKED, OFFLINE, RESET, VENDING

_HELD_MS = const(10_000)
_SPENT = const(-1)
# As `since`: the button must be let go before it counts. So it is at boot, lest a short circuit resets for ever.
_FAILED_S = const(5)


def press(since: "int | None", pressed: bool, now_ms: int) -> "int | None":
    """Since when the button is held, None while it is not; `since` is what this said at the last look."""
    if not pressed:
        return None
    return now_ms if since is None else since


def is_held(since: "int | None", now_ms: int) -> bool:
    """Whether that is long enough to be meant."""
    return since is not None and since != _SPENT and now_ms - since >= _HELD_MS


def kind(journal, link, climate) -> str:
    """What light and sound tell, the most urgent first; `climate` is None where nothing has to stay cold."""
    if rules.running(journal.state) is not None:
        return VENDING
    if journal.failed or link.refused:
        return FAULT
    if climate is not None and climate.is_locked():
        return LOCKED
    if link.state != "online":
        return OFFLINE
    return CREDIT if journal.state.credits else IDLE


class Front:
    """`parts` is what an errand gets (errands.py)."""

    def __init__(self, parts, link, climate) -> None:
        self._parts = parts
        self.link = link
        self.climate = climate

    async def run(self) -> None:
        """For ever."""
        board = self._parts.board
        since = _SPENT
        while True:
            now = self._parts.clock.ms()
            since = press(since, board.button_is_pressed(), now)
            told = kind(self._parts.journal, self.link, self.climate)
            board.signal(told if since in (None, _SPENT) else RESET)
            if is_held(since, now):
                since = _SPENT
                failed = await borrow("factory_reset").perform(self._parts)
                give_back("factory_reset", "restart", "requests", "exchange")
                if failed:
                    board.signal(FAULT)
                    await asyncio.sleep(_FAILED_S)
            await asyncio.sleep(0.1)
