"""What a person at the machine sees of the device, and the one button inside it, which makes it forget its settings."""

import asyncio

from . import rules
from .borrowed import borrow, give_back
from .hardware import CREDIT, FAULT, IDLE, LOCKED, OFFLINE, RESET, VENDING

SHOWN_MS = 1_000
"""From here on the lamp shows what is coming, so that nobody holds on unawares."""
HELD_MS = 10_000
FAILED_MS = 5_000
"""So long the lamp says that a reset was not possible."""
LOOK_S = 0.1

UP = "up"
SHOWN = "shown"
HELD = "held"


class Hold:
    """What holding the button adds up to. One that is closed since boot, as by a short circuit, means nothing."""

    def __init__(self) -> None:
        self._was_up = False
        self._since_ms: "int | None" = None

    def look(self, pressed: bool, now_ms: int) -> str:
        """UP, SHOWN, or HELD: that only once, until it is pressed anew. To be asked at least each second."""
        if not pressed:
            self._was_up, self._since_ms = True, None
            return UP
        if not self._was_up:
            return UP
        if self._since_ms is None:
            self._since_ms = now_ms
        if now_ms - self._since_ms < HELD_MS:
            return SHOWN if now_ms - self._since_ms >= SHOWN_MS else UP
        self._was_up, self._since_ms = False, None
        return HELD


def kind(journal, refused: bool, is_locked: bool, is_online: bool) -> str:
    """What light and sound tell, the most urgent first; `refused`: the gateway does not let this device in."""
    state = journal.state
    if rules.running(state) is not None:
        return VENDING
    if journal.failed or refused:
        return FAULT
    if is_locked:
        return LOCKED
    if not is_online:
        return OFFLINE
    return CREDIT if state.credits else IDLE


class Front:
    """`parts` is what an errand gets (errands.py), `climate` None where nothing has to stay cold."""

    def __init__(self, parts, link, climate) -> None:
        self._parts = parts
        self._link = link
        self._climate = climate
        self._hold = Hold()
        self._failed_ms: "int | None" = None

    async def run(self) -> None:
        """For ever."""
        while True:
            board, now = self._parts.board, self._parts.clock.ms()
            state = self._hold.look(board.button_is_pressed(), now)
            board.signal(self._kind(now) if state == UP else RESET)
            if state == HELD:
                failed = await borrow("factory_reset").perform(self._parts)
                give_back("factory_reset", "restart")
                self._failed_ms = self._parts.clock.ms() if failed else None
            await asyncio.sleep(LOOK_S)

    def _kind(self, now: int) -> str:
        if self._failed_ms is not None and now - self._failed_ms < FAILED_MS:
            return FAULT
        is_locked = self._climate is not None and self._climate.is_locked()
        return kind(self._parts.journal, self._link.refused, is_locked, self._link.state == "online")
