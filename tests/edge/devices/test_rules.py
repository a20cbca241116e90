"""What a hello tells about the two sides' memories."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from edge.devices.rules import is_ahead, is_wiped
from shared.devices import Hello

numbers = st.tuples(st.integers(0, 3), st.integers(0, 3))


def hello(epoch: int, seq: int) -> Hello:
    return Hello(boot_id=UUID(int=1), firmware="1.0.0", epoch=epoch, seq=seq, nonce="0" * 16, open=())


@given(numbers, numbers)
def test_ahead_wiped_or_as_we_left_it(told: tuple[int, int], known: tuple[int, int]) -> None:
    ahead, wiped = is_ahead(hello(*told), *known), is_wiped(hello(*told), *known)
    assert (ahead, wiped) == (told > known, told < known)


def test_the_epoch_counts_before_the_seq() -> None:
    assert is_ahead(hello(2, 1), 1, 99)
    assert is_wiped(hello(1, 99), 2, 1)
