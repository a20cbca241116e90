"""What a device does with a command, as pure functions: journal in, records and answer out (DESIGN section 5).

The promise kept here: for one (epoch, seq) at most one motor start, whatever is lost, repeated, delayed or restarted.
Values are immutable tuples, so that a model checker can walk through every interleaving of the very same functions.

A record is a tuple; its first item is its kind:
  ("H", epoch, seq)                    the highest (epoch, seq) ever seen; opens a compacted journal
  ("A", epoch, seq, vend_id, slot)     accepted
  ("S", epoch, seq, home_before)       started; written before the motor's pin rises
  ("L", epoch, seq)                    the coil left home
  ("P", epoch, seq)                    a product was seen falling
  ("D", epoch, seq, result, drop, left_home, home_before, home_after, motor_ms)    done, or interrupted
  ("X", epoch, seq, vend_id, result)   tombstone: this seq will never start
  ("K", epoch, seq)                    the gateway has the outcome; forget the vend, keep the highest seq
  ("C", credit_id, amount)             a coin or note, in minor units
  ("KC", credit_id)                    the gateway has the credit
"""

from collections import namedtuple

ACCEPTED = "accepted"
STARTED = "started"
ENDED = "ended"
UNSEEN = "unseen"
FORGOTTEN = "forgotten"
REFUSED = "refused"

DONE = "done"
INTERRUPTED = "interrupted"
NOT_STARTED = "not_started"
CANCELLED = "cancelled"

STALE_NONCE = "stale_nonce"
UNKNOWN_SLOT = "unknown_slot"
ZONE_LOCKED = "zone_locked"
BUSY = "busy"
JOURNAL_FULL = "journal_full"

ACCEPT_MONEY = "accept_money"
REFUSE_MONEY = "refuse_money"

NONCE_LIFE_MS = 20_000
MAX_UNACKNOWLEDGED = 8
"""With this many vends unacknowledged no further one is accepted ..."""
MAX_RECORDED = 16
"""... and with this many not even a tombstone is written: a hello names at most 16."""
MAX_AT_ONCE = 4
"""So many motors turn at once at most, whatever the power supply bears."""

Evidence = namedtuple("Evidence", ("drop", "left_home", "home_before", "home_after", "motor_ms"))
"""What was seen of a motion; None is "no such sensor" or "not known"."""

Vend = namedtuple("Vend", ("epoch", "seq", "vend_id", "slot", "state", "result", "evidence"))
"""One unacknowledged vend. `state` is accepted, started or ended; `slot` is None on a tombstone for an unseen seq."""

Journal = namedtuple("Journal", ("highest", "vends", "credits"))
"""`highest` (epoch, seq), the unacknowledged vends oldest first, the unacknowledged (credit_id, amount)."""

Command = namedtuple("Command", ("type", "epoch", "seq", "vend_id", "slot", "nonce", "credit_id", "currency", "mac"))
"""A parsed command; fields it lacks are None."""

Facts = namedtuple("Facts", ("nonce_fresh", "slot_known", "room", "zone_locked", "fits"))
"""What a decision needs to know beside the journal; `zone_locked`: what lies in the slot was too warm (climate.py);
`fits`: the slot's motor may turn beside those that do (see `fits`)."""

Answer = namedtuple("Answer", ("epoch", "seq", "vend_id", "state", "reason"))
"""The answer to a command whose vend has no result yet."""

Decision = namedtuple("Decision", ("records", "answer", "start"))
"""`records` to write first, in order; then `answer`: an Answer, an ended Vend to report, or None; then start or not."""

EMPTY = Journal((0, 0), (), ())
NOTHING = Decision((), None, False)


def find(journal: Journal, epoch: int, seq: int) -> "Vend | None":
    """The unacknowledged vend of (epoch, seq)."""
    for vend in journal.vends:
        if vend.seq == seq and vend.epoch == epoch:
            return vend
    return None


def decide(journal: Journal, command: Command, facts: Facts) -> Decision:
    """What to do with an authentic command."""
    return _DECIDE[command.type](journal, command, facts)


def _dispense(journal: Journal, command: Command, facts: Facts) -> Decision:
    known = _what_is_known(journal, command)
    if known.state != UNSEEN:
        return Decision((), known, False)
    reason = _refusal(journal, facts)
    if reason is not None:
        return Decision((), _answer(command, REFUSED, reason), False)
    record = ("A", command.epoch, command.seq, command.vend_id, command.slot)
    return Decision((record,), _answer(command, ACCEPTED), True)


def turn_away(command: Command) -> Decision:
    """What a dispense gets while a person has the motors in hand; it leaves no trace."""
    return Decision((), _answer(command, REFUSED, BUSY), False)


