"""What counts as seen when a machine goes into service."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cloud.clock import new_id
from cloud.commissioning.rules import (
    CheckKind,
    CheckState,
    Finding,
    SeenDevice,
    SeenGateway,
    SeenMachine,
    SeenTurn,
    findings,
)
from shared.contract import ClockQuality, Rail
from shared.devices import Evidence
from shared.upkeep import RequestState

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
NEW = SeenGateway(None, None, None, 0, 0)
GOOD = SeenGateway(NOW, ClockQuality.SYNCED, NOW, 0, 0)
BOARD = SeenDevice("board", NOW, online=True, rssi_dbm=-60, changed_at=NOW)


def evidence(drop: bool | None = None, left_home: bool | None = None, home_after: bool | None = None) -> Evidence:
    return Evidence(drop=drop, left_home=left_home, home_before=None, home_after=home_after, motor_ms=1500)


def turned(seen: Evidence | None = None, *, sold: bool = False, reason: str | None = None) -> SeenTurn:
    return SeenTurn(RequestState.REFUSED if reason else RequestState.DONE, reason, seen, NOW, sold)


def machine(turn: SeenTurn | None = None, device: SeenDevice = BOARD, rail: Rail = Rail.FREE) -> SeenMachine:
    return SeenMachine(new_id(), "Snacks", rail, [device], {"A1": turn}, None)


def the(kind: CheckKind, found: list[Finding]) -> Finding:
    (one,) = [finding for finding in found if finding.kind is kind]
    return one


def test_whoever_answers_for_a_check_answers_for_no_other_that_is_called_alike() -> None:
    first = replace(machine(device=replace(BOARD, name="1 2")), name="Snacks")
    second = replace(machine(device=replace(BOARD, name="2")), name="Snacks 1")
    found = findings(GOOD, [first, second])
    names = [one.name for one in found]
    assert len(set(names)) == len(names)
    (called,) = [one for one in found if one.name == "device_claimed Snacks 1 2 (2)"]
    assert called.machine_id == second.machine_id


@pytest.mark.parametrize(
    ("turn", "state"),
    [
        (None, CheckState.WAITING),
        (turned(evidence(drop=True)), CheckState.PASSED),
        (turned(evidence(drop=False, left_home=True, home_after=True)), CheckState.FAILED),
        (turned(evidence(left_home=True, home_after=True)), CheckState.PASSED),
        (turned(evidence(left_home=True, home_after=False)), CheckState.FAILED),
        (turned(evidence()), CheckState.FAILED),
        (turned(), CheckState.FAILED),
        (turned(sold=True), CheckState.PASSED),
        (turned(reason="door_closed"), CheckState.FAILED),
    ],
)
def test_a_motor_that_turned_proves_nothing_by_itself(turn: SeenTurn | None, state: CheckState) -> None:
    assert the(CheckKind.TEST_VEND, findings(GOOD, [machine(turn)])).state is state


@pytest.mark.parametrize(
    ("device", "state"),
    [
        (SeenDevice("board", NOW, online=False, rssi_dbm=-60, changed_at=NOW), CheckState.WAITING),
        (SeenDevice("board", NOW, online=True, rssi_dbm=None, changed_at=NOW), CheckState.PASSED),
        (SeenDevice("board", NOW, online=True, rssi_dbm=-75, changed_at=NOW), CheckState.PASSED),
        (SeenDevice("board", NOW, online=True, rssi_dbm=-76, changed_at=NOW), CheckState.FAILED),
    ],
)
def test_a_weak_link_is_found_before_it_costs_sales(device: SeenDevice, state: CheckState) -> None:
    assert the(CheckKind.DEVICE_LINK, findings(GOOD, [machine(device=device)])).state is state


def test_a_gateway_that_has_said_nothing_has_passed_nothing() -> None:
    assert {one.state for one in findings(NEW, [])} == {CheckState.WAITING}


@pytest.mark.parametrize(
    ("gateway", "kind"),
    [
        (SeenGateway(NOW, ClockQuality.UNSYNCED, NOW, 0, 0), CheckKind.GATEWAY_TIME),
        (SeenGateway(NOW, ClockQuality.SYNCED, NOW, 1, 0), CheckKind.SYNC_EQUAL),
        (SeenGateway(NOW, ClockQuality.SYNCED, NOW, 0, 1), CheckKind.SYNC_EQUAL),
    ],
)
def test_what_is_wrong_with_a_gateway_fails(gateway: SeenGateway, kind: CheckKind) -> None:
    assert the(kind, findings(gateway, [])).state is CheckState.FAILED


def test_only_a_machine_that_takes_coins_must_have_counted_one() -> None:
    assert the(CheckKind.CASH, findings(GOOD, [machine(rail=Rail.CASH)])).state is CheckState.WAITING
    assert CheckKind.CASH not in {one.kind for one in findings(GOOD, [machine()])}


def test_slots_come_in_the_order_in_which_people_count_them() -> None:
    many = SeenMachine(new_id(), "Snacks", Rail.FREE, [], dict.fromkeys(("A10", "B1", "A2")), None)
    names = [one.name for one in findings(GOOD, [many]) if one.kind is CheckKind.TEST_VEND]
    assert names == ["test_vend Snacks A2", "test_vend Snacks A10", "test_vend Snacks B1"]
