"""Whom the gateway believes a release, and when a device is offered one."""

from datetime import UTC, datetime

import pytest

from edge.releases import rules
from edge.releases.rules import FETCH_QUIET_S, NotBelieved, believe, is_due, is_reached, keys_by_id
from shared.releases import FirmwareState as State
from shared.signed import Purpose, SignedText
from tests.fakes.release_key import KEY, PUBLIC, STRANGER, signed_release

KEYS = keys_by_id([PUBLIC])
GOOD = signed_release().signed
WANTED, OTHER = "aa" * 32, "bb" * 32


def test_what_a_known_key_has_signed_is_believed() -> None:
    assert believe(GOOD.to_line(), KEYS).version == "1.0.0"


def signed_by_hand(text: str, purpose: Purpose = Purpose.RELEASE) -> SignedText:
    signature = KEY.sign(f"larder-{purpose}\n{text}".encode()).hex()
    return GOOD.model_copy(update={"text": text, "signature": signature})


@pytest.mark.criterion("8.3")
@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        GOOD.model_copy(update={"text": GOOD.text + " "}).to_line(),
        signed_release(key=STRANGER).signed.to_line(),
        signed_release(key=STRANGER).signed.model_copy(update={"key": GOOD.key}).to_line(),
        signed_by_hand(GOOD.text, Purpose.SETTINGS).to_line(),
        signed_by_hand('{"v":1}').to_line(),
    ],
)
def test_nothing_else_is(document: bytes) -> None:
    with pytest.raises(NotBelieved):
        believe(document, KEYS)


def test_without_keys_nobody_is_believed() -> None:
    with pytest.raises(NotBelieved):
        believe(GOOD.to_line(), keys_by_id([]))


def test_it_expires_to_the_second() -> None:
    manifest = believe(signed_release(expires=1_800_000_000).signed.to_line(), KEYS)
    assert not rules.has_expired(manifest, datetime.fromtimestamp(1_799_999_999, UTC))
    assert rules.has_expired(manifest, datetime.fromtimestamp(1_800_000_000, UTC))


def test_reached_is_what_runs_and_has_proven_itself() -> None:
    assert is_reached(WANTED, WANTED, State.VALID)
    assert not is_reached(WANTED, WANTED, State.TRIAL)
    assert not is_reached(WANTED, OTHER, State.VALID)
    assert not is_reached(WANTED, None, State.VALID)


@pytest.mark.parametrize(
    ("running", "state", "offered", "quiet_s", "due"),
    [
        (None, State.VALID, None, 0.0, True),
        (OTHER, State.VALID, WANTED, 0.0, True),
        (OTHER, State.FAILED, WANTED, 0.0, True),
        (OTHER, State.FETCHING, OTHER, 0.0, True),
        (OTHER, State.FETCHING, WANTED, FETCH_QUIET_S - 1, False),
        (OTHER, State.FETCHING, WANTED, FETCH_QUIET_S, True),
        (OTHER, State.TRIAL, OTHER, 1e9, False),
        (WANTED, State.TRIAL, WANTED, 1e9, False),
        (WANTED, State.VALID, WANTED, 1e9, False),
        (WANTED, State.FAILED, OTHER, 1e9, False),
    ],
)
def test_when_a_device_is_offered_its_release(
    running: str | None, state: State, offered: str | None, quiet_s: float, due: bool
) -> None:
    assert is_due(WANTED, running, state, offered, quiet_s) is due
