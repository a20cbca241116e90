"""The ESP32 without settings, over stand-ins for its pins and its radio: one lamp at most, and no open network."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware.vending.checks import SettingsError
from firmware.vending.label import Label, is_led, load_or_make, network_name, to_json
from firmware.vending.settings import Settings, parse
from firmware.vending.signals import SETUP
from tests.fakes.memory_flash import MemoryFlash
from tests.firmware.test_settings_file import VALUES

sys.path.append(str(Path(__file__).parent / "esp32"))
machine = importlib.import_module("machine")
network = importlib.import_module("network")
SetupBoard = importlib.import_module("firmware.vending.setup_board").SetupBoard
LETTERS = "abcd2345efgh"


@pytest.fixture(autouse=True)
def power() -> Iterator[None]:
    machine.power_on()
    network.told.clear()
    yield
    machine.power_on()


def settings(slot: dict[str, Any]) -> Settings:
    return parse(json.dumps(VALUES | {"slots": {"A1": slot}}).encode())


def test_no_pin_is_touched_but_the_lamps() -> None:
    SetupBoard(Label(LETTERS, None))
    assert machine.history == []
    board = SetupBoard(Label(LETTERS, 2))
    board.signal(SETUP)
    for _ in range(8):
        machine.timers[1].callback(machine.timers[1])
    assert {pin for pin, _ in machine.history} == {2}
    assert [level for _, level in machine.history] == [0, 1, 1, 0, 0, 1, 1, 0, 0]


def test_its_network_is_never_open_to_all() -> None:
    board = SetupBoard(Label(LETTERS, None))
    network.told.clear()
    assert board.open_network(network_name(board.mac()), LETTERS) == "192.168.4.1"
    (first, orders, wanted), (second, switched, _) = network.told
    assert (first, orders, second, switched) == (network.AP_IF, "config", network.AP_IF, "active")
    assert (wanted["ssid"], wanted["key"]) == ("LARDER-BBCC", LETTERS)
    assert wanted["security"] == network.AUTH_WPA2_PSK


def test_settings_whose_motors_are_not_wired_do_not_fit() -> None:
    board = SetupBoard(Label(LETTERS, None))
    with pytest.raises(SettingsError, match=r"slots\.A1\.motor is missing"):
        board.fit(settings({}))
    board.fit(settings({"motor": {"kind": "dc", "output": 25}}))


def test_each_board_has_a_password_of_its_own_and_keeps_it() -> None:
    flash = MemoryFlash()
    made = load_or_make(flash)
    assert load_or_make(flash) == made
    assert load_or_make(MemoryFlash()).password != made.password
    assert len(made.password) == 12
    flash.files["label.json"] = to_json(Label(LETTERS, 2)).encode()
    assert load_or_make(flash) == Label(LETTERS, 2)


@pytest.mark.parametrize("data", [b"{", b"[]", json.dumps({"password": LETTERS[:7]}).encode(), b'{"led": 2}'])
def test_a_damaged_label_is_made_anew(data: bytes) -> None:
    assert len(load_or_make(MemoryFlash({"label.json": data})).password) == 12


def test_a_lamp_hangs_where_it_does_no_harm() -> None:
    assert [pin for pin in range(40) if is_led(pin)] == [2, 4, 5, *range(12, 34)]
    label = json.dumps({"password": LETTERS, "led": 6}).encode()
    assert load_or_make(MemoryFlash({"label.json": label})).led is None
