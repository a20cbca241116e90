"""The newest bad lines of a device's log wait for the gateway, within bounds, each told once."""

import json
import sys

import pytest

from firmware.vending import log
from firmware.vending.log import MAX_BYTES, MAX_LINES, Kept, kept
from shared.devices import MAX_MESSAGE_BYTES
from shared.upkeep import Level, LogLine, LogLines

BOOT = "01890000-0000-7000-8000-000000000001"


def lines(kept: Kept) -> list[LogLine]:
    """What a gateway reads of all that is kept."""
    payloads = kept.take(BOOT)
    assert all(len(payload) <= MAX_MESSAGE_BYTES for payload in payloads)
    return [line for payload in payloads for line in LogLines.model_validate_json(payload).lines]


def test_what_is_bad_is_kept_with_its_level_and_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    log.log("claimed")
    log.warn("link_failed", port=8883, error="timed out")
    log.alarm("journal_failed", kind="A")
    told = lines(kept)
    assert [(line.level, line.event) for line in told] == [
        (Level.WARNING, "link_failed"),
        (Level.ERROR, "journal_failed"),
    ]
    assert json.loads(told[0].fields) == {"port": 8883, "error": "timed out"}
    assert told[0].uptime_ms == 0, "before there is a clock"
    printed = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert printed == ["claimed", "link_failed", "journal_failed"]


def test_each_line_is_told_once() -> None:
    log.warn("link_failed")
    assert len(lines(kept)) == 1
    assert kept.take(BOOT) == []


def test_the_oldest_give_way_and_the_gap_shows_in_the_numbers() -> None:
    kept = Kept()
    kept.ms = lambda: 12_345
    for number in range(3 * MAX_LINES):
        kept.keep(log.WARNING, "link_failed", {"try": number})
    told = lines(kept)
    assert [line.number for line in told] == list(range(told[0].number, 3 * MAX_LINES))
    assert 8 < len(told) <= MAX_LINES
    assert {line.uptime_ms for line in told} == {12_345}
    kept.keep(log.WARNING, "link_failed", {"try": 0})
    assert lines(kept)[0].number == 3 * MAX_LINES


@pytest.mark.parametrize("text", ["x", "é", "\U0001f95c", '"', "\\", "\n"])
@pytest.mark.parametrize("size", [1, 20, 200, 5_000])
def test_what_is_kept_stays_within_its_bytes_and_its_message(text: str, size: int) -> None:
    kept = Kept()
    for number in range(100):
        kept.keep(log.ERROR, "device_failed", {"error": f"{number} {text * size}"})
        assert sum(sys.getsizeof(line) - sys.getsizeof(b"") for line in kept._lines) <= MAX_BYTES
    lines(kept)


def test_what_says_the_same_again_drives_nothing_out() -> None:
    kept = Kept()
    kept.keep(log.ERROR, "journal_failed", {"kind": "A"})
    for _ in range(100):
        kept.keep(log.WARNING, "network_unavailable", {"error": "no Wi-Fi"})
        kept.keep(log.WARNING, "link_failed", {"error": "timed out"})
    assert [line.event for line in lines(kept)] == ["journal_failed", "network_unavailable", "link_failed"]
    kept.keep(log.ERROR, "journal_failed", {"kind": "A"})
    assert [line.number for line in lines(kept)] == [3], "it was told, and has happened again"
