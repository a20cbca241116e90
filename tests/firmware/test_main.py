"""The program as the ESP32 boots it, main.py and board.py included: however it ends, no motor stays on."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge.site_ca import SiteCa
from firmware.simulator.board import SimulatedBoard
from firmware.simulator.coil import Habits
from firmware.vending import SettingsError, slots, trial, waking
from firmware.vending.boot import LAST_ERROR, run_safely
from firmware.vending.clock import Clock
from firmware.vending.dispenser import Dispenser
from firmware.vending.flash import Flash
from firmware.vending.health import Health
from firmware.vending.journal import Journal
from firmware.vending.log import kept
from firmware.vending.nonces import Nonces
from firmware.vending.reports import Reports
from firmware.vending.vigil import Vigil
from shared.upkeep import SettingsReport, SettingsState
from tests.fakes.device_settings import SETTINGS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VEND = "01890000-0000-7000-8000-000000000001"


def settings_for(folder: Path) -> dict[str, Any]:
    """Of a board with two motors and no gateway."""
    return {
        "machine_id": VEND,
        "device_id": VEND,
        "currency": "INR",
        "ca_pem": SiteCa.open(folder / "ca").certificate_pem,
        "gateway_host": "127.0.0.1",
        "gateway_port": 1,
        "mdns": False,
        "slots": {"A1": {"motor": {"kind": "dc", "output": 25}}, "A2": {"motor": {"kind": "dc", "output": 26}}},
    }


def boot(folder: Path, dies_of: str) -> list[dict[str, Any]]:
    """What the machine under main.py tells, and last its error output, as an event of its own."""
    environment = os.environ | {"PYTHONPATH": f"{HERE / 'esp32'}:{ROOT}", "DIES_OF": dies_of}
    run = [sys.executable, str(ROOT / "firmware/main.py")]
    ended = subprocess.run(run, env=environment, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    return [*[json.loads(line) for line in ended.stdout.splitlines()], {"event": "stderr", "text": ended.stderr}]


def pins_and_resets(folder: Path, dies_of: str) -> list[dict[str, object]]:
    """What it tells from the moment at which its program dies."""
    (folder / "settings.json").write_text(json.dumps(settings_for(folder)))
    told = boot(folder, dies_of)
    assert dies_of in told[-1]["text"]
    return [event for event in told if event["event"] in ("pin", "device_failed", "reset")]


def pin(number: int, level: int) -> dict[str, object]:
    return {"event": "pin", "number": number, "level": level}


MID_TURN = [pin(25, 1), pin(26, 1)]
SAFE = [pin(25, 0), pin(26, 0)]


def test_an_error_nobody_expected_switches_every_motor_off_and_restarts_the_board(tmp_path: Path) -> None:
    told = pins_and_resets(tmp_path, "MemoryError")
    assert told == [*MID_TURN, *SAFE, {"event": "device_failed", "error": "MemoryError()"}, {"event": "reset"}]


def test_the_next_boot_tells_what_the_last_one_died_of_once(tmp_path: Path) -> None:
    pins_and_resets(tmp_path, "MemoryError")
    flash = Flash(str(tmp_path))
    for expected in (["device_had_failed"], []):
        kept.take("")
        waking.tell_last_error(flash, LAST_ERROR)
        told = [json.loads(line)["lines"] for line in kept.take("")]
        assert [line["event"] for lines in told for line in lines] == expected
        assert all("MemoryError" in line["fields"] for lines in told for line in lines)


def test_a_last_error_that_nobody_can_read_is_told_once_too(tmp_path: Path) -> None:
    flash = Flash(str(tmp_path))
    flash.replace(LAST_ERROR, b"Mem\xff")
    kept.take("")
    waking.tell_last_error(flash, LAST_ERROR)
    assert b"Mem" in kept.take("")[0]
    assert not flash.has(LAST_ERROR)


class Restarted(Exception):
    """The board."""


class SilentBoard:
    """What boot borrows, of a board none of whose parts answers."""

    def __init__(self, due: bool) -> None:
        self.due = due
        self.tries = 0

    def __call__(self, _: str) -> "SilentBoard":
        return self

    def is_due(self, _: Flash) -> bool:
        return self.due

    def assemble(self, _: object) -> None:
        self.tries += 1
        if self.tries > 3 * waking.TRIAL_TRIES:
            raise KeyboardInterrupt
        raise OSError(19)

    def restart(self) -> None:
        raise Restarted


@pytest.mark.parametrize(
    ("due", "settings_on_trial", "ends"),
    [(True, False, Restarted), (True, True, SettingsError), (False, True, SettingsError), (False, False, None)],
)
def test_a_silent_board_is_asked_for_ever_unless_something_is_on_trial(
    tmp_path: Path, due: bool, settings_on_trial: bool, ends: type[Exception] | None
) -> None:
    silent = SilentBoard(due)
    with pytest.raises(ends or KeyboardInterrupt):
        waking.make_board(None, Flash(str(tmp_path)), settings_on_trial, silent, 0)
    assert silent.tries == (waking.TRIAL_TRIES if ends else 3 * waking.TRIAL_TRIES + 1)


def test_settings_that_an_image_on_trial_refuses_are_no_reason_to_ask_for_others(tmp_path: Path) -> None:
    """The board boots again, and its boot loader goes back."""
    (tmp_path / "settings.json").write_text("{}")
    slots.write(slots.changed(slots.FIRST, image_trial=["ota_0", "1.99.0"]), f"{tmp_path}/")
    told = boot(tmp_path, "MemoryError")
    assert [event["event"] for event in told[-3:]] == ["settings_refused", "reset", "stderr"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"slots": {"A1": {}}}, "A1"),
        ({"ca_pem": "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"}, "ca_pem"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_settings_on_trial_that_no_device_can_be_made_of_are_given_up_by_a_reset(
    tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(settings_for(tmp_path)))
    flash = Flash(str(tmp_path))
    trial.begin(flash, json.dumps(settings_for(tmp_path) | changed).encode())
    told = boot(tmp_path, "MemoryError")
    assert [event["event"] for event in told[-3:]] == ["settings_reverted", "reset", "stderr"]
    report = SettingsReport.model_validate_json(trial.report(flash, VEND))
    assert report.state is SettingsState.REVERTED
    assert reason in str(report.reason)
    assert "MemoryError" in boot(tmp_path, "MemoryError")[-1]["text"], "the old ones run"


def test_a_hand_at_the_serial_line_finds_the_motors_off_and_the_board_not_restarted(tmp_path: Path) -> None:
    assert pins_and_resets(tmp_path, "KeyboardInterrupt") == [*MID_TURN, *SAFE]


def test_a_turn_that_is_abandoned_leaves_no_motor_on(tmp_path: Path) -> None:
    """MicroPython cancels nothing when a part dies: the dispenser stays where it was, for ever in mid-turn."""
    board, journal, clock = SimulatedBoard(SETTINGS, tmp_path, Habits()), Journal(Flash(str(tmp_path))), Clock()
    reports = Reports(journal, clock, Nonces(clock), VEND, "INR")
    guards = (Vigil(board, clock), Health(board, journal, clock, None), None)
    dispenser = Dispenser(board, journal, SETTINGS.slots, reports, clock, *guards)
    turn = dispenser.run()

    async def dies_in_mid_turn() -> None:
        journal.append(("A", 1, 1, VEND, "A1"))
        dispenser.wake()
        turn.send(None)
        assert moves(tmp_path)[-1] == "motor_start"
        raise MemoryError

    with pytest.raises(MemoryError):
        run_safely(dies_in_mid_turn(), board)
    assert moves(tmp_path)[-1] == "motor_stop"
    assert journal.state.vends[0].state == "started"
    turn.close()


def moves(folder: Path) -> list[str]:
    return [json.loads(line)["kind"] for line in (folder / "world.jsonl").read_text().splitlines()]
