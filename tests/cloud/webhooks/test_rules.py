"""Signatures as the specification has them, pauses, and which facts are told."""

import base64
import hmac
from datetime import UTC, datetime, timedelta

from cloud.webhooks.rules import (
    LONGEST_PAUSE,
    LONGEST_WISHED_PAUSE,
    MOST_TRIES,
    SOURCES,
    EventType,
    longest_pause,
    problem_of,
    retry_after,
    secret_of,
    signature_of,
)
from shared.sync import FACT

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)


def test_the_example_of_the_specification_is_signed_alike() -> None:
    secret, at = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", datetime.fromtimestamp(1614265330, UTC)
    told = signature_of([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')
    assert told == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_two_secrets_make_two_signatures() -> None:
    secrets = [secret_of(bytes([number] * 32)) for number in (1, 2)]
    told = signature_of(secrets, "id", NOW, b"{}").split(" ")
    signed = f"id.{int(NOW.timestamp())}.{{}}".encode()
    for number, signature in zip((1, 2), told, strict=True):
        expected = base64.b64encode(hmac.digest(bytes([number] * 32), signed, "sha256")).decode()
        assert signature == f"v1,{expected}"


def test_pauses_grow_and_end_after_about_a_day() -> None:
    pauses = [longest_pause(tries) for tries in range(1, MOST_TRIES)]
    assert pauses[0] == timedelta(seconds=10)
    assert pauses == sorted(pauses)
    assert max(pauses) == LONGEST_PAUSE
    # Of each a random part is waited, half of it on average.
    assert timedelta(hours=20) < sum(pauses, timedelta()) / 2 < timedelta(hours=28)


def test_retry_after_is_honoured_within_bounds() -> None:
    assert retry_after("120", NOW) == timedelta(seconds=120)
    assert retry_after("Sat, 14 Mar 2026 09:27:53 GMT", NOW) == timedelta(seconds=60)
    assert retry_after("Sat, 14 Mar 2025 09:27:53 GMT", NOW) == timedelta()
    assert retry_after("9" * 30, NOW) in {None, LONGEST_WISHED_PAUSE}
    assert retry_after("999999999", NOW) == LONGEST_WISHED_PAUSE
    for nonsense in ("", "soon", "-5", "1.5", "٣", "Sat, 99 Mar"):
        assert retry_after(nonsense, NOW) is None


def test_only_success_counts() -> None:
    assert [problem_of(status) is None for status in (199, 200, 204, 299, 301, 404, 410, 500)] == [
        *(False, True, True, True, False, False, False, False)
    ]


def test_each_event_is_told_of_a_fact_there_is() -> None:
    known = set(FACT.json_schema()["properties"]["body"]["discriminator"]["mapping"])
    assert set(SOURCES) == set(EventType)
    assert set(SOURCES.values()) <= known
