"""Which of two folders a board boots: whatever becomes of the marker and of the programs, one that works."""

import json
from pathlib import Path

import pytest

from firmware.vending import release, slots
from firmware.workbench.layout import lay_down
from firmware.workbench.releases import compile_app
from tests.firmware.vm.device import CUT, ENDED, RESTARTED
from tests.firmware.vm.script import VmScript, boot

TRIAL = slots.changed(slots.FIRST, trial="b", state="trial", offered="ab" * 32)
WORKS = 'def start():\n    print(\'{"event": "ran", "version": "%s"}\')\n    import _pc\n    _pc.end()\n'


def test_a_new_board_boots_what_the_cable_laid_down() -> None:
    assert slots.choose(None, {"a": "0.1.0", "b": None})["valid"] == "a"
    assert slots.choose(None, {"a": None, "b": None}) == slots.FIRST


def test_without_a_marker_the_newest_that_has_proven_itself_runs_and_nothing_older_is_taken_from_then_on() -> None:
    found = slots.choose(None, {"a": "0.9.0", "b": "0.10.0"})
    assert (found["valid"], found["floor"], found["trial"]) == ("b", "0.10.0", None)


def test_what_is_on_trial_is_booted_three_times() -> None:
    marker = TRIAL
    for tries in (1, 2, 3):
        marker = slots.choose(marker, {"a": "0.1.0", "b": None})
        assert (marker["trial"], marker["tries"], marker["state"]) == ("b", tries, "trial")
    marker = slots.choose(marker, {"a": "0.1.0", "b": None})
    assert (marker["valid"], marker["trial"], marker["state"]) == ("a", None, "failed")
    assert marker["reason"] == "not proven in 3 tries"
    assert slots.choose(marker, {"a": "0.1.0", "b": None}) == marker


def test_a_marker_is_itself_or_nothing(tmp_path: Path) -> None:
    root = f"{tmp_path}/"
    slots.write(TRIAL, root)
    assert slots.read(root) == TRIAL
    whole = (tmp_path / "slot.json").read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        (tmp_path / "slot.json").write_bytes(changed)
        assert slots.read(root) is None, place
        (tmp_path / "slot.json").write_bytes(whole[:place])
        assert slots.read(root) is None, place


def test_the_marker_is_whole_until_a_new_one_is(tmp_path: Path) -> None:
    """The new one takes its name; nothing is written over the old one."""
    slots.write(TRIAL, f"{tmp_path}/")
    before = (tmp_path / "slot.json").read_bytes()
    (tmp_path / "same").hardlink_to(tmp_path / "slot.json")
    slots.write(slots.FIRST, f"{tmp_path}/")
    assert (tmp_path / "same").read_bytes() == before != (tmp_path / "slot.json").read_bytes()


def test_a_marker_of_an_earlier_program_is_read_with_what_it_lacks(tmp_path: Path) -> None:
    slots.write({"valid": "b", "from_the_future": 1}, f"{tmp_path}/")
    assert slots.read(f"{tmp_path}/") == slots.FIRST | {"valid": "b", "from_the_future": 1}


@pytest.mark.parametrize("wrong", ["", "1.0", "1.0.0.0", "1.0.x", "01.0.0", "1.0.-1", "1.0.123456", None, 1])
def test_what_is_no_version(wrong: object) -> None:
    assert not release.is_version(wrong)
    assert release.is_version("0.10.99999")


@pytest.fixture(scope="module")
def chooser() -> dict[str, bytes]:
    return compile_app()


def board(flash: Path, chooser: dict[str, bytes], a: str, b: str) -> Path:
    """A board whose folders hold these programs; that in a/ came by cable."""
    lay_down(flash, {"slots.mpy": chooser["slots.mpy"]}, "0.1.0")
    (flash / "b/vending").mkdir(parents=True)
    for folder, program in (("a", a), ("b", b)):
        (flash / folder / "vending/boot.py").write_text(program)
        (flash / folder / "vending/__init__.py").write_text("")
    slots.prove("a", "0.1.0", f"{flash}/")
    return flash


def ran(run: VmScript) -> list[str]:
    return [told["version"] for told in run.said("ran")]


def marker(flash: Path) -> dict[str, object]:
    found = slots.read(f"{flash}/")
    assert found is not None
    return dict(found)


