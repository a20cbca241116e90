"""What keeps a machine from being drained, settled and equal on both sides. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class BlockerKind(StrEnum):
    """What a machine that shall leave still waits for."""

    STILL_SELLING = "still_selling"
    OPEN_ORDERS = "open_orders"
    OPEN_PAYMENTS = "open_payments"
    DEAD_LETTERS = "dead_letters"
    CONFLICTS = "conflicts"


@dataclass(frozen=True)
class Blocker:
    """One reason to wait, in words for people. `count`: how many there are of its kind."""

    kind: BlockerKind
    count: int
    told: str


@dataclass(frozen=True)
class SeenDrain:
    """What the ledger says of a machine, and of the gateways that ever stood at its site.

    has_stopped: in its present epoch the gateway has told that it sells nothing at the machine any more. As facts are
    taken in order, every order the machine ever took is then known here.
    """

    has_stopped: bool
    open_orders: int
    open_payments: int
    dead_letters: int
    conflicts: int


def blockers(seen: SeenDrain) -> tuple[Blocker, ...]:
    """Why the machine cannot go yet; empty once it is drained, settled and equal on both sides."""
    found = (
        Blocker(
            BlockerKind.STILL_SELLING,
            int(not seen.has_stopped),
            "The gateway has not told yet that it has stopped selling. It does once it reaches the cloud.",
        ),
        Blocker(
            BlockerKind.OPEN_ORDERS,
            seen.open_orders,
            f"Orders that have not ended: {seen.open_orders}. They end within minutes while the machine is on.",
        ),
        Blocker(
            BlockerKind.OPEN_PAYMENTS,
            seen.open_payments,
            f"Payments neither kept nor given back in full: {seen.open_payments}.",
        ),
        Blocker(
            BlockerKind.DEAD_LETTERS,
            seen.dead_letters,
            f"Records of the gateway that could not take effect: {seen.dead_letters}. They have to be tried again.",
        ),
        Blocker(
            BlockerKind.CONFLICTS,
            seen.conflicts,
            f"Times the gateway contradicted what it had told before: {seen.conflicts}. Its books and ours differ.",
        ),
    )
    return tuple(blocker for blocker in found if blocker.count)
