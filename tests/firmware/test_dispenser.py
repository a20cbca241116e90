"""One vend on the fake board: what the coil does, what is journalled when, and that the motor always stops."""

import asyncio
import json
from pathlib import Path

import pytest

from firmware.simulator.board import SimulatedBoard
from firmware.simulator.coil import STALLED_MA, Habits
from firmware.simulator.world import read_world
from firmware.vending import recovery, rules
from firmware.vending.boot import run_safely
from firmware.vending.climate import Climate
from firmware.vending.clock import Clock
from firmware.vending.dispenser import Dispenser
from firmware.vending.flash import Flash
from firmware.vending.health import Health
from firmware.vending.journal import FILES, Journal
from firmware.vending.nonces import Nonces
from firmware.vending.reports import Reports
from firmware.vending.settings import Settings
from firmware.vending.vigil import DISPENSER, LINK, SENSORS, Vigil
from firmware.vending.wiring import NO_PARTS
from tests.fakes.device_settings import SETTINGS, SLOT
from tests.fakes.until import until

VEND = "01890000-0000-7000-8000-000000000001"
VENDS = {"A1": VEND, "B1": "01890000-0000-7000-8000-000000000002"}


class Fridge(Climate):
    """Its slots in `locked` are refused."""

    def __init__(self) -> None:
        self.locked: set[str] = set()

    def refuses(self, slot: str) -> bool:
        return slot in self.locked


class Bench:
    """A dispenser on a board, without a link."""

    def __init__(
        self,
        folder: Path,
        board: SimulatedBoard | None = None,
        habits: Habits | None = None,
        flash: Flash | None = None,
        clock: Clock | None = None,
        settings: Settings = SETTINGS,
    ) -> None:
        clock = clock or Clock()
        self.folder = folder
        self.board = board or SimulatedBoard(settings, folder, habits or Habits(speed=50))
        self.flash = flash or Flash(str(folder))
        self.journal = Journal(self.flash)
        reports = Reports(self.journal, clock, Nonces(clock), VEND, "INR")
        self.vigil = Vigil(self.board, clock)
        self.health = Health(self.board, self.journal, clock, None)
        self.climate = Fridge()
        guards = (self.vigil, self.health, self.climate)
        self.dispenser = Dispenser(self.board, self.journal, settings.slots, reports, clock, *guards)
        self.at_once = settings.at_once

    async def run(self) -> None:
        """As the device runs its dispenser."""
        await asyncio.gather(*[self.dispenser.run() for _ in range(self.at_once)])

    async def vend(self, seq: int = 1) -> rules.Vend:
        """Accept and run one vend to its end."""
        self.journal.append(("A", 1, seq, VEND, "A1"))
        running = asyncio.create_task(self.run())
        self.dispenser.wake()
        await until(lambda: rules.running(self.journal.state) is None)
        running.cancel()
        vend = rules.find(self.journal.state, 1, seq)
        assert vend is not None
        return vend

    def kinds(self) -> str:
        """The kinds of all records on flash."""
        lines = b"".join(self.flash.read(name) for name in FILES).splitlines()
        return "".join(json.loads(line[9:])[0] for line in lines)

    def moves(self) -> list[str]:
        lines = (self.folder / "world.jsonl").read_text().splitlines()
        return [kind for kind in (json.loads(line)["kind"] for line in lines) if kind != "restock"]


async def test_what_falls_through_a_blocked_beam_is_not_known_and_counts_for_no_other_vend(tmp_path: Path) -> None:
    SimulatedBoard(SETTINGS, tmp_path, Habits(opening_stock=1)).set_beam(True)
    bench = Bench(tmp_path)
    vend = await bench.vend()
    assert (vend.evidence.drop, vend.evidence.left_home) == (None, True)
    assert read_world(tmp_path).drops == {VEND: 1}
    bench.board.set_beam(False)
    assert (await bench.vend(2)).evidence.drop is False


