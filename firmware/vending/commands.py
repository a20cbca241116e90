"""What an authentic command does: rules.py decides, here the journal is written before anything follows from it."""

from . import TYPE_CHECKING, rules
from .journal import JournalFailed
from .log import log

if TYPE_CHECKING:
    from .dispenser import Dispenser
    from .errands import Errands
    from .journal import Journal
    from .nonces import Nonces
    from .till import Till


class Commands:
    """The one place where a command meets the journal."""

    def __init__(
        self,
        journal: "Journal",
        slots: dict,
        power_ma: "int | None",
        nonces: "Nonces",
        dispenser: "Dispenser",
        till: "Till",
        errands: "Errands",
    ) -> None:
        self._journal = journal
        self._till = till
        self._errands = errands
        self._slots = slots
        self._power_ma = power_ma
        self._nonces = nonces
        self._dispenser = dispenser

    def handle(self, command: rules.Command) -> "rules.Answer | rules.Vend | None":
        """Do it; the answer to send, if it gets one."""
        if command.type == rules.REFUSE_MONEY:
            self._till.refuse()
            return None
        if command.type == rules.ACCEPT_MONEY:
            # Before a restart the till stays shut: a coin on its way must be counted first.
            if self._nonces.is_fresh(command.nonce) and not self._errands.held:
                self._till.allow(command.currency)
            return None
        decision = rules.decide(self._journal.state, command, self._facts(command))
        if decision.start and self._errands.held:
            decision = rules.turn_away(command)
        try:
            self._write(decision.records)
        except JournalFailed:
            return rules.Answer(command.epoch, command.seq, command.vend_id, rules.REFUSED, rules.JOURNAL_FULL)
        self._log(command, decision.answer)
        if decision.start:
            self._dispenser.wake()
        return decision.answer

    def _facts(self, command: rules.Command) -> rules.Facts:
        slot, journal = command.slot, self._journal
        known = slot in self._slots
        fits = known and rules.fits(journal.state, slot, self._slots, self._power_ma)
        is_fresh, is_locked = self._nonces.is_fresh(command.nonce), self._dispenser.refuses(slot)
        return rules.Facts(is_fresh, known, journal.room(), is_locked, fits)

    def link_lost(self) -> None:
        """Nobody is there to count money."""
        self._till.refuse()

    def _write(self, records: tuple) -> None:
        for record in records:
            if record[0] in ("K", "KC"):
                self._journal.note(record)
            else:
                self._journal.append(record)

    def _log(self, command: rules.Command, told: "rules.Answer | rules.Vend | None") -> None:
        if command.credit_id is not None:
            log("credit_acknowledged", credit_id=command.credit_id)
            return
        state = None if told is None else told.state
        reason = getattr(told, "reason", None)
        vend_id, seq = command.vend_id, command.seq
        log(command.type + "_received", vend_id=vend_id, epoch=command.epoch, seq=seq, state=state, reason=reason)
