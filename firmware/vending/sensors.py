"""Coins and stock: what happens at the machine without a command."""

import asyncio

from . import TYPE_CHECKING
from .journal import MAX_CREDITS
from .log import log
from .nonces import new_uuid
from .signals import CREDIT
from .vigil import SENSORS

if TYPE_CHECKING:
    from .hardware import Hardware
    from .journal import Journal
    from .reports import Reports
    from .till import Till
    from .vigil import Vigil

LOOK_S = 0.05


class Sensors:
    """Journals each coin and tells when a slot's own sensor changes its mind.

    `refuses` says of a slot that nothing is sold from it now: with all of them, no money is taken.
    """

    def __init__(
        self,
        board: "Hardware",
        journal: "Journal",
        slots: dict,
        reports: "Reports",
        till: "Till",
        vigil: "Vigil",
        refuses,
    ) -> None:
        self._board = board
        self._journal = journal
        self._slots = slots
        self._reports = reports
        self._till = till
        self._vigil = vigil
        self._refuses = refuses
        self._told: dict = {}
        self._connects = 0

    async def run(self) -> None:
        """For ever."""
        while True:
            self._vigil.lives(SENSORS)
            self._board.accept_money(self._till.is_open() and not all(self._refuses(slot) for slot in self._slots))
            self._take_money()
            self._look_at_stock()
            await asyncio.sleep(LOOK_S)

    def _take_money(self) -> None:
        # With too many credits unacknowledged the coins stay counted on the board until there is room.
        while len(self._journal.state.credits) < MAX_CREDITS:
            amount_minor = self._board.take_money()
            if not amount_minor:
                return
            credit_id = new_uuid()
            self._journal.note(("C", credit_id, amount_minor))
            log("credit_inserted", credit_id=credit_id, amount_minor=amount_minor)
            self._board.signal(CREDIT)
            self._reports.news()

    def _look_at_stock(self) -> None:
        if self._connects != self._reports.connects:
            self._connects = self._reports.connects
            self._told = {}
        for slot in self._slots:
            empty = self._board.is_empty(slot)
            if empty is not None and self._told.get(slot) != empty and self._reports.tell_stock(slot, empty):
                self._told[slot] = empty
