"""What a hello tells about the two sides' memories."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from edge.devices.rules import Journal, is_ahead, is_lost
from shared.devices import Hello

numbers = st.tuples(st.integers(0, 3), st.integers(0, 3))


def hello(epoch: int, seq: int) -> Hello:
    boot_id, journal_id = UUID(int=1), UUID(int=2)
    return Hello(
        boot_id=boot_id, journal_id=journal_id, firmware="1.0.0", epoch=epoch, seq=seq, nonce="0" * 16, open=()
    )


@given(numbers, numbers)
def test_ahead_shorter_or_as_we_left_it(told: tuple[int, int], known: tuple[int, int]) -> None:
    ahead, lost = is_ahead(hello(*told), *known), is_lost(Journal("x", known), Journal("x", told))
    assert (ahead, lost) == (told > known, told < known)


@given(numbers, numbers)
def test_another_journal_means_that_the_one_before_is_lost(told: tuple[int, int], known: tuple[int, int]) -> None:
    assert is_lost(Journal("x", known), Journal("y", told))


@given(numbers)
def test_the_first_journal_ever_told_of_is_no_loss(told: tuple[int, int]) -> None:
    assert not is_lost(Journal(None, (0, 0)), Journal("x", told))


def test_the_epoch_counts_before_the_seq() -> None:
    assert is_ahead(hello(2, 1), 1, 99)
    assert is_lost(Journal("x", (2, 1)), Journal("x", (1, 99)))
