"""The journal on flash: bounded, wary of what is damaged, and honest about a flash that fails."""

from pathlib import Path

import pytest

from edge.dispensing.rules import judge
from firmware.vending import messages, recovery, rules
from firmware.vending.flash import Flash
from firmware.vending.journal import FILES, MAX_BYTES, Journal, JournalFailed, encode
from firmware.vending.remains import decode
from shared.devices import VendReport
from shared.orders import VendOutcome
from tests.fakes.memory_flash import MemoryFlash

BOOT_ID = "01890000-0000-7000-8000-00000000000b"
VEND = "01890000-0000-7000-8000-000000000004"


def test_it_never_grows_beyond_its_two_files_and_keeps_the_highest(tmp_path: Path) -> None:
    journal = Journal(Flash(str(tmp_path)))
    first_id = journal.id
    for number in range(1, 400):
        vend_id = f"01890000-0000-7000-8000-{number:012}"
        for record in (("A", 1, number, vend_id, "A1"), ("S", 1, number, None), ("X", 1, number, vend_id, "cancelled")):
            journal.append(record)
        journal.note(("K", 1, number))
    assert max((tmp_path / name).stat().st_size for name in FILES) <= MAX_BYTES
    again = Journal(Flash(str(tmp_path)))
    assert again.state == journal.state == rules.Journal((1, 399), (), ())
    assert again.id == journal.id == first_id


@pytest.mark.parametrize(("damage", "state"), [(b"\xff", "started"), (b"\n", "started"), (b"", "accepted")])
def test_a_damaged_tail_is_dropped_and_not_built_upon(tmp_path: Path, damage: bytes, state: str) -> None:
    journal = Journal(Flash(str(tmp_path)))
    journal.append(("A", 1, 1, VEND, "A1"))
    journal.append(("S", 1, 1, True))
    path = tmp_path / FILES[1]
    path.write_bytes(path.read_bytes()[:-5] + damage)
    again = Journal(Flash(str(tmp_path)))
    assert [found.state for found in again.state.vends] == [state]
    again.append(("X", 1, 1, VEND, "not_started"))
    assert Journal(Flash(str(tmp_path))).state == again.state


@pytest.mark.parametrize("torn", [b"", b"x", b"0123abcd [", encode(("A", 1, 2, VEND, "A1"))[:-1]])
def test_a_write_that_was_cut_short_leaves_the_same_journal(torn: bytes) -> None:
    flash = MemoryFlash()
    journal = Journal(flash)
    journal.append(("A", 1, 1, VEND, "A1"))
    flash.files[FILES[1]] += torn
    for _ in range(2):
        assert Journal(flash).id == journal.id


def judged(journal: Journal, home_now: bool) -> list[VendOutcome]:
    """What the gateway makes of the reports of the boot that loaded `journal`."""
    for record in recovery.recover(journal.state, {"A1": home_now}):
        journal.note(record)
    reports = [VendReport.model_validate_json(messages.report(BOOT_ID, ended)) for ended in journal.state.vends]
    return [judge(report, drop_seen=False) for report in reports]


@pytest.mark.parametrize("home_now", [True, False])
@pytest.mark.parametrize(
    ("kind", "outcomes"),
    [
        ("A", []),
        ("S", [VendOutcome.AMBIGUOUS]),
        ("L", [VendOutcome.AMBIGUOUS]),
        ("P", [VendOutcome.AMBIGUOUS]),
        ("D", [VendOutcome.DISPENSED]),
    ],
)
def test_a_line_that_is_damaged_after_it_was_written_makes_it_another_journal(
    kind: str, outcomes: list[VendOutcome], home_now: bool
) -> None:
    """What the line gave leave to may have happened: only a drop that is still told proves anything."""
    flash = MemoryFlash()
    journal = Journal(flash)
    for record in (("A", 1, 1, VEND, "A1"), ("S", 1, 1, True), ("L", 1, 1), ("P", 1, 1)):
        journal.append(record)
    journal.append(("D", 1, 1, "done", True, True, True, True, 1500))
    flash.files[FILES[1]] = flash.files[FILES[1]].replace(f'"{kind}"'.encode(), f'"{kind.lower()}"'.encode())
    again = Journal(flash)
    assert again.id != journal.id
    # The next boot finds nothing damaged any more, and must doubt as much.
    for booted in (Journal(MemoryFlash(flash.files)), again):
        assert booted.id == again.id
        # With nothing left of the VEND, this is what tells the gateway that it is lost.
        assert booted.state.highest == ((0, 0) if kind == "A" else (1, 1))
        assert judged(booted, home_now) == outcomes


