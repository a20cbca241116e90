"""Which checks new machines have to pass, and which they have, by what gateway and devices have told. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import chain, count
from uuid import UUID

from shared.contract import ClockQuality, Rail, SlotCode
from shared.devices import Evidence
from shared.upkeep import RequestState

WEAK_DBM = -75
"""Below it a device's link breaks too often to sell (Wi-Fi at 2.4 GHz)."""


class CheckKind(StrEnum):
    """What is checked."""

    GATEWAY_CLAIMED = "gateway_claimed"
    GATEWAY_TIME = "gateway_time"
    SYNC_EQUAL = "sync_equal"
    DEVICE_CLAIMED = "device_claimed"
    DEVICE_LINK = "device_link"
    TEST_VEND = "test_vend"
    CASH = "cash"


class CheckState(StrEnum):
    """Of a check."""

    WAITING = "waiting"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One check, and what was seen. `name` is unique: `test_vend Snacks A1`."""

    kind: CheckKind
    machine_id: UUID | None
    """None: of the whole site."""
    name: str
    state: CheckState
    told: str
    at: datetime | None


@dataclass(frozen=True)
class SeenGateway:
    """What there is of the gateway. `clock` is that of its newest fact; `acknowledged_at`: when it came."""

    claimed_at: datetime | None
    clock: ClockQuality | None
    acknowledged_at: datetime | None
    dead_letters: int
    conflicts: int


@dataclass(frozen=True)
class SeenDevice:
    """What there is of a device."""

    name: str
    claimed_at: datetime | None
    online: bool
    rssi_dbm: int | None
    changed_at: datetime | None


@dataclass(frozen=True)
class SeenTurn:
    """The newest motion of a slot: a test that was asked for, or a product that was sold, as its gateway has judged."""

    state: RequestState
    reason: str | None
    evidence: Evidence | None
    at: datetime
    sold: bool = False


@dataclass(frozen=True)
class SeenMachine:
    """What there is of a machine."""

    machine_id: UUID
    name: str
    rail: Rail
    devices: Sequence[SeenDevice]
    turns: dict[SlotCode, SeenTurn | None]
    """Of every slot that it shall have."""
    credit_at: datetime | None
    """When the first coin or note was counted."""


def findings(gateway: SeenGateway, machines: Sequence[SeenMachine]) -> list[Finding]:
    """All checks of a setup, in the order in which they are made on site."""
    found = [*_of_gateway(gateway), *(one for machine in machines for one in _of_machine(machine)), _sync(gateway)]
    return _told_apart(found)


def _told_apart(found: Sequence[Finding]) -> list[Finding]:
    """With a number after the names of those that would be called as one before: a board `1 2` of a machine `Snacks`,
    and a board `2` of a machine `Snacks 1`. Whoever answers for the one does not answer for the other."""
    names: dict[str, Finding] = {}
    for one in found:
        numbered = (f"{one.name} ({number})" for number in count(2))
        name = next(name for name in chain([one.name], numbered) if name not in names)
        names[name] = replace(one, name=name)
    return list(names.values())


def _of_gateway(seen: SeenGateway) -> Iterator[Finding]:
    state, told = CheckState.WAITING, "It has not come in yet."
    if seen.claimed_at is not None:
        state, told = CheckState.PASSED, "It has come in."
    yield Finding(CheckKind.GATEWAY_CLAIMED, None, "gateway_claimed", state, told, seen.claimed_at)
    state, told = CheckState.WAITING, "It has told nothing yet."
    if seen.clock is not None:
        synced = seen.clock is ClockQuality.SYNCED
        state = CheckState.PASSED if synced else CheckState.FAILED
        told = "Its clock is right." if synced else "Its clock is not set by the cloud's yet."
    yield Finding(CheckKind.GATEWAY_TIME, None, "gateway_time", state, told, seen.acknowledged_at)


def _sync(seen: SeenGateway) -> Finding:
    state, told = CheckState.WAITING, "No fact of it has arrived yet."
    if seen.dead_letters or seen.conflicts:
        state = CheckState.FAILED
        told = f"{seen.dead_letters} facts could not take effect, {seen.conflicts} contradict earlier ones."
    elif seen.acknowledged_at is not None:
        state, told = CheckState.PASSED, "All facts that have arrived took effect: both sides are equal up to there."
    return Finding(CheckKind.SYNC_EQUAL, None, "sync_equal", state, told, seen.acknowledged_at)


def _of_machine(machine: SeenMachine) -> Iterator[Finding]:
    for device in machine.devices:
        yield from _of_device(machine, device)
    for slot, turn in sorted(machine.turns.items(), key=lambda item: (item[0][0], int(item[0][1:]))):
        state, told = _turned(turn)
        at = turn.at if turn else None
        name = f"test_vend {machine.name} {slot}"
        yield Finding(CheckKind.TEST_VEND, machine.machine_id, name, state, told, at)
    if machine.rail is Rail.CASH:
        paid = machine.credit_at is not None
        state = CheckState.PASSED if paid else CheckState.WAITING
        told = "A coin or note was counted." if paid else "Insert a coin; it comes back with the lever."
        yield Finding(CheckKind.CASH, machine.machine_id, f"cash {machine.name}", state, told, machine.credit_at)


def _of_device(machine: SeenMachine, device: SeenDevice) -> Iterator[Finding]:
    about = f"{machine.name} {device.name}"
    state, told = CheckState.WAITING, "It has not come in yet."
    if device.claimed_at is not None:
        state, told = CheckState.PASSED, "It has come in."
    yield Finding(
        CheckKind.DEVICE_CLAIMED, machine.machine_id, f"device_claimed {about}", state, told, device.claimed_at
    )
    state, told = _link(device)
    yield Finding(CheckKind.DEVICE_LINK, machine.machine_id, f"device_link {about}", state, told, device.changed_at)


def _link(device: SeenDevice) -> tuple[CheckState, str]:
    if not device.online:
        return CheckState.WAITING, "It is not connected."
    if device.rssi_dbm is None:
        return CheckState.PASSED, "It is connected."
    if device.rssi_dbm < WEAK_DBM:
        return CheckState.FAILED, f"Its radio signal is weak ({device.rssi_dbm} dBm): move it or the access point."
    return CheckState.PASSED, f"It is connected ({device.rssi_dbm} dBm)."


def _turned(turn: SeenTurn | None) -> tuple[CheckState, str]:
    """A motor that turned proves nothing: something must have seen the product fall, or the motor come full circle."""
    if turn is None:
        return CheckState.WAITING, "It has not turned yet."
    if turn.state is RequestState.REFUSED:
        return CheckState.FAILED, f"The device refused: {turn.reason or 'no reason told'}."
    if turn.sold:
        return CheckState.PASSED, "It has sold a product."
    seen = turn.evidence
    if seen is not None and seen.drop:
        return CheckState.PASSED, "It turned, and a product fell."
    if seen is not None and seen.drop is None and seen.left_home and seen.home_after:
        return CheckState.PASSED, "It turned once round; no sensor watches what falls."
    return CheckState.FAILED, "It turned, and no product was seen to fall."
