"""The journal on flash: whole at every byte at which the power may go, bounded, and honest about a flash that fails."""

from pathlib import Path

import pytest

from edge.dispensing.rules import judge
from firmware.vending import messages, rules
from firmware.vending.flash import Flash
from firmware.vending.journal import FILES, MAX_BYTES, Journal, JournalFailed, decode, encode
from shared.devices import VendReport
from shared.orders import VendOutcome

BOOT_ID = "01890000-0000-7000-8000-00000000000b"
RECORDS: list[tuple[object, ...]] = []
for number in range(1, 5):
    vend = f"01890000-0000-7000-8000-{number:012}"
    RECORDS += [("A", 1, number, vend, "A1"), ("S", 1, number, True), ("L", 1, number), ("P", 1, number)]
    RECORDS += [("D", 1, number, "done", True, True, True, True, 1500), ("C", vend, 1000 * number)]
    RECORDS += [("K", 1, number), ("KC", vend)] if number % 2 else []
RECORDS += [("X", 1, 9, vend, "cancelled")]


class PowerCut(BaseException):
    """The power goes in the middle of a write."""


class CutFlash(Flash):
    """Flash in memory that stores the first `budget` bytes ever written and then goes dark."""

    def __init__(self, budget: int, files: dict[str, bytes] | None = None) -> None:
        super().__init__("")
        self.files = dict(files or {})
        self.budget = budget
        self.written = 0
        self.full = False

    def read(self, name: str) -> bytes:
        return self.files.get(name, b"")

    def read_end(self, name: str, size: int) -> bytes:
        return self.files[name][-size:]

    def append(self, name: str, data: bytes) -> None:
        self._store(name, self.files.get(name, b""), data)

    def replace(self, name: str, data: bytes) -> None:
        self._store(name, b"", data)

    def free_bytes(self) -> int:
        return 0 if self.full else 10**6

    def _store(self, name: str, before: bytes, data: bytes) -> None:
        if self.full:
            raise OSError(28, "no space left")
        room = self.budget - self.written
        self.written += len(data)
        self.files[name] = before + data[: max(0, room)]
        if room < len(data):
            raise PowerCut


def states_of(records: list[tuple[object, ...]]) -> list[rules.Journal]:
    states = [rules.EMPTY]
    for record in records:
        states.append(rules.apply(states[-1], record))
    return states


def write_all(journal: Journal, records: list[tuple[object, ...]]) -> int:
    """How many records were on flash, for all the writer knows, when the power went."""
    for done, record in enumerate(records):
        try:
            journal.append(record)
        except PowerCut:
            return done
    return len(records)


def test_the_power_may_go_at_every_byte() -> None:
    states = states_of(RECORDS)
    whole = CutFlash(10**6)
    write_all(Journal(whole), RECORDS)
    for budget in range(whole.written):
        flash = CutFlash(budget)
        try:
            done = write_all(Journal(flash), RECORDS)
        except PowerCut:
            done = 0
        healed = CutFlash(10**6, flash.files)
        again = Journal(healed)
        # A record may be whole on flash before the writer knows it, but never two.
        assert again.state in states[done : done + 2], budget
        again.append(("A", 2, 1, vend, "A1"))
        healed_again = Journal(CutFlash(10**6, healed.files))
        assert (healed_again.id, healed_again.state) == (again.id, again.state), budget


def test_the_power_may_go_at_every_byte_of_a_compaction() -> None:
    whole = CutFlash(10**6)
    journal = Journal(whole)
    while journal.size + 40 < MAX_BYTES:
        journal.append(("L", 1, 1))
    before = dict(whole.files)
    last = ("X", 3, 7, vend, "cancelled")
    cut_somewhere = 0
    for budget in range(400):
        flash = CutFlash(budget, before)
        done = write_all(Journal(flash), [last, last])
        cut_somewhere += done < 2
        again = Journal(CutFlash(10**6, flash.files))
        assert again.state.highest == (3, 7) or (again.state.highest == (0, 0) and done == 0), budget
        assert again.id == journal.id, budget
    assert cut_somewhere > 100


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


@pytest.mark.parametrize(("damage", "state"), [(b"\xff", "accepted"), (b"\n", "started"), (b"", "accepted")])
def test_a_damaged_tail_is_dropped_and_not_built_upon(tmp_path: Path, damage: bytes, state: str) -> None:
    journal = Journal(Flash(str(tmp_path)))
    journal.append(("A", 1, 1, vend, "A1"))
    journal.append(("S", 1, 1, True))
    path = tmp_path / FILES[1]
    path.write_bytes(path.read_bytes()[:-5] + damage)
    again = Journal(Flash(str(tmp_path)))
    assert [found.state for found in again.state.vends] == [state]
    again.append(("X", 1, 1, vend, "not_started"))
    assert Journal(Flash(str(tmp_path))).state == again.state


