"""Files on the gateway's disk: whole and right, or not there."""

import hashlib
from pathlib import Path

import pytest

from edge.errors import StorageFull
from edge.shelf import FileDamaged, Shelf

DATA = bytes(range(256)) * 20
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "parcels"


@pytest.fixture
def shelf(folder: Path) -> Shelf:
    return Shelf(folder, limit_bytes=3 * len(DATA))


def test_what_was_put_is_read_from_anywhere(shelf: Shelf) -> None:
    assert shelf.put(DATA) == DIGEST
    assert shelf.put(DATA) == DIGEST
    assert shelf.read(DIGEST, 0, 1536) == DATA[:1536]
    assert shelf.read(DIGEST, 5000, 1536) == DATA[5000:]
    assert shelf.read(DIGEST, len(DATA), 1536) == b""
    assert shelf.read("00" * 32, 0, 1536) == b""


@pytest.mark.criterion("8.5")
@pytest.mark.parametrize("place", [0, len(DATA) // 2, len(DATA) - 1])
def test_a_file_that_the_disk_has_damaged_is_gone(shelf: Shelf, folder: Path, place: int) -> None:
    shelf.put(DATA)
    damaged = bytearray(DATA)
    damaged[place] ^= 1
    (folder / DIGEST).write_bytes(damaged)
    assert shelf.read(DIGEST, 0, 16) == b""
    assert not (folder / DIGEST).exists()
    assert shelf.put(DATA) == DIGEST
    assert shelf.read(DIGEST, 0, 16) == DATA[:16]


def test_a_damaged_file_is_found_out_also_by_one_who_begins_in_its_middle(shelf: Shelf, folder: Path) -> None:
    shelf.put(DATA)
    (folder / DIGEST).write_bytes(DATA[:-1])
    assert Shelf(folder).read(DIGEST, 1536, 16) == b""


@pytest.mark.criterion("8.5")
def test_a_download_goes_on_where_it_was_cut(shelf: Shelf, folder: Path) -> None:
    assert shelf.begin(DIGEST, len(DATA)) == 0
    shelf.append(DIGEST, DATA[:3000])
    again = Shelf(folder)
    assert again.begin(DIGEST, len(DATA)) == 3000
    assert not again.holds(DIGEST)
    assert again.read(DIGEST, 0, 16) == b""
    again.append(DIGEST, DATA[3000:])
    again.finish(DIGEST)
    assert again.holds(DIGEST)


def test_what_is_not_the_file_that_was_asked_for_is_thrown_away(shelf: Shelf, folder: Path) -> None:
    shelf.begin(DIGEST, len(DATA))
    shelf.append(DIGEST, DATA[:-1] + b"x")
    with pytest.raises(FileDamaged):
        shelf.finish(DIGEST)
    assert list(folder.iterdir()) == []
    with pytest.raises(FileDamaged):
        shelf.finish(DIGEST)


def test_a_part_that_is_longer_than_its_file_is_begun_anew(shelf: Shelf) -> None:
    shelf.begin(DIGEST, len(DATA))
    shelf.append(DIGEST, DATA + b"more")
    assert shelf.begin(DIGEST, len(DATA)) == 0


def test_more_than_the_limit_is_refused(shelf: Shelf) -> None:
    shelf.put(DATA)
    other = "00" * 32
    shelf.begin(other, len(DATA))
    shelf.append(other, DATA)
    with pytest.raises(StorageFull):
        shelf.begin("11" * 32, len(DATA) + 1)
    assert shelf.begin("11" * 32, len(DATA)) == 0
    assert shelf.begin(other, len(DATA) * 2) == len(DATA)


def test_what_was_put_stays_until_it_was_permitted_once(shelf: Shelf, folder: Path) -> None:
    shelf.put(DATA)
    assert shelf.free_to_go() == frozenset()
    shelf.discard(DIGEST)
    assert shelf.holds(DIGEST)
    shelf.unpin(frozenset({DIGEST}))
    assert shelf.free_to_go() == {DIGEST}
    shelf.discard(DIGEST)
    assert not shelf.holds(DIGEST)
    shelf.begin(DIGEST, len(DATA))
    shelf.append(DIGEST, DATA[:9])
    assert shelf.free_to_go() == {DIGEST}
    shelf.discard(DIGEST)
    assert list(folder.iterdir()) == []
