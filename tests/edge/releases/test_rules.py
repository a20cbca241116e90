"""Whom the gateway believes a release, and when a device is offered one."""

import random
from datetime import UTC, datetime

import pytest

from edge.releases import rules
from edge.releases.rules import NotBelieved, believe, is_reached, keys_by_id
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


@pytest.mark.criterion("8.5")
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


@pytest.mark.criterion("8.5")
def test_no_touched_byte_and_no_cut_passes() -> None:
    """R16 where a release comes to the gateway: a random bit of each byte, and each shorter text."""
    document, dice = GOOD.to_line(), random.Random(16)
    for place in range(len(document)):
        touched = bytearray(document)
        touched[place] ^= 1 << dice.randrange(8)
        for mutant in (bytes(touched), document[:place]):
            with pytest.raises(NotBelieved):
                believe(mutant, KEYS)


def test_without_keys_nobody_is_believed() -> None:
    with pytest.raises(NotBelieved):
        believe(GOOD.to_line(), keys_by_id([]))


def test_it_expires_to_the_second() -> None:
    manifest = believe(signed_release(expires=1_800_000_000).signed.to_line(), KEYS)
    assert not rules.has_expired(manifest, datetime.fromtimestamp(1_799_999_999, UTC))
    assert rules.has_expired(manifest, datetime.fromtimestamp(1_800_000_000, UTC))


@pytest.mark.parametrize(
    ("running", "state", "offered", "reached"),
    [
        (None, State.VALID, None, False),
        (WANTED, State.VALID, None, True),
        (WANTED, State.VALID, WANTED, True),
        (WANTED, State.TRIAL, WANTED, False),
        (WANTED, State.FAILED, OTHER, True),
        (WANTED, State.FETCHING, OTHER, True),
        (OTHER, State.VALID, WANTED, True),  # an image of MicroPython, beside the app
        (OTHER, State.FAILED, WANTED, False),
        (OTHER, State.FETCHING, WANTED, False),
        (OTHER, State.TRIAL, WANTED, False),
        (None, State.VALID, OTHER, False),
    ],
)
def test_what_a_device_has_by_its_own_word(
    running: str | None, state: State, offered: str | None, reached: bool
) -> None:
    assert is_reached(WANTED, running, state, offered) is reached
