"""What a boot makes of the journal that it finds, as pure functions (rules.py); only then is this in RAM."""

from . import rules


def doubt(journal: rules.Journal) -> rules.Journal:
    """What `journal` still proves when records that came after it are damaged.

    What was accepted may have started since, and a coil that is not seen to leave home may have left it: so nothing is
    said of where it was before, and `recover` reports an interrupted motion of which only what was seen is known.
    """
    for vend in journal.vends:
        if vend.state != rules.ENDED:
            seen = vend.evidence or rules.Evidence(None, None, None, None, None)
            known = rules.Evidence(seen.drop, seen.left_home, None, None, None)
            journal = rules.change(journal, ("S", vend.epoch, vend.seq), rules.STARTED, None, known)
    return journal


def recover(journal: rules.Journal, homes: dict) -> tuple:
    """The records of a boot: what was accepted will never start, what was started was interrupted.

    `homes`: slot → home switch closed now, None without a switch. That no drop was journalled proves nothing (the
    product may have fallen in the dark), so `drop` is True or None; `left_home` False means "not up to the cut", and
    None that it is not known, as after a `doubt`.
    """
    records = []
    for vend in journal.vends:
        if vend.state == rules.ACCEPTED:
            records.append(("X", vend.epoch, vend.seq, vend.vend_id, rules.NOT_STARTED))
        elif vend.state == rules.STARTED:
            seen = vend.evidence
            left_home = seen.left_home if seen.home_before is None else bool(seen.left_home)
            evidence = rules.Evidence(seen.drop, left_home, seen.home_before, homes.get(vend.slot), None)
            records.append(rules.done(vend, rules.INTERRUPTED, evidence))
    return tuple(records)
