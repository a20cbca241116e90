"""However a file is cut into pieces, and wherever it was cut off: what is whole comes out as it was written."""

import json
import random
from collections.abc import Iterator
from decimal import Decimal

import pytest

from cloud.lowdb.scanner import RECORD_CHARACTERS, Broken, Found, Other, scan
from tests.fakes import lowdb
from tests.fakes.lowdb import Prototype

ORDERS = {"orders": None}


def pieces(content: bytes, *cuts: int) -> Iterator[bytes]:
    ends = [*sorted(cuts), len(content)]
    yield from (content[begin:end] for begin, end in zip([0, *ends], ends, strict=False) if end > begin)


def read(content: bytes, *cuts: int, collections: dict[str, None] = ORDERS) -> list[Found | Other | Broken]:
    return list(scan(pieces(content, *cuts), collections))


@pytest.mark.criterion("2.6")
@pytest.mark.parametrize("content", [b"", b"  \n", b"{}", b'{"orders": []}', b'{"orders":[ ]}\n'])
def test_nothing_is_legal(content: bytes) -> None:
    assert read(content) == []


@pytest.mark.criterion("2.6")
def test_a_missing_key_means_none_and_what_is_beside_it_is_told() -> None:
    assert read(b'{"users": [1, 2, 3], "version": "4", "more": {"a": 1, "b": 2}}') == [
        Other("users", 3),
        Other("version", 1),
        Other("more", 2),
    ]


@pytest.mark.criterion("2.6")
def test_records_keep_their_very_text_however_the_file_is_cut() -> None:
    text = '{"b": 1.50, "a": [1e2, "\\u00e9\\ud83c\\udf6b é🍫"], "x": 12345678901234567890, "b": 7.0}'
    content = ('\ufeff{"orders": [\n  ' + text + ",\n  null, 5\n]}").encode()
    for cut in range(len(content)):
        first, second, third = read(content, cut)
        assert isinstance(first, Found)
        assert (first.text, first.offset) == (text, len('\ufeff{"orders": [\n  '.encode()))
        assert first.value == {"b": Decimal("7.0"), "a": [Decimal("1e2"), "é🍫 é🍫"], "x": 12345678901234567890}
        assert [one.value for one in (second, third) if isinstance(one, Found)] == [None, 5]


@pytest.mark.criterion("2.6")
def test_whatever_is_whole_in_a_file_that_was_cut_off_comes_out() -> None:
    seed = random.randrange(10**6)
    print("seed", seed)
    chance, orders = random.Random(seed), Prototype(seed=seed).orders(4)
    content = lowdb.text("orders", orders).encode()
    ends = [content.index(json.dumps(order["orderId"]).encode()) for order in orders]
    for length in chance.sample(range(20, len(content)), 150):
        *found, last = read(content[:length], chance.randrange(length), chance.randrange(length))
        assert isinstance(last, Broken)
        assert last.offset <= length
        values = [one.value for one in found if isinstance(one, Found)]
        begun = sum(end < length for end in ends)
        assert values == orders[: len(values)]
        assert begun - 1 <= len(values) <= begun


@pytest.mark.criterion("2.6")
@pytest.mark.parametrize(
    ("content", "whole", "offset"),
    [
        (b'{"orders": [{"a": 1}, {"a": NaN}]}', 1, 22),
        (b'{"orders": [{"a": 1}, {"a": "\xff"}]}', 1, 22),
        (b'{"orders": [{"a": 1}]} {"orders": []}', 1, 23),
        (b'{"orders": [{"a": 1}\0\0\0\0', 1, 20),
        (b'{"orders": [{"a": 1} {"a": 2}]}', 1, 21),
        (b"[" * 100_000, 0, 0),
        (b'{"orders": ' + b"[" * 100_000, 0, 12),
        (b"hello", 0, 0),
    ],
)
def test_where_it_breaks_is_told(content: bytes, whole: int, offset: int) -> None:
    *found, last = read(content)
    assert len(found) == whole
    assert isinstance(last, Broken)
    assert last.offset == offset


@pytest.mark.criterion("2.6")
def test_a_record_without_end_is_not_read_to_the_end_of_memory() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield b'{"orders": ["'
        while True:
            taken += 1
            yield b"x" * (RECORD_CHARACTERS // 10)

    assert isinstance(next(iter(scan(endless(), ORDERS))), Broken)
    assert taken < 15


def test_a_list_without_a_name() -> None:
    (found,) = read(b'[{"a": 1}]', collections={"": None, "orders": None})
    assert isinstance(found, Found)
    assert (found.collection, found.value) == ("", {"a": 1})
