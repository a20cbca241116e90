"""Turn one motor by hand: for a person who stands before the open machine and knows its service PIN."""

import asyncio

from . import requests, rules, service_pin
from .log import alarm, log
from .motion import Motion

LOOK_S = 0.005


class _Nobody:
    """Hears what a motion would journal and report of a vend. A jog is none."""

    def note(self, record: tuple) -> None:
        """It is told when the jog is over."""

    def tell_drop(self, vend: rules.Vend) -> None:
        """As well."""


async def perform(parts, fields: dict) -> None:
    """The errand. The motor starts once at most for one request, whatever is repeated or cut off."""
    request_id = fields["request_id"]
    if requests.is_known(parts, request_id):
        return
    # The PIN last: whoever guesses PINs needs an open door for each.
    reason = _refusal(parts, fields["slot"]) or service_pin.refusal(parts, fields["pin"])
    evidence = None
    if reason is None:
        parts.errands.held += 1
        try:
            requests.begin(parts, request_id)
            evidence = await _turn(parts, fields["slot"], request_id, _Nobody())
        except OSError:
            # The board did not do as it was told: nobody knows whether the motor stands.
            alarm("jog_failed", request_id=request_id, slot=fields["slot"])
            make_safe_and_restart(parts.board)
            raise
        finally:
            parts.errands.held -= 1
    requests.end(parts, request_id, reason, evidence)


def make_safe_and_restart(board) -> None:
    """Every motor off, even if an expander is silent: its enable line goes first, and the boot does the rest."""
    try:
        board.make_safe()
    finally:
        board.restart()


def _refusal(parts, slot: str) -> "str | None":
    if slot not in parts.settings.slots:
        return "there is no such slot"
    is_open = parts.board.door_is_open()
    if not is_open:
        return "the door is shut" if is_open is False else "the door has no switch"
    return None if rules.running(parts.journal.state) is None else "a vend is open"


async def _turn(parts, slot: str, request_id: str, nobody) -> rules.Evidence:
    """One motion as of a vend, with its limits; a door that is shut ends it at once."""
    wired, board, clock = parts.settings.slots[slot], parts.board, parts.clock
    vend = rules.Vend(0, 0, request_id, slot, rules.STARTED, None, None)
    motion = Motion(vend, wired, board.home(slot), board, nobody, nobody)
    began = clock.ms()
    try:
        board.motor_on(slot, request_id)
        log("jog_started", request_id=request_id, slot=slot)
        while not motion.is_over(clock.ms() - began) and board.door_is_open():
            await asyncio.sleep(LOOK_S)
    finally:
        board.motor_off(slot)
    motor_ms = clock.ms() - began
    until = clock.ms() + wired.settle_ms
    while motion.drop is False and clock.ms() < until:
        await asyncio.sleep(LOOK_S)
        motion.look(clock.ms() - began)
    return motion.evidence(motor_ms)
