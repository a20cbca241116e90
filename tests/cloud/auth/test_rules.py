"""What makes a password, a code or an address good."""

from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from cloud.auth import rules

NOW = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "at least 12"),
        ("x" * 257, "at most 256"),
        ("aaaabbbbaaaabbbb", "too few"),
        ("abcdefghijklmnop", "row"),
        ("9876543210987654", "row"),
        ("anna@snacks.example", "too close"),
        ("larderlarder12", "too close"),
        ("Password12345", "too close"),
    ],
)
def test_weak_passwords_are_told_why(password: str, why: str) -> None:
    told = rules.why_weak(password, "anna@snacks.example", "Anna")
    assert told is not None
    assert why in told


@pytest.mark.parametrize("password", ["seven red boats at noon", "kT9#vv2-qPz!x", "ünïcödé straße 7"])
def test_good_passwords_need_no_special_signs(password: str) -> None:
    assert rules.why_weak(password, "anna@snacks.example", "Anna") is None


@pytest.mark.parametrize("address", ["a@b.example", "Anna.O'Neil+x@snacks.co.example", "ünï@snäcks.example"])
def test_addresses(address: str) -> None:
    assert rules.is_address(address)


@pytest.mark.parametrize(
    "address",
    [
        *("", "a", "a@b", "a b@c.example", "a@b.example\n", "@b.example", "a@b..", "x" * 250 + "@b.example"),
        *("x:;@a.b", "a@[.b", "<@a.b", "a,b@a.b", "a\u2028@b.example"),
    ],
)
def test_no_addresses(address: str) -> None:
    assert not rules.is_address(address)


def test_an_address_is_found_however_it_is_typed() -> None:
    assert rules.folded(" Anna@Snacks.EXAMPLE ") == rules.folded("anna@snacks.example")


def test_a_code_counts_once_and_only_for_a_while() -> None:
    seed = rules.new_totp_seed()
    code = pyotp.TOTP(seed).at(NOW)
    step = rules.totp_step(seed, code, 0, NOW)
    assert step is not None
    assert rules.totp_step(seed, code, step, NOW) is None
    assert rules.totp_step(seed, code, 0, NOW + timedelta(seconds=30)) == step
    assert rules.totp_step(seed, code, 0, NOW - timedelta(seconds=30)) == step
    assert rules.totp_step(seed, code, 0, NOW + timedelta(seconds=61)) is None
    assert rules.totp_step(rules.new_totp_seed(), code, 0, NOW) is None
    assert rules.totp_step(seed, "", 0, NOW) is None
    assert rules.totp_step(seed, "é12345", 0, NOW) is None


def test_codes_are_those_of_the_standard() -> None:
    """RFC 6238, appendix B, of SHA-1: the last six of its eight digits."""
    seed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        assert rules.totp_step(seed, code, 0, datetime.fromtimestamp(seconds, UTC)) == seconds // 30


def test_recovery_codes_differ_and_may_be_typed_carelessly() -> None:
    codes = rules.new_recovery_codes()
    assert len(set(codes)) == rules.RECOVERY_CODES
    assert all(
        rules.recovery_sha256(code) == rules.recovery_sha256(f" {code.lower().replace('-', ' ')}") for code in codes
    )