def _refusal(journal: Journal, facts: Facts) -> "str | None":
    if not facts.nonce_fresh:
        return STALE_NONCE
    if not facts.slot_known:
        return UNKNOWN_SLOT
    if facts.zone_locked:
        return ZONE_LOCKED
    if not facts.fits:
        return BUSY
    if len(journal.vends) >= MAX_UNACKNOWLEDGED or not facts.room:
        return JOURNAL_FULL
    return None


def _cancel(journal: Journal, command: Command, facts: Facts) -> Decision:
    known = _what_is_known(journal, command)
    if known.state not in (UNSEEN, ACCEPTED):
        return Decision((), known, False)
    if not facts.room or (known.state == UNSEEN and len(journal.vends) >= MAX_RECORDED):
        return Decision((), _answer(command, REFUSED, JOURNAL_FULL), False)
    record = ("X", command.epoch, command.seq, command.vend_id, CANCELLED)
    return Decision((record,), find(apply(journal, record), command.epoch, command.seq), False)


def _query(journal: Journal, command: Command, facts: Facts) -> Decision:
    return Decision((), _what_is_known(journal, command), False)


def _acknowledge(journal: Journal, command: Command, facts: Facts) -> Decision:
    vend = find(journal, command.epoch, command.seq)
    if vend is None or vend.vend_id != command.vend_id or vend.state != ENDED:
        return NOTHING
    return Decision((("K", command.epoch, command.seq),), None, False)


def _acknowledge_credit(journal: Journal, command: Command, facts: Facts) -> Decision:
    if not any(credit[0] == command.credit_id for credit in journal.credits):
        return NOTHING
    return Decision((("KC", command.credit_id),), None, False)


_DECIDE = {
    "dispense": _dispense,
    "cancel": _cancel,
    "query": _query,
    "acknowledge": _acknowledge,
    "acknowledge_credit": _acknowledge_credit,
}


def _what_is_known(journal: Journal, command: Command) -> "Vend | Answer":
    """The ended vend, or the journal's word on one that has not ended.

    A seq that is taken by another vend id is `forgotten` for this one: it will never start.
    """
    vend = find(journal, command.epoch, command.seq)
    if vend is not None and vend.vend_id == command.vend_id:
        return vend if vend.state == ENDED else _answer(command, vend.state)
    return _answer(command, UNSEEN if (command.epoch, command.seq) > journal.highest else FORGOTTEN)


def _answer(command: Command, state: str, reason: "str | None" = None) -> Answer:
    return Answer(command.epoch, command.seq, command.vend_id, state, reason)


def running(journal: Journal) -> "Vend | None":
    """The oldest vend that is accepted or started; where one motor turns at a time, the only one."""
    for vend in journal.vends:
        if vend.state != ENDED:
            return vend
    return None


def waiting(journal: Journal) -> "Vend | None":
    """The oldest vend that is accepted and not yet started."""
    for vend in journal.vends:
        if vend.state == ACCEPTED:
            return vend
    return None


def fits(journal: Journal, slot: str, slots: dict, power_ma: "int | None") -> bool:
    """Whether the motor of `slot` may turn beside those of all vends that are accepted or started: beside none, always.

    Together they draw no more than `power_ma`, if it and the `draw_ma` of each are known. And past the drop sensor of
    a chute falls what one of them pushes, or nobody could say whose it was.
    """
    others = [slots[vend.slot] for vend in journal.vends if vend.state != ENDED]
    if not others:
        return True
    mine = slots[slot]
    draws = [mine.draw_ma] + [other.draw_ma for other in others]
    if power_ma is None or None in draws or len(draws) > MAX_AT_ONCE or sum(draws) > power_ma:
        return False
    return all(other.chute != mine.chute for other in others)


def begin(journal: Journal, epoch: int, seq: int, home_before: "bool | None") -> tuple:
    """The record that must be on flash before the motor starts; none if the vend is not to be started (any more)."""
    vend = find(journal, epoch, seq)
    if vend is None or vend.state != ACCEPTED:
        return ()
    return (("S", epoch, seq, home_before),)


def end(journal: Journal, epoch: int, seq: int, evidence: Evidence) -> tuple:
    """The record of a motion that ran to its end in this boot."""
    vend = find(journal, epoch, seq)
    if vend is None or vend.state != STARTED:
        return ()
    return (done(vend, DONE, evidence),)


def done(vend: Vend, result: str, evidence: Evidence) -> tuple:
    """The record of a motion's end."""
    return (
        "D",
        vend.epoch,
        vend.seq,
        result,
        evidence.drop,
        evidence.left_home,
        evidence.home_before,
        evidence.home_after,
        evidence.motor_ms,
    )


def apply(journal: Journal, record: tuple) -> Journal:
    """The journal after `record`. A record of a vend that is not there changes nothing but the highest seq."""
    return _APPLY[record[0]](journal, record)


def _highest(journal: Journal, record: tuple) -> Journal:
    return Journal(max(journal.highest, (record[1], record[2])), journal.vends, journal.credits)


