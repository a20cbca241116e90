"""When a motor stops: every profile of a slot against a coil that does just what is written here."""

from pathlib import Path

import pytest

from firmware.vending import rules
from firmware.vending.clock import Clock
from firmware.vending.flash import Flash
from firmware.vending.hardware import Hardware
from firmware.vending.journal import Journal
from firmware.vending.motion import INRUSH_MS, STALL_MS, Motion
from firmware.vending.nonces import Nonces
from firmware.vending.reports import Reports
from firmware.vending.settings import Slot
from tests.fakes.device_settings import SLOT

VEND = rules.Vend(1, 1, "01890000-0000-7000-8000-000000000001", "A1", rules.STARTED, None, None)
PROFILE = SLOT._replace(turn_ms=1000, max_ms=5000, settle_ms=300)
TURN = {0: True, 100: False, 950: True}
"""Milliseconds since the start → what the home switch says from then on."""
TWO_TURNS = TURN | {1050: False, 1900: True, 2000: False, 2850: True}


class WrittenCoil(Hardware):
    """`homes`: as in TURN, {} without a switch. `drops`: when something falls, None without a sensor. `draws`: mA.

    `blocked`: from when to when something is in the beam that does not count, or not yet.
    """

    def __init__(
        self,
        homes: dict[int, bool],
        drops: tuple[int, ...] | None = (),
        draws: dict[int, int] | None = None,
        blocked: range = range(0),
    ) -> None:
        self.now_ms = 0
        self._blocked = blocked
        self._homes, self._drops, self._draws = homes, drops, draws

    def home(self, slot: str) -> bool | None:
        return self._homes[max(ms for ms in self._homes if ms <= self.now_ms)] if self._homes else None

    def drops(self, slot: str) -> int | None:
        return None if self._drops is None else sum(ms <= self.now_ms for ms in self._drops)

    def beam_is_blocked(self, slot: str) -> bool:
        return self.now_ms in self._blocked

    def current_ma(self, slot: str) -> int | None:
        return None if self._draws is None else self._draws[max(ms for ms in self._draws if ms <= self.now_ms)]


class Stopped:
    """A motion that was run to its end: when, and what was seen until then."""

    def __init__(self, folder: Path, coil: WrittenCoil, profile: Slot = PROFILE) -> None:
        journal = Journal(Flash(str(folder)))
        journal.append(("A", 1, 1, VEND.vend_id, "A1"))
        journal.append(("S", 1, 1, coil.home("A1")))
        clock = Clock()
        reports = Reports(journal, clock, Nonces(clock), VEND.vend_id, "INR")
        motion = Motion(VEND, profile, coil.home("A1"), coil, journal, reports)
        while not motion.is_over(coil.now_ms):
            coil.now_ms += 5
        self.at_ms = coil.now_ms
        self.evidence = motion.evidence(self.at_ms)


def test_a_turn_ends_at_home(tmp_path: Path) -> None:
    stopped = Stopped(tmp_path, WrittenCoil(TURN, (800,)))
    assert (stopped.at_ms, stopped.evidence[:4]) == (950, (True, True, True, True))


@pytest.mark.parametrize(
    ("blocked", "at_ms"), [(range(10_000), 950), (range(10), 950), (range(945, 10_000), PROFILE.max_ms)]
)
def test_a_blocked_beam_does_not_say_that_nothing_fell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], blocked: range, at_ms: int
) -> None:
    """Dead or blocked as the motor starts, so that there is no second turn for what may have fallen; or at the end."""
    stopped = Stopped(tmp_path, WrittenCoil(TURN, (), blocked=blocked), PROFILE._replace(extra_turn=True))
    assert stopped.evidence.drop is None
    assert "drop_beam_blocked" in capsys.readouterr().out
    assert stopped.at_ms == at_ms


def test_without_a_beam_none_is_blocked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Stopped(tmp_path, WrittenCoil(TURN, None)).evidence.drop is None
    assert "drop_beam_blocked" not in capsys.readouterr().out


def test_a_turn_without_a_switch_ends_by_time(tmp_path: Path) -> None:
    stopped = Stopped(tmp_path, WrittenCoil({}, (800,)))
    assert (stopped.at_ms, stopped.evidence[:4]) == (1000, (True, None, None, None))


def test_a_coil_with_several_marks_a_turn_passes_all_but_the_last(tmp_path: Path) -> None:
    stopped = Stopped(tmp_path, WrittenCoil(TURN | {1050: False, 1900: True}, (1700,)), PROFILE._replace(home_edges=2))
    assert stopped.at_ms == 1900


@pytest.mark.parametrize("drops", [None, (800,)])
def test_a_switch_that_bounces_as_the_coil_leaves_ends_nothing(tmp_path: Path, drops: tuple[int, ...] | None) -> None:
    bouncing = TURN | {105: True, 110: False}
    assert Stopped(tmp_path, WrittenCoil(bouncing, drops)).at_ms == 950


def test_a_switch_that_bounces_as_an_old_turn_ends_ends_no_new_one(tmp_path: Path) -> None:
    bouncing = {0: False, 300: True, 305: False, 310: True, 400: False, 1250: True}
    assert Stopped(tmp_path, WrittenCoil(bouncing, (1100,))).at_ms == 1250


