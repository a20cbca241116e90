"""The self-test that the technician's tool runs on the board, over a board that this PC plays."""

import json
from pathlib import Path
from typing import Any

import pytest

from firmware.simulator.board import SimulatedBoard
from firmware.simulator.coil import Habits
from firmware.simulator.micropython import add_missing_calls
from firmware.vending import selftest
from firmware.vending.settings import Settings
from tests.fakes.memory_flash import MemoryFlash
from tests.fakes.settings_key import OperatorKey
from tests.firmware.test_settings_file import VALUES

KEY = OperatorKey()


@pytest.fixture(autouse=True)
def calls() -> None:
    add_missing_calls()


def checks(
    folder: Path, capsys: pytest.CaptureFixture[str], flash: MemoryFlash, **changed: Any
) -> dict[str, tuple[bool, str]]:
    def make_board(settings: Settings) -> SimulatedBoard:
        return SimulatedBoard(settings, folder, Habits())

    flash.files |= {"trust.json": KEY.trust, "settings.json": KEY.sign(VALUES | changed)}
    selftest.run(flash, make_board)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {line["check"]: (line["ok"], line["note"]) for line in told if "check" in line}


WIRED = {
    "board": {"door": {"pin": 14}, "temperatures": {"pin": 13, "zones": {"cabinet": None}}},
    "slots": {"A1": {"motor": {"kind": "dc", "output": 25}, "home": 26}},
    "gateway_host": "127.0.0.1",
    "gateway_port": 1,
    "mdns": False,
}


def test_each_part_is_checked_and_the_gateway_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = checks(tmp_path, capsys, MemoryFlash(), **WIRED)
    assert list(told) == [
        "flash",
        "settings",
        "home switches",
        "door",
        "drop beam",
        "temperature cabinet",
        "wifi",
        "wifi and gateway",
    ]
    assert told["temperature cabinet"] == (True, "4.00 C")
    assert not told["wifi and gateway"][0]
    assert all(ok for name, (ok, _) in told.items() if name != "wifi and gateway")


def test_settings_that_this_board_does_not_take_end_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = checks(tmp_path, capsys, MemoryFlash(), currency="rupees")
    assert told == {
        "flash": (True, ""),
        "settings": (False, "currency must be three capitals (ISO 4217)"),
    }


class Forgetful(MemoryFlash):
    def read(self, name: str) -> bytes:
        return super().read(name)[: -1 if name == selftest.PROBE else None]


class Small(MemoryFlash):
    def free_bytes(self) -> int:
        return 100


@pytest.mark.parametrize(("flash", "reason"), [(Forgetful(), "other bytes"), (Small(), "only 100 bytes are free")])
def test_a_bad_flash_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flash: MemoryFlash, reason: str
) -> None:
    ok, note = checks(tmp_path, capsys, flash, currency="rupees")["flash"]
    assert not ok
    assert reason in note
