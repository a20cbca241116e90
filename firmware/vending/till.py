"""Whether the machine takes coins and notes: only while somebody is there to count them."""

from . import TYPE_CHECKING
from .journal import MAX_CREDITS
from .log import warn

if TYPE_CHECKING:
    from .clock import Clock
    from .journal import Journal

LEASE_MS = 25_000
"""The gateway allows it anew every 10 s; one that is away, or wants no money, says nothing (shared/devices.py)."""


class Till:
    """Shut from boot on. What is inserted in spite of that is counted all the same."""

    def __init__(self, clock: "Clock", journal: "Journal", currency: str) -> None:
        self._clock = clock
        self._journal = journal
        self._currency = currency
        self._allowed_at_ms: "int | None" = None
        self._is_foreign = False

    def allow(self, currency: str) -> None:
        """The gateway wants money of this currency, from now on for LEASE_MS. Another one it would not count."""
        if currency == self._currency:
            self._allowed_at_ms = self._clock.ms()
        elif not self._is_foreign:
            self.refuse()
            warn("currency_differs", machine=currency, device=self._currency)
        self._is_foreign = currency != self._currency

    def refuse(self) -> None:
        """It does not any more, or the link to it is gone."""
        self._allowed_at_ms = None

    def is_open(self) -> bool:
        """Whether the acceptors may take what is offered: a credit must find room in the journal too."""
        if self._allowed_at_ms is None or self._clock.ms() - self._allowed_at_ms > LEASE_MS:
            return False
        return not self._journal.failed and len(self._journal.state.credits) < MAX_CREDITS