def test_a_newest_file_that_is_damaged_at_its_head_makes_it_another_journal() -> None:
    """What is left is the file before it, which may end right before the vend that was accepted last."""
    flash = MemoryFlash()
    journal = Journal(flash)
    while set(flash.files) != set(FILES):
        journal.append(("H", 1, 1))
    journal.append(("A", 1, 2, VEND, "A1"))
    # The journal begins with generation 1 in the file of odd ones, so this one is the newer.
    flash.files[FILES[0]] = b"x" + flash.files[FILES[0]][1:]
    again = Journal(flash)
    assert (again.state.highest, again.id != journal.id) == ((1, 1), True)
    assert Journal(flash).id == again.id


def test_a_wiped_flash_begins_another_journal(tmp_path: Path) -> None:
    journal = Journal(Flash(str(tmp_path)))
    for name in FILES:
        (tmp_path / name).unlink(missing_ok=True)
    assert Journal(Flash(str(tmp_path))).id != journal.id


def test_a_flash_that_fails_gives_no_leave_but_what_happened_is_told() -> None:
    flash = MemoryFlash()
    journal = Journal(flash)
    journal.append(("A", 1, 1, VEND, "A1"))
    journal.append(("S", 1, 1, True))
    flash.full = True
    with pytest.raises(JournalFailed):
        journal.append(("A", 1, 2, VEND, "A1"))
    assert not journal.room()
    journal.note(("D", 1, 1, "done", True, True, True, True, 1500))
    assert journal.state.vends[0].result == "done"
    flash.full = False
    with pytest.raises(JournalFailed):
        journal.append(("A", 1, 2, VEND, "A1"))
    journal.repair()
    assert journal.room()
    again = Journal(MemoryFlash(flash.files))
    assert (again.id, again.state) == (journal.id, journal.state)


def test_it_is_not_repaired_while_a_motor_turns() -> None:
    """Writing takes its time, and a motor that nobody watches turns too far."""
    flash = MemoryFlash()
    journal = Journal(flash)
    journal.append(("A", 1, 1, VEND, "A1"))
    journal.append(("S", 1, 1, True))
    flash.full = True
    journal.note(("P", 1, 1))
    flash.full = False
    journal.repair()
    assert journal.failed
    journal.note(("D", 1, 1, "done", True, True, True, True, 1500))
    journal.repair()
    assert not journal.failed


@pytest.mark.parametrize("lie", ["read", "read_end"])
def test_a_flash_that_reads_back_something_else_gives_no_leave(lie: str) -> None:
    """Neither of a whole file, as at its beginning, nor of a line behind others."""

    class Lying(MemoryFlash):
        def read(self, name: str) -> bytes:
            return b"" if lie == "read" else super().read(name)

        def read_end(self, name: str, size: int) -> bytes:
            return bytes(size) if lie == "read_end" else super().read_end(name, size)

    journal = Journal(Lying())
    with pytest.raises(JournalFailed):
        journal.append(("A", 1, 1, VEND, "A1"))
    assert journal.state == rules.EMPTY


def test_a_full_flash_has_no_room_for_new_work() -> None:
    flash = MemoryFlash()
    journal = Journal(flash)
    assert journal.room()
    flash.full = True
    assert not journal.room()


def test_the_file_with_the_higher_generation_counts() -> None:
    old = encode(("F", 3, 1, VEND)) + encode(("H", 1, 3))
    new = encode(("F", 4, 1, VEND)) + encode(("H", 1, 4))
    assert Journal(MemoryFlash({FILES[1]: old, FILES[0]: new})).state.highest == (1, 4)
    assert Journal(MemoryFlash({FILES[1]: old, FILES[0]: new[:-3]})).state.highest == (1, 3)


def test_a_file_without_a_whole_head_counts_for_nothing() -> None:
    assert decode(b"") is None
    assert decode(encode(("H", 1, 1))) is None
    assert decode(encode(("F", 1, 2, VEND)) + encode(("H", 1, 1))) is None
    assert decode(encode(("F", 1, 1)) + encode(("H", 1, 1))) is None
