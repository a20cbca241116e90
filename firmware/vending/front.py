"""What a person at the machine sees of the device, and the one button inside it.

Let go after three to seven seconds, it releases the zones that are locked, unless a switch says that the door is shut.
Held for ten seconds it makes the device forget its settings.
"""

import asyncio

from . import const, rules
from .borrowed import borrow, give_back
from .signals import CREDIT, FAULT, IDLE, LOCKED, OFFLINE, RELEASE, RELEASED, RESET, VENDING

_LET_GO_MS = const(3_000)
_THINK_BETTER_MS = const(7_000)
# From here on nothing happens to who lets go: it sounds again, and whoever meant no reset has time to hear that.
_HELD_MS = const(10_000)
_SPENT = const(-1)
# As `since`: the button must be let go before it counts. So it is at boot, lest a short circuit resets for ever.
_BLIND_MS = const(500)
"""What the button did between two looks that are further apart, nobody knows."""
_SHOWN_S = const(5)


def press(since: "int | None", pressed: bool, now_ms: int) -> "int | None":
    """Since when the button is held, None while it is not; `since` is what this said at the last look."""
    if not pressed:
        return None
    return now_ms if since is None else since


def is_held(since: "int | None", now_ms: int) -> bool:
    """Whether that is long enough to be meant."""
    return since is not None and since != _SPENT and now_ms - since >= _HELD_MS


def may_let_go(since: "int | None", now_ms: int) -> bool:
    """Whether to let go now is to release what is locked."""
    return since is not None and since != _SPENT and _LET_GO_MS <= now_ms - since < _THINK_BETTER_MS


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
        board, climate = self._parts.board, self.climate
        since = _SPENT
        looked_ms, offered = 0, False
        while True:
            now = self._parts.clock.ms()
            if now - looked_ms > _BLIND_MS:
                since = _SPENT
            looked_ms = now
            pressed = board.button_is_pressed()
            releases = climate is not None and may_let_go(since, now) and climate.offers_release(board)
            if climate is not None and releases and offered and not pressed:
                await self._show(RELEASED if climate.unlock_by_hand() else FAULT)
            # Only who has heard that letting go releases can have meant it.
            offered = releases
            since = press(since, pressed, now)
            if since in (None, _SPENT):
                board.signal(kind(self._parts.journal, self.link, climate))
            else:
                board.signal(RELEASE if releases else RESET)
            if is_held(since, now):
                since = _SPENT
                failed = await borrow("factory_reset").perform(self._parts)
                give_back("factory_reset", "restart", "requests", "exchange")
                if failed:
                    await self._show(FAULT)
            await asyncio.sleep(0.1)

    async def _show(self, signal: str) -> None:
        self._parts.board.signal(signal)
        await asyncio.sleep(_SHOWN_S)