def test_a_turn_that_is_faster_than_its_profile_says_is_seen_all_the_same(tmp_path: Path) -> None:
    slow = PROFILE._replace(turn_ms=5000)
    assert (
        Stopped(tmp_path, WrittenCoil({0: True, 20: False, 190: True, 210: False, 380: True}, None), slow).at_ms == 190
    )


def test_a_coil_that_only_shakes_has_not_left_home(tmp_path: Path) -> None:
    stopped = Stopped(tmp_path, WrittenCoil({0: True, 100: False, 120: True}, None))
    assert (stopped.at_ms, stopped.evidence[:4]) == (5000, (None, False, True, True))


def test_a_jam_without_a_current_sensor_ends_by_time(tmp_path: Path) -> None:
    stopped = Stopped(tmp_path, WrittenCoil({0: True}), PROFILE._replace(jam_ma=800))
    assert (stopped.at_ms, stopped.evidence[:4]) == (5000, (False, False, True, True))


def test_a_broken_home_switch_lets_no_second_product_fall(tmp_path: Path) -> None:
    stopped = Stopped(tmp_path, WrittenCoil({0: True, 100: False}, (800,)))
    assert stopped.at_ms == 800 + PROFILE.turn_ms // 2 + 5


def test_a_coil_left_in_mid_turn_turns_once_more_if_nothing_falls(tmp_path: Path) -> None:
    rest_of_turn = {0: False, 300: True, 400: False, 1250: True}
    assert Stopped(tmp_path / "a", _folder(tmp_path, "a", WrittenCoil(rest_of_turn, (200,)))).at_ms == 300
    assert Stopped(tmp_path / "b", _folder(tmp_path, "b", WrittenCoil(rest_of_turn, (1100,)))).at_ms == 1250


def _folder(root: Path, name: str, coil: WrittenCoil) -> WrittenCoil:
    (root / name).mkdir()
    return coil


class TestExtraTurn:
    """One more turn if the first dropped nothing, without a stop in between."""

    profile = PROFILE._replace(extra_turn=True)

    def test_none_is_taken_after_a_drop(self, tmp_path: Path) -> None:
        assert Stopped(tmp_path, WrittenCoil(TWO_TURNS, (800,)), self.profile).at_ms == 950

    def test_it_ends_at_home_with_the_product(self, tmp_path: Path) -> None:
        stopped = Stopped(tmp_path, WrittenCoil(TWO_TURNS, (1700,)), self.profile)
        assert (stopped.at_ms, stopped.evidence.drop) == (1900, True)

    def test_there_is_only_one(self, tmp_path: Path) -> None:
        stopped = Stopped(tmp_path, WrittenCoil(TWO_TURNS), self.profile)
        assert (stopped.at_ms, stopped.evidence.drop) == (1900, False)

    def test_what_tumbled_late_ends_it_at_once(self, tmp_path: Path) -> None:
        stopped = Stopped(tmp_path, WrittenCoil(TWO_TURNS, (1150,)), self.profile)
        assert (stopped.at_ms, stopped.evidence.drop) == (1150, True)

    def test_without_a_switch_it_is_measured_in_time(self, tmp_path: Path) -> None:
        assert Stopped(tmp_path, WrittenCoil({}), self.profile).at_ms == 2000

    def test_without_a_drop_sensor_nobody_can_want_one(self, tmp_path: Path) -> None:
        assert Stopped(tmp_path, WrittenCoil(TWO_TURNS, None), self.profile).at_ms == 950

    def test_without_leave_none_is_taken(self, tmp_path: Path) -> None:
        assert Stopped(tmp_path, WrittenCoil(TWO_TURNS)).at_ms == 950


class TestJamByCurrent:
    """A motor that draws too much for too long is stopped before it burns."""

    profile = PROFILE._replace(jam_ma=800)

    def test_a_stalled_motor_is_stopped(self, tmp_path: Path) -> None:
        stopped = Stopped(tmp_path, WrittenCoil({0: True}, draws={0: 1200}), self.profile)
        assert (stopped.at_ms, stopped.evidence[:2]) == (INRUSH_MS + STALL_MS, (False, False))

    def test_a_jam_in_mid_turn_is_seen_too(self, tmp_path: Path) -> None:
        stopped = Stopped(tmp_path, WrittenCoil({0: True, 100: False}, draws={0: 300, 500: 800}), self.profile)
        assert (stopped.at_ms, stopped.evidence[:2]) == (500 + STALL_MS, (False, True))

    def test_a_spike_is_none(self, tmp_path: Path) -> None:
        draws = {0: 1200, 150: 300, 400: 1200, 400 + STALL_MS - 5: 300}
        assert Stopped(tmp_path, WrittenCoil(TURN, (800,), draws), self.profile).at_ms == 950

    def test_a_soft_start_takes_its_time(self, tmp_path: Path) -> None:
        soft = self.profile._replace(soft_start_ms=600)
        assert Stopped(tmp_path, WrittenCoil({0: True}, draws={0: 1200}), soft).at_ms == 600 + STALL_MS

    @pytest.mark.parametrize("jam_ma", [None, 1300])
    def test_what_is_no_jam_for_this_motor_runs_on(self, tmp_path: Path, jam_ma: int | None) -> None:
        slow = self.profile._replace(jam_ma=jam_ma)
        assert Stopped(tmp_path, WrittenCoil({0: True}, draws={0: 1200}), slow).at_ms == 5000