@pytest.mark.criterion("8.5")
async def test_a_board_goes_back_from_a_trial_that_never_proves_itself(
    tmp_path: Path, chooser: dict[str, bytes]
) -> None:
    flash = board(tmp_path, chooser, WORKS % "old", WORKS % "new")
    run = await boot(flash)
    assert (ran(run), run.status) == (["old"], ENDED)
    slots.write(marker(flash) | {"trial": "b"}, f"{flash}/")
    booted = [ran(await boot(flash)) for _ in range(5)]
    assert booted == [["new"], ["new"], ["new"], ["old"], ["old"]]
    assert marker(flash)["state"] == "failed"


@pytest.mark.criterion("8.5")
@pytest.mark.parametrize(
    ("program", "tries"),
    [("import nothing_of_this_name\n", 1), ("def start(:\n", 1), ("def start():\n    raise RuntimeError\n", 3)],
)
async def test_a_board_leaves_a_program_that_does_not_start(
    tmp_path: Path, chooser: dict[str, bytes], program: str, tries: int
) -> None:
    """At once if it cannot even be read, else when its tries are used up; nobody has to come and restart the board."""
    flash = board(tmp_path, chooser, WORKS % "old", program)
    slots.write(slots.changed(slots.FIRST, trial="b"), f"{flash}/")
    for _ in range(tries):
        run = await boot(flash)
        assert (ran(run), run.status) == ([], RESTARTED)
    assert ran(await boot(flash)) == ["old"]
    assert marker(flash)["state"] == "failed"


async def test_a_board_whose_program_is_damaged_runs_the_other_that_was_proven(
    tmp_path: Path, chooser: dict[str, bytes]
) -> None:
    flash = board(tmp_path, chooser, WORKS % "old", WORKS % "older")
    await boot(flash)
    (flash / "a/vending/boot.py").write_bytes(b"\0\xff damaged")
    assert (await boot(flash)).status == RESTARTED
    run = await boot(flash)
    assert (ran(run), run.status) == ([], RESTARTED), "b has proven nothing: it is not run, and a is tried for ever"
    slots.prove("b", "0.0.9", f"{flash}/")
    assert ran(await boot(flash)) == ["older"]
    assert marker(flash)["floor"] == "0.1.0"


LATE = "def start():\n    from . import late\n    late.run()\n"
RUNS_LATE = 'def run():\n    print(\'{"event": "ran", "version": "old"}\')\n    import _pc\n    _pc.end()\n'


@pytest.fixture
def late(tmp_path: Path, chooser: dict[str, bytes]) -> Path:
    """A board of which both folders are proven; what runs imports a module late."""
    flash = board(tmp_path, chooser, LATE, WORKS % "older")
    (flash / "a/vending/late.py").write_text(RUNS_LATE)
    slots.prove("a", "0.1.0", f"{flash}/")
    slots.prove("b", "0.0.9", f"{flash}/")
    return flash


@pytest.mark.criterion("8.5")
@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
async def test_a_board_whose_program_is_damaged_where_it_is_read_late_runs_the_other(late: Path, damage: str) -> None:
    assert ran(await boot(late)) == ["old"]
    module = late / "a/vending/late.py"
    if damage == "gone":
        module.unlink()
    else:
        module.write_text(RUNS_LATE.replace("run", "ruN") if damage == "changed" else RUNS_LATE[:-20])
    assert [ran(await boot(late)) for _ in range(2)] == [["older"], ["older"]]
    left = marker(late)
    assert (left["valid"], left["state"], left["reason"]) == ("b", "failed", "a file is damaged")
    assert left["floor"] == "0.1.0", "nothing older is taken for that"


@pytest.mark.criterion("8.5")
async def test_a_board_that_is_damaged_twice_does_not_go_to_and_fro(late: Path) -> None:
    await boot(late)
    (late / "a/vending/late.py").unlink()
    await boot(late)
    (late / "b/vending/more.py").write_text("")
    before = marker(late)
    assert [ran(await boot(late)) for _ in range(2)] == [["older"], ["older"]]
    assert marker(late) == before


@pytest.mark.parametrize("lacks", ["proof", "a whole program"])
async def test_a_damaged_program_is_not_left_for_what_is_no_better(late: Path, lacks: str) -> None:
    await boot(late)
    (late / "a/vending/more.py").write_text("")
    if lacks == "proof":
        (late / "b/proven").unlink()
    else:
        (late / "b/vending/more.py").write_text("")
    assert ran(await boot(late)) == ["old"]
    assert marker(late)["valid"] == "a"


