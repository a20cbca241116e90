"""The power goes at every byte of every write of the journal, and every bit flips: nothing is forgotten unseen."""

from collections.abc import Iterator

import pytest

from firmware.vending import recovery, rules
from firmware.vending.journal import FILES, Journal, encode
from tests.fakes.memory_flash import MemoryFlash

STORY: list[tuple[object, ...]] = []
for number in range(1, 5):
    vend = f"01890000-0000-7000-8000-{number:012}"
    STORY += [("A", 1, number, vend, "A1"), ("S", 1, number, True), ("L", 1, number), ("P", 1, number)]
    STORY += [("D", 1, number, "done", True, True, True, True, 1500), ("C", vend, 1000 * number)]
    STORY += [("K", 1, number), ("KC", vend)] if number % 2 else []
STORY += [("X", 1, 9, vend, "cancelled"), ("A", 1, 10, vend, "A2"), ("X", 1, 10, vend, "cancelled")]
STORY += [("A", 2, 1, vend, "A1"), ("H", 2, 3), ("S", 2, 1, None), ("L", 2, 1), ("KC", vend), ("P", 2, 1)]
FILE_BYTES = 900
"""So small that the story leaves a file for the other three times."""


class Told:
    """The story, written: after record n-1 the flash holds `files[n]`, which means `states[n]`; `id` is its journal."""

    def __init__(self) -> None:
        self.flash = MemoryFlash()
        journal = Journal(self.flash, FILE_BYTES)
        self.id = journal.id
        self.states = [rules.EMPTY]
        self.files = [dict(self.flash.files)]
        for record in STORY:
            journal.append(record)
            self.states.append(rules.apply(self.states[-1], record))
            self.files.append(dict(self.flash.files))


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


def load(files: dict[str, bytes]) -> Journal:
    return Journal(MemoryFlash(files), FILE_BYTES)


def test_the_story_has_every_kind_of_record_and_both_files_in_turn(told: Told) -> None:
    assert {record[0] for record in STORY} == set(rules._APPLY)
    assert len(told.flash.writes) == 1 + len(STORY)
    switched_to = [write.name for write in told.flash.writes if not write.kept]
    assert switched_to == [FILES[1], FILES[0], FILES[1], FILES[0]]


def test_the_power_may_go_at_every_byte_of_every_write(told: Told) -> None:
    """What was acknowledged is there, and of what was being written all or nothing, in the same journal."""
    for number in range(len(STORY)):
        for size, files in enumerate(told.flash.writes[1 + number].cuts()):
            again = load(files)
            assert again.state in told.states[number : number + 2], (number, size)
            assert (again.id, again.failed) == (told.id, False), (number, size)


def test_the_power_may_go_at_every_byte_of_the_first_file() -> None:
    flash = MemoryFlash()
    Journal(flash)
    for files in flash.writes[0].cuts():
        assert load(files).state == rules.EMPTY


def test_the_power_may_go_again_at_every_byte_of_the_repair(told: Told) -> None:
    for number in range(len(STORY)):
        *_, torn = told.flash.writes[1 + number].cuts()
        first = MemoryFlash(torn)
        state = Journal(first, FILE_BYTES).state
        for write in first.writes:
            for files in write.cuts():
                again = load(files)
                assert (again.id, again.state) == (told.id, state), number


def test_what_is_written_after_a_cut_is_there_after_the_next(told: Told) -> None:
    for number in range(len(STORY)):
        for files in told.flash.writes[1 + number].cuts():
            flash = MemoryFlash(files)
            again = Journal(flash, FILE_BYTES)
            again.append(("A", 3, 1, vend, "A1"))
            assert load(flash.files).state == again.state
            assert again.state.highest == (3, 1)


@pytest.mark.parametrize("filler", [b"\xff", b"\x00"])
def test_erased_bytes_at_the_end_are_no_cut(told: Told, filler: bytes) -> None:
    """Nothing unwritten lies within a file of littlefs: what was acknowledged there is gone, and doubted."""
    for number in range(1, len(STORY) + 1):
        _, name, kept, data = told.flash.writes[number]
        size = len(encode(STORY[number - 1]))
        for erased in range(1, size + 1):
            damaged = (kept + data)[:-erased] + filler * erased
            again = load(told.files[number] | {name: damaged})
            assert again.id != told.id, (number, erased)
            assert again.state == recovery.doubt(told.states[number - 1]), (number, erased)


def flipped(data: bytes, at: int) -> Iterator[bytes]:
    for bit in range(8):
        yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def test_no_bit_of_the_last_line_flips_unseen(told: Told) -> None:
    """It was acknowledged and is gone: so it is another journal, and what it may have given leave to is doubted."""
    for number in range(1, len(STORY) + 1):
        _, name, kept, data = told.flash.writes[number]
        for at in range(len(kept + data) - len(encode(STORY[number - 1])), len(kept + data)):
            for damaged in flipped(kept + data, at):
                again = load(told.files[number] | {name: damaged})
                assert again.id != told.id, (number, at)
                assert again.state == recovery.doubt(told.states[number - 1]), (number, at)


@pytest.mark.parametrize("number", [len(STORY) - 9, len(STORY)])
def test_no_bit_of_either_file_flips_to_less_of_the_same_journal(told: Told, number: int) -> None:
    doubted = [recovery.doubt(state) for state in told.states[: number + 1]]
    for name in FILES:
        for at in range(len(told.files[number][name])):
            for damaged in flipped(told.files[number][name], at):
                again = load(told.files[number] | {name: damaged})
                if again.id == told.id:
                    assert again.state == told.states[number], (name, at)
                else:
                    assert again.state in doubted, (name, at)


def test_a_cut_of_the_repair_leaves_what_is_damaged_doubted(told: Told) -> None:
    """The repair writes over the damaged file itself, if that was the newer: the one before it must tell by then."""
    for number, write in enumerate(told.flash.writes):
        for at in (0, len(write.data) // 2, len(write.data) - 1) if number > 0 and not write.kept else ():
            flash = MemoryFlash(told.files[number] | {write.name: next(flipped(write.data, at))})
            doubted = Journal(flash, FILE_BYTES).state
            for repair in flash.writes:
                for files in repair.cuts():
                    again = load(files)
                    assert (again.id != told.id, again.state) == (True, doubted), (number, at)
