"""The judge of the crash labs. Pure: what the ledger says against what really happened in the machines.

The four zeros of RELIABILITY R1 are sets of ids here, so that a failure names what it is about.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from firmware.simulator.world import Witness

TERMINAL = frozenset({"settled", "cancelled", "expired"})


@dataclass(frozen=True)
class VendSeen:
    """One vend as the gateway tells it. Money in minor units."""

    vend_id: str
    slot: str
    outcome: str | None
    price_minor: int


@dataclass(frozen=True)
class OrderSeen:
    """One order as the gateway tells it. Money in minor units."""

    order_id: str
    machine_id: str
    rail: str
    state: str
    total_minor: int
    given_back_minor: int
    vends: tuple[VendSeen, ...]

    @property
    def captured_minor(self) -> int:
        """What the customer has paid for."""
        return sum(vend.price_minor for vend in self.vends if vend.outcome == "dispensed")


@dataclass(frozen=True)
class Ledger:
    """What the gateway says: orders by id, cash credit by machine, units on hand by machine and slot."""

    orders: Mapping[str, OrderSeen]
    credit: Mapping[str, int]
    stock: Mapping[tuple[str, str], int]


@dataclass
class Verdict:
    """What must be empty, and what is only counted."""

    lost: set[str] = field(default_factory=set)
    """Acknowledged orders the ledger does not know."""
    doubled: set[str] = field(default_factory=set)
    """Vends whose motor started more than once."""
    unvended: set[str] = field(default_factory=set)
    """Vends that were charged and dropped nothing."""
    unresolved: set[str] = field(default_factory=set)
    """Orders without an end in time."""
    faults: set[str] = field(default_factory=set)
    """Every other thing that does not add up."""
    ambiguous: set[str] = field(default_factory=set)
    """Counted: nobody can know."""
    presents: set[str] = field(default_factory=set)
    """Counted: vends that dropped a product and were not charged."""

    @property
    def held(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong

    @property
    def wrong(self) -> set[str]:
        """Everything that should not be there."""
        return self.lost | self.doubled | self.unvended | self.unresolved | self.faults

    def add(self, other: "Verdict") -> None:
        """Take over what another verdict has found."""
        for name in ("lost", "doubled", "unvended", "unresolved", "faults", "ambiguous", "presents"):
            getattr(self, name).update(getattr(other, name))


def report(verdict: Verdict) -> str:
    """The table of the four zeros, and the ids behind what is not zero."""
    zeros = (
        ("acknowledged orders lost", verdict.lost),
        ("double vends", verdict.doubled),
        ("charged without a vend", verdict.unvended),
        ("unresolved 60 s after restart", verdict.unresolved),
        ("other faults", verdict.faults),
    )
    lines = [f"  {'FAIL' if found else 'ok  '} {what:<30} {len(found):>3}" for what, found in zeros]
    lines += [f"    {what}: {one}" for what, found in zeros for one in sorted(found)]
    lines.append(f"  ambiguous vends {len(verdict.ambiguous)}, drops that were not charged {len(verdict.presents)}")
    return "\n".join(lines)


def judge(
    acknowledged: Iterable[str], ledger: Ledger, worlds: Mapping[str, Witness], swallowed: Mapping[str, int]
) -> Verdict:
    """Compare, at a moment when nothing is under way. `worlds` by machine id.

    swallowed: by machine id, coins in minor units that fell into a device without power; they bought nothing.
    """
    verdict = Verdict(lost={order_id for order_id in acknowledged if order_id not in ledger.orders})
    for world in worlds.values():
        verdict.doubled |= {vend_id for vend_id, starts in world.motor_starts.items() if starts > 1}
    for order in ledger.orders.values():
        _judge_order(verdict, order, worlds[order.machine_id])
    for machine_id, world in worlds.items():
        _judge_cash(verdict, machine_id, ledger, world, swallowed.get(machine_id, 0))
        _judge_stock(verdict, machine_id, ledger, world)
    return verdict


def _judge_order(verdict: Verdict, order: OrderSeen, world: Witness) -> None:
    if order.state not in TERMINAL or any(vend.outcome is None for vend in order.vends):
        verdict.unresolved.add(order.order_id)
        return
    for vend in order.vends:
        dropped = world.drops[vend.vend_id] > 0
        if vend.outcome == "dispensed" and not dropped:
            verdict.unvended.add(vend.vend_id)
        if vend.outcome != "dispensed" and dropped:
            verdict.presents.add(vend.vend_id)
        if vend.outcome == "ambiguous":
            verdict.ambiguous.add(vend.vend_id)
    if order.state == "settled" and order.captured_minor + order.given_back_minor != order.total_minor:
        verdict.faults.add(f"order {order.order_id}: captured and given back are not what was paid")
    if order.state != "settled" and (order.captured_minor or order.given_back_minor):
        verdict.faults.add(f"order {order.order_id} was never paid, and yet money moved")


def _judge_cash(verdict: Verdict, machine_id: str, ledger: Ledger, world: Witness, swallowed: int) -> None:
    earned = sum(
        order.captured_minor
        for order in ledger.orders.values()
        if order.machine_id == machine_id and order.rail == "cash"
    )
    credit = ledger.credit.get(machine_id, 0)
    if world.coins_minor - swallowed != credit + earned:
        verdict.faults.add(
            f"machine {machine_id}: {world.coins_minor} inserted, {swallowed} swallowed, {credit} left, {earned} earned"
        )


def _judge_stock(verdict: Verdict, machine_id: str, ledger: Ledger, world: Witness) -> None:
    """The ledger may be above the coil by the drops nobody could know of, and by nothing else."""
    unknown: dict[str, int] = {}
    for order in ledger.orders.values():
        for vend in order.vends if order.machine_id == machine_id else ():
            if vend.outcome == "ambiguous" and world.drops[vend.vend_id]:
                unknown[vend.slot] = unknown.get(vend.slot, 0) + 1
    for slot, left in world.stock.items():
        on_hand = ledger.stock.get((machine_id, slot), 0)
        if not 0 <= on_hand - left <= unknown.get(slot, 0):
            verdict.faults.add(f"machine {machine_id}, slot {slot}: {on_hand} in the ledger, {left} in the coil")