@pytest.mark.parametrize("torn", [b"", b"x", b"0123abcd [", encode(("A", 1, 2, vend, "A1"))[:-1]])
def test_a_write_that_was_cut_short_leaves_the_same_journal(torn: bytes) -> None:
    flash = CutFlash(10**6)
    journal = Journal(flash)
    journal.append(("A", 1, 1, vend, "A1"))
    flash.files[FILES[1]] += torn
    for _ in range(2):
        assert Journal(flash).id == journal.id


def judged(journal: Journal, home_now: bool) -> list[VendOutcome]:
    """What the gateway makes of the reports of the boot that loaded `journal`."""
    for record in rules.recover(journal.state, {"A1": home_now}):
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
    flash = CutFlash(10**6)
    journal = Journal(flash)
    write_all(journal, RECORDS[:5])
    flash.files[FILES[1]] = flash.files[FILES[1]].replace(f'"{kind}"'.encode(), f'"{kind.lower()}"'.encode())
    again = Journal(flash)
    assert again.id != journal.id
    # The next boot finds nothing damaged any more, and must doubt as much.
    for booted in (Journal(CutFlash(10**6, flash.files)), again):
        assert booted.id == again.id
        # With nothing left of the vend, this is what tells the gateway that it is lost.
        assert booted.state.highest == ((0, 0) if kind == "A" else (1, 1))
        assert judged(booted, home_now) == outcomes


def test_a_newest_file_that_is_damaged_at_its_head_makes_it_another_journal() -> None:
    """What is left is the file before it, which may end right before the vend that was accepted last."""
    flash = CutFlash(10**6)
    journal = Journal(flash)
    while set(flash.files) != set(FILES):
        journal.append(("H", 1, 1))
    journal.append(("A", 1, 2, vend, "A1"))
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
    flash = CutFlash(10**6)
    journal = Journal(flash)
    journal.append(("A", 1, 1, vend, "A1"))
    journal.append(("S", 1, 1, True))
    flash.full = True
    with pytest.raises(JournalFailed):
        journal.append(("A", 1, 2, vend, "A1"))
    assert not journal.room()
    journal.note(("D", 1, 1, "done", True, True, True, True, 1500))
    assert journal.state.vends[0].result == "done"
    flash.full = False
    with pytest.raises(JournalFailed):
        journal.append(("A", 1, 2, vend, "A1"))
    journal.repair()
    assert journal.room()
    again = Journal(CutFlash(10**6, flash.files))
    assert (again.id, again.state) == (journal.id, journal.state)


def test_it_is_not_repaired_while_a_motor_turns() -> None:
    """Writing takes its time, and a motor that nobody watches turns too far."""
    flash = CutFlash(10**6)
    journal = Journal(flash)
    journal.append(("A", 1, 1, vend, "A1"))
    journal.append(("S", 1, 1, True))
    flash.full = True
    journal.note(("P", 1, 1))
    flash.full = False
    journal.repair()
    assert journal.failed
    journal.note(("D", 1, 1, "done", True, True, True, True, 1500))
    journal.repair()
    assert not journal.failed


def test_a_flash_that_reads_back_something_else_gives_no_leave() -> None:
    class Lying(CutFlash):
        def read_end(self, name: str, size: int) -> bytes:
            return bytes(size)

    journal = Journal(Lying(10**6))
    with pytest.raises(JournalFailed):
        journal.append(("A", 1, 1, vend, "A1"))
    assert journal.state == rules.EMPTY


def test_a_full_flash_has_no_room_for_new_work() -> None:
    flash = CutFlash(10**6)
    journal = Journal(flash)
    assert journal.room()
    flash.full = True
    assert not journal.room()


def test_the_file_with_the_higher_generation_counts() -> None:
    old = encode(("F", 3, 1, vend)) + encode(("H", 1, 3))
    new = encode(("F", 4, 1, vend)) + encode(("H", 1, 4))
    assert Journal(CutFlash(10**6, {FILES[1]: old, FILES[0]: new})).state.highest == (1, 4)
    assert Journal(CutFlash(10**6, {FILES[1]: old, FILES[0]: new[:-3]})).state.highest == (1, 3)


def test_a_file_without_a_whole_head_counts_for_nothing() -> None:
    assert decode(b"") is None
    assert decode(encode(("H", 1, 1))) is None
    assert decode(encode(("F", 1, 2, vend)) + encode(("H", 1, 1))) is None
    assert decode(encode(("F", 1, 1)) + encode(("H", 1, 1))) is None
