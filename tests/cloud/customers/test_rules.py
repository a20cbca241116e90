"""Telephone numbers in one form, and by which index they are found."""

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.customers.rules import WrongPhone, for_people, in_one_form
from cloud.encryption.columns import PHONE_INDEX
from tests.fakes.encryption_keys import keyring

OURS, THEIRS = UUID(int=1), UUID(int=2)
INDIAN = st.from_regex(r"\A[6-9][0-9]{9}\Z")


@settings(max_examples=30)
@given(INDIAN, st.sampled_from(["{}", "0{}", "+91{}", "+91 {}", "0091{}", "+91-({})"]))
def test_a_number_has_one_form_however_it_is_written(number: str, spelling: str) -> None:
    spaced = f"{number[:5]} {number[5:]}"
    assert in_one_form(spelling.format(number), "IN") == in_one_form(spaced, "IN") == f"+91{number}"
    assert in_one_form(for_people(f"+91{number}"), "DE") == f"+91{number}"


@settings(max_examples=30)
@given(INDIAN, INDIAN)
def test_its_index_is_equal_for_this_number_and_tenant_alone(one: str, other: str) -> None:
    (index,) = PHONE_INDEX.all_of(keyring(), OURS, one)
    assert one not in index
    assert (PHONE_INDEX.all_of(keyring("another"), OURS, other) == [index]) is (one == other)
    assert PHONE_INDEX.all_of(keyring(), THEIRS, one) != [index]
    assert PHONE_INDEX.all_of(keyring(indexes=("new", "blind index")), OURS, one)[1] == index


def test_a_country_decides_only_what_has_no_plus() -> None:
    assert in_one_form("0171 1234567", "DE") == "+491711234567"
    assert in_one_form("+49 171 1234567", "IN") == "+491711234567"
    assert in_one_form("०९८२०० १२३४५", "IN") == "+919820012345"


@pytest.mark.parametrize("typed", ["12", "9820012345678901", "+999 123456", "98200 CALL1", "tel:98200"])
def test_what_is_no_number_is_refused_and_not_quoted(typed: str) -> None:
    with pytest.raises(WrongPhone) as refusal:
        in_one_form(typed, "IN")
    assert typed not in str(refusal.value)
