"""What is taken out of texts and fields, and what is left."""

import json
import logging
import random
from typing import Any

import pytest
import structlog

from cloud import logs
from cloud.clock import new_id
from cloud.scrubbing import is_card, is_secret, json_without_cards, scrubbed, scrubbed_text, where_card

CARDS = (
    "4111111111111111",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "5555555555554444",
    "378282246310005",
    "3782 822463 10005",
    "6011111111111117",
    "4222222222222",
    "6304000000000000000",
)
"""Numbers that card schemes give to testers."""


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("around", ["{}", "card {} ok", "x{}y", "{} 123", "12/28 {}", '{{"n": "{}"}}', "a={};b"])
def test_a_card_number_is_hidden_wherever_it_stands(card: str, around: str) -> None:
    hidden = scrubbed_text(around.format(card))
    assert "***" in hidden
    assert card not in hidden
    assert scrubbed({"n": int(card.replace(" ", "").replace("-", ""))}) == {"n": "***"}


def test_other_numbers_and_ids_stay() -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for _ in range(300):
        digest = dice.randbytes(32).hex()
        for text in (str(new_id()), new_id().hex, digest, "4111 1111 1111 1112", "2026-11-30T20:50:00.123456+00:00"):
            assert scrubbed_text(text) == text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "dXNlcjpwYXNz"),
        ("key larder_" + "k" * 43, "k" * 43),
        ("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiIxIn0.c2lnbmF0dXJl", "c2lnbmF0dXJl"),
        ("postgresql://larder:hunter2@host/db", "hunter2"),
        ('{"password": "hunter 2", "n": 1}', "hunter 2"),
        ("GET /x?api_key=hunter2&n=1", "hunter2"),
        ("pin=48151623", "48151623"),
        ("Cookie: __Host-larder=hunter2; n=1", "hunter2"),
    ],
)
def test_a_secret_is_hidden_by_what_stands_before_it(text: str, secret: str) -> None:
    hidden = scrubbed_text(text)
    assert secret not in hidden
    assert "***" in hidden


def test_fields_are_hidden_by_their_names_however_deep() -> None:
    for name in (
        "password",
        "apiKey",
        "X-Api-Key",
        "totp_code",
        "recovery_codes",
        "Set-Cookie",
        "wifi.password",
        "PIN",
    ):
        assert is_secret(name), name
    for name in (
        "api_key_id",
        "code_sha256",
        "pinion",
        "key_id",
        "prefix",
        "route",
        "claim_code_expires_at",
        "secretary",
    ):
        assert not is_secret(name), name
    assert scrubbed({"a": [{"pin": 1234, "is_pin": True}, ("x", {"token": "t"})]}) == {
        "a": [{"pin": "***", "is_pin": True}, ["x", {"token": "***"}]]
    }


def test_a_card_in_a_body_is_named_by_its_path() -> None:
    assert where_card(b'{"a": [{"b": "x 5555-5555-5555-4444"}]}') == "a.0.b"
    assert where_card(b'{"a": 4111111111111111}') == "a"
    assert where_card(rb'{"a": "\u0034111\u00201111 1111 1111"}') == "a"
    assert where_card(b'{"a": ' + b"1" * 5000 + b"}") is None
    assert where_card(b'{"4111111111111111": 1}') == ""
    assert where_card(b'{"barcode": "4006381333931", "n": 1764534000000}') is None
    assert not is_card("1111111111111117")


def test_json_without_cards_is_the_same_but_for_them() -> None:
    line = b'{"n":4111111111111111,"s":"4111 1111 1111 1111","e":1.5}'
    assert json.loads(json_without_cards(line)) == {"n": 4111111111111111, "s": "***", "e": 1.5}
    for other in (b'{"n": 1.50}', b"4111111111111111111111 no json"):
        assert json_without_cards(other) == other


@pytest.mark.criterion("4.1")
def test_an_event_is_written_without_secrets_also_in_its_exception(capsys: pytest.CaptureFixture[str]) -> None:
    kept = structlog.get_config()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure("debug")
        try:
            raise ValueError("login of larder:hunter2 with password=hunter2 and 4111 1111 1111 1111")
        except ValueError as error:
            structlog.get_logger().error("failed", exc_info=error, pin="48151623", number=5, told=error)
            logging.getLogger("theirs").exception("password=%s", "hunter2")
    finally:
        structlog.configure(**kept)
        root.handlers[:] = handlers
        root.setLevel(level)
    ours, theirs = map(json.loads, capsys.readouterr().out.splitlines())
    for event in (ours, theirs):
        text = json.dumps(event)
        assert "4111" not in text
        assert "password=hunter2" not in text
        assert "Traceback" in text
    assert (ours["event"], ours["pin"], ours["number"]) == ("failed", "***", 5)


class Opaque:
    """What an event holds by mistake."""

    def __str__(self) -> str:
        return "password=hunter2"


def test_an_object_in_an_event_is_looked_into() -> None:
    event: dict[str, Any] = {"event": "x", "what": Opaque(), "deep": {"what": "token: abc"}}
    assert "hunter2" not in json.dumps(logs.scrub(None, "info", event))