def _accepted(journal: Journal, record: tuple) -> Journal:
    vend = Vend(record[1], record[2], record[3], record[4], ACCEPTED, None, None)
    return _highest(_with(journal, vend), record)


def _started(journal: Journal, record: tuple) -> Journal:
    return change(journal, record, STARTED, None, Evidence(None, None, record[3], None, None))


def _left_home(journal: Journal, record: tuple) -> Journal:
    return _observe(journal, record, None, True)


def _product_seen(journal: Journal, record: tuple) -> Journal:
    return _observe(journal, record, True, None)


def _observe(journal: Journal, record: tuple, drop: "bool | None", left_home: "bool | None") -> Journal:
    vend = find(journal, record[1], record[2])
    if vend is None or vend.state != STARTED:
        return journal
    seen = vend.evidence
    evidence = Evidence(drop or seen.drop, left_home or seen.left_home, seen.home_before, None, None)
    return change(journal, record, STARTED, None, evidence)


def _ended(journal: Journal, record: tuple) -> Journal:
    return change(journal, record, ENDED, record[3], Evidence(record[4], record[5], record[6], record[7], record[8]))


def _buried(journal: Journal, record: tuple) -> Journal:
    vend = find(journal, record[1], record[2])
    slot = None if vend is None else vend.slot
    tombstone = Vend(record[1], record[2], record[3], slot, ENDED, record[4], None)
    return _highest(_with(journal, tombstone), record)


def _forgotten(journal: Journal, record: tuple) -> Journal:
    vends = tuple([vend for vend in journal.vends if (vend.epoch, vend.seq) != (record[1], record[2])])
    return Journal(journal.highest, vends, journal.credits)


def _credited(journal: Journal, record: tuple) -> Journal:
    credit = ((record[1], record[2]),)
    return Journal(journal.highest, journal.vends, journal.credits + credit)


def _credit_forgotten(journal: Journal, record: tuple) -> Journal:
    credits = tuple([credit for credit in journal.credits if credit[0] != record[1]])
    return Journal(journal.highest, journal.vends, credits)


_APPLY = {
    "H": _highest,
    "A": _accepted,
    "S": _started,
    "L": _left_home,
    "P": _product_seen,
    "D": _ended,
    "X": _buried,
    "K": _forgotten,
    "C": _credited,
    "KC": _credit_forgotten,
}


def change(journal: Journal, record: tuple, state: str, result: "str | None", evidence: Evidence) -> Journal:
    """The journal with the vend of `record` in another state; the same without that vend."""
    vend = find(journal, record[1], record[2])
    if vend is None:
        return journal
    return _with(journal, Vend(vend.epoch, vend.seq, vend.vend_id, vend.slot, state, result, evidence))


def _with(journal: Journal, vend: Vend) -> Journal:
    """The journal with `vend` in the place of its (epoch, seq), or behind all others."""
    vends = list(journal.vends)
    for place in range(len(vends)):
        if vends[place].seq == vend.seq and vends[place].epoch == vend.epoch:
            vends[place] = vend
            return Journal(journal.highest, tuple(vends), journal.credits)
    vends.append(vend)
    return Journal(journal.highest, tuple(vends), journal.credits)


def snapshot(journal: Journal) -> tuple:
    """The fewest records that build `journal` again from EMPTY: what a compacted file holds."""
    records = [("H", journal.highest[0], journal.highest[1])]
    for vend in journal.vends:
        records.extend(_history(vend))
    records.extend([("C", credit[0], credit[1]) for credit in journal.credits])
    return tuple(records)


def _history(vend: Vend) -> list:
    records: list = []
    if vend.slot is not None:
        records.append(("A", vend.epoch, vend.seq, vend.vend_id, vend.slot))
    if vend.state == ENDED and vend.evidence is None:
        records.append(("X", vend.epoch, vend.seq, vend.vend_id, vend.result))
    elif vend.evidence is not None:
        records.append(("S", vend.epoch, vend.seq, vend.evidence.home_before))
        if vend.state == ENDED:
            records.append(done(vend, vend.result, vend.evidence))
        else:
            records.extend([(kind, vend.epoch, vend.seq) for kind, seen in _seen(vend.evidence) if seen])
    return records


def _seen(evidence: Evidence) -> tuple:
    return (("L", evidence.left_home), ("P", evidence.drop))


def renew_nonce(nonces: tuple, nonce: str, now_ms: int) -> tuple:
    """((current, made_ms), (previous, made_ms)) after a heartbeat. At a connect start from () instead."""
    current = ((nonce, now_ms),)
    return current + nonces[:1]


def nonce_is_fresh(nonces: tuple, nonce: "str | None", now_ms: int) -> bool:
    """Whether `nonce` is the current or the previous one and not older than 20 s."""
    return any(made[0] == nonce and now_ms - made[1] <= NONCE_LIFE_MS for made in nonces)