def test_a_cable_proves_a_program_as_a_board_does(tmp_path: Path, chooser: dict[str, bytes]) -> None:
    lay_down(tmp_path, chooser, "0.1.0")
    laid = (tmp_path / "a/proven").read_bytes()
    slots.prove("a", "0.1.0", f"{tmp_path}/")
    assert (tmp_path / "a/proven").read_bytes() == laid
    assert slots.proven("a", f"{tmp_path}/") == "0.1.0"


async def test_an_image_under_which_the_program_cannot_be_read_is_given_up_and_not_the_program(
    tmp_path: Path, chooser: dict[str, bytes]
) -> None:
    flash = board(tmp_path, chooser, "import nothing_of_this_name\n", WORKS % "older")
    (flash / "b/proven").write_text("0.0.9")
    slots.write(slots.changed(slots.FIRST, image_trial=["ota_1", "1.99.0"]), f"{flash}/")
    assert (await boot(flash)).status == RESTARTED
    left = marker(flash)
    assert (left["valid"], left["image_trial"], left["state"]) == ("a", None, "failed")
    (flash / "a/vending/boot.py").write_text(WORKS % "old")
    slots.prove("a", "0.1.0", f"{flash}/")
    assert ran(await boot(flash)) == ["old"], "the boot loader went back"


@pytest.mark.parametrize("error", ["ValueError", "ImportError", "RuntimeError"])
async def test_a_proven_program_that_dies_while_it_runs_is_booted_again(
    tmp_path: Path, chooser: dict[str, bytes], error: str
) -> None:
    flash = board(tmp_path, chooser, f"def start():\n    raise {error}\n", WORKS % "older")
    (flash / "b/proven").write_text("0.0.9")
    for _ in range(2):
        run = await boot(flash)
        assert (ran(run), run.status) == ([], RESTARTED)
    assert marker(flash)["valid"] == "a"


@pytest.mark.parametrize(("program", "status"), [(WORKS % "old", ENDED), ("import no_such_name\n", RESTARTED)])
async def test_a_board_whose_marker_cannot_be_written_boots_what_is_valid(
    tmp_path: Path, chooser: dict[str, bytes], program: str, status: int
) -> None:
    """The new marker's name is taken by a folder: it opens no more than a file on a full flash does."""
    flash = board(tmp_path, chooser, program, WORKS % "new")
    (flash / "b/proven").write_text("0.0.9")
    slots.write(slots.changed(slots.FIRST, trial="b"), f"{flash}/")
    (flash / "slot.json.new").mkdir()
    for _ in range(2):
        run = await boot(flash)
        assert (ran(run), run.status) == (["old"] if status == ENDED else [], status)
    assert marker(flash)["trial"] == "b"


async def test_a_board_whose_marker_is_damaged_runs_the_newest_that_was_proven(
    tmp_path: Path, chooser: dict[str, bytes]
) -> None:
    flash = board(tmp_path, chooser, WORKS % "old", WORKS % "new")
    slots.write(slots.changed(slots.FIRST, trial="b"), f"{flash}/")
    (flash / "slot.json").write_text(json.dumps(slots.FIRST))
    assert ran(await boot(flash)) == ["old"], "what was on trial has proven nothing"
    (flash / "b/proven").write_text("0.2.0")
    (flash / "slot.json").write_bytes(b"")
    assert ran(await boot(flash)) == ["new"]


@pytest.mark.criterion("8.5")
async def test_a_power_cut_at_any_byte_of_the_marker_leaves_a_board_that_boots(
    tmp_path: Path, chooser: dict[str, bytes]
) -> None:
    """Writes of a boot on trial: the new marker is made, filled and renamed."""
    flash = board(tmp_path, chooser, WORKS % "old", WORKS % "new")
    slots.write(slots.changed(slots.FIRST, trial="b"), f"{flash}/")
    for writes, size in ((0, 0), (0, 1), (0, 100), (1, 0), (0, 10**6)):
        before = marker(flash)
        run = await boot(flash, cut=(writes, size))
        assert run.status == CUT, "the power was cut"
        assert ran(run) == []
        assert marker(flash)["tries"] in (before["tries"], 1)
    assert ran(await boot(flash)) == ["new"]