async def test_a_turn_drops_one_product_and_ends_at_home(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    vend = await bench.vend()
    assert vend.result == "done"
    assert vend.evidence[:4] == (True, True, True, True)
    assert bench.kinds() == "FHASLPD"
    assert bench.moves() == ["motor_start", "left_home", "drop", "home", "motor_stop"]


async def test_a_turn_without_a_drop_says_so(tmp_path: Path) -> None:
    vend = await Bench(tmp_path, habits=Habits(speed=50, drop_rate=0)).vend()
    assert vend.evidence[:4] == (False, True, True, True)


def two_chutes() -> Settings:
    """Two slots whose motors may turn together, each before a drop sensor of its own."""
    slot = SLOT._replace(turn_ms=300, max_ms=1000, draw_ma=300)
    slots = {"A1": slot._replace(chute="left"), "B1": slot._replace(chute="right")}
    return SETTINGS._replace(slots=slots, board=NO_PARTS._replace(power_ma=600), at_once=2)


@pytest.mark.criterion("8.2")
async def test_two_motors_turn_together_and_each_vend_is_told_by_its_own_chute(tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings=two_chutes(), habits=Habits(speed=5))
    bench.board.restock("B1", -10)
    running = asyncio.create_task(bench.run())
    for seq, slot in ((1, "A1"), (2, "B1")):
        bench.journal.append(("A", 1, seq, VENDS[slot], slot))
        bench.dispenser.wake()
        await until(lambda: rules.waiting(bench.journal.state) is None)
    assert bench.vigil.expected().keys() >= set(VENDS.values())
    await until(lambda: rules.running(bench.journal.state) is None)
    running.cancel()
    left, right = bench.journal.state.vends
    assert (left.evidence[:4], right.evidence[:4]) == ((True, True, True, True), (False, True, True, True))
    moves = bench.moves()
    assert moves.count("motor_start") == moves.count("motor_stop") == 2
    world = read_world(tmp_path)
    assert (world.together, world.drops, world.turning) == (1, {VENDS["A1"]: 1}, set())
    assert not bench.vigil.expected().keys() & {DISPENSER, *VENDS.values()}


async def test_a_vend_that_is_cancelled_before_its_start_is_expected_of_nobody(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.journal.append(("A", 1, 1, VEND, "A1"))
    bench.dispenser.wake()
    bench.journal.append(("X", 1, 1, VEND, rules.CANCELLED))
    running = asyncio.create_task(bench.run())
    await until(lambda: not bench.vigil.expected().keys() - {SENSORS, LINK})
    running.cancel()
    assert bench.moves() == []


@pytest.mark.parametrize("victim", ["A1", "B1"])
def test_whatever_ends_the_program_stops_both_motors(tmp_path: Path, victim: str) -> None:
    class Broken(SimulatedBoard):
        """Its home switch of one slot cannot be read any more, once both motors turn."""

        def home(self, slot: str) -> bool | None:
            if slot == victim and (tmp_path / "world.jsonl").read_text().count("motor_start") == 2:
                raise OSError(5, "input/output error")
            return super().home(slot)

    settings = two_chutes()
    bench = Bench(tmp_path, Broken(settings, tmp_path, Habits(speed=1)), settings=settings)
    for seq, slot in ((1, "A1"), (2, "B1")):
        bench.journal.append(("A", 1, seq, VENDS[slot], slot))
    bench.dispenser.wake()
    with pytest.raises(OSError, match="input/output"):
        run_safely(bench.run(), bench.board)
    assert bench.moves().count("motor_start") == bench.moves().count("motor_stop") == 2


async def test_an_empty_coil_drops_nothing(tmp_path: Path) -> None:
    vend = await Bench(tmp_path, habits=Habits(speed=50, opening_stock=0)).vend()
    assert vend.evidence.drop is False


async def test_a_jam_ends_with_the_time_out_and_a_still_motor(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.board.jam("A1", True)
    vend = await bench.vend()
    assert vend.evidence[:4] == (False, False, True, True)
    assert vend.evidence.motor_ms >= 400
    assert bench.moves() == ["jam", "motor_start", "motor_stop"]
    bench.board.jam("A1", False)
    assert (await bench.vend(2)).evidence.drop


async def test_the_record_is_on_flash_before_the_motor_starts(tmp_path: Path) -> None:
    seen: list[str] = []

    class Looking(SimulatedBoard):
        def motor_on(self, slot: str, label: str) -> None:
            seen.append(bench.kinds())
            super().motor_on(slot, label)

    bench = Bench(tmp_path, Looking(SETTINGS, tmp_path, Habits(speed=50)))
    await bench.vend()
    assert seen == ["FHAS"]


@pytest.mark.parametrize(("moment", "kind"), [("motor_start", "S"), ("left_home", "L"), ("drop", "P")])
async def test_whatever_ends_the_program_stops_the_motor(tmp_path: Path, moment: str, kind: str) -> None:
    bench = Bench(tmp_path, habits=Habits(speed=5))
    bench.journal.append(("A", 1, 1, VEND, "A1"))
    running = asyncio.create_task(bench.run())
    bench.dispenser.wake()
    await until(lambda: moment in bench.moves() and kind in bench.kinds())
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert bench.moves()[-1] == "motor_stop"
    again = Journal(bench.flash)
    assert [vend.state for vend in again.state.vends] == ["started"]
    record = recovery.recover(again.state, {"A1": bench.board.home("A1")})[0]
    assert record[3:6] == ("interrupted", True if moment == "drop" else None, moment != "motor_start")


async def test_a_flash_that_fails_before_the_start_starts_nothing(tmp_path: Path) -> None:
    class Failing(Flash):
        def append(self, name: str, data: bytes) -> None:
            if b'["S"' in data:
                raise OSError(5, "input/output error")
            super().append(name, data)

    bench = Bench(tmp_path, flash=Failing(str(tmp_path)))
    assert (await bench.vend()).result == "not_started"
    assert read_world(tmp_path).motor_starts.total() == 0


@pytest.mark.parametrize("stuck", [True, False])
async def test_a_home_switch_that_is_stuck_lets_no_second_product_fall(tmp_path: Path, stuck: bool) -> None:
    class Stuck(SimulatedBoard):
        def home(self, slot: str) -> bool | None:
            super().home(slot)
            return stuck

    bench = Bench(tmp_path, Stuck(SETTINGS, tmp_path, Habits(speed=5)))
    vend = await bench.vend()
    assert (vend.evidence.drop, vend.evidence.left_home) == (True, False)
    assert read_world(tmp_path).drops == {VEND: 1}


async def test_a_slot_without_a_home_switch_turns_for_its_time(tmp_path: Path) -> None:
    class Blind(SimulatedBoard):
        def home(self, slot: str) -> bool | None:
            super().home(slot)
            return None

    vend = await Bench(tmp_path, Blind(SETTINGS, tmp_path, Habits(speed=50))).vend()
    assert vend.evidence[1:4] == (None, None, None)
    assert 20 <= vend.evidence.motor_ms < 400


async def test_the_rest_after_a_vend_is_awaited_no_longer_than_a_vend_may_take(tmp_path: Path) -> None:
    class Hasty(Clock):
        """Ten seconds pass between two looks at it."""

        def ms(self) -> int:
            self._ms += 10_000
            return self._ms

    bench = Bench(tmp_path, clock=Hasty())
    bench.journal.append(("A", 1, 1, VEND, "A1"))
    async with asyncio.timeout(5):
        await bench.dispenser.rest()
    assert rules.running(bench.journal.state) is not None


async def test_after_a_cut_past_the_drop_the_next_vend_turns_on_until_it_drops(tmp_path: Path) -> None:
    (tmp_path / "world.jsonl").write_text(
        '{"kind": "restock", "slot": "A1", "amount": 5}\n{"kind": "drop", "slot": "A1", "label": "old"}\n'
    )
    bench = Bench(tmp_path)
    vend = await bench.vend()
    assert vend.evidence[:4] == (True, True, False, True)
    assert read_world(tmp_path).drops == {"old": 1, VEND: 1}


async def test_the_vigil_expects_a_dispenser_that_has_a_vend_and_no_other(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert DISPENSER not in bench.vigil.expected()
    bench.dispenser.wake()
    assert DISPENSER in bench.vigil.expected()
    await bench.vend()
    await until(lambda: DISPENSER not in bench.vigil.expected())


@pytest.mark.criterion("8.6")
async def test_a_vend_whose_zone_locks_before_its_start_never_starts(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.climate.locked.add("A1")
    vend = await bench.vend()
    assert (vend.result, vend.evidence) == (rules.NOT_STARTED, None)
    assert bench.moves() == []
    bench.climate.locked.clear()
    assert (await bench.vend(2)).result == rules.DONE


async def test_the_most_a_motor_drew_is_told_with_the_next_heartbeat_and_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.vend()
    bench.board.jam("A1", True)
    await bench.vend(2)
    assert bench.health.take()["peak_ma"] == {"A1": STALLED_MA}
    assert bench.health.take()["peak_ma"] == {}
