"""What is wired to the pins of a device in the VM: the simulator's coils, a drop beam and a coin acceptor.

The cabinet outlives its device, as a real one does: without power its motors stand and its coils stay where they are.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firmware.simulator.coil import Coil, Habits
from firmware.simulator.world import WorldLog

LOW, HIGH = 0, 1
BUTTON_PIN = 0
DROP_PIN, COIN_PIN, INHIBIT_PIN, THERMOMETER_PIN = 32, 33, 27, 14
MINOR_PER_PULSE = 500
PULSE_MS = 30
"""Longer than the firmware takes for the bouncing of a contact."""
NOTE_PIN, NOTE_INHIBIT_PIN, DOOR_PIN, LED_PIN, CURRENT_PIN = 4, 15, 5, 2, 36
MINOR_PER_NOTE = {2: 5000}
"""Pulses → what a note is worth that gives so many."""
DATA_PIN, CLOCK_PIN, LATCH_PIN, ENABLE_PIN = 21, 22, 23, 13
SHIFT = {"kind": "74hc595", "data": DATA_PIN, "clock": CLOCK_PIN, "latch": LATCH_PIN, "enable": ENABLE_PIN, "chips": 3}
MATRIX_LINES = {"A1": (0, 8), "A2": (1, 9)}
"""Row and column of each motor at the 74HC595s, if it does not hang on its pin."""
MOTOR_PINS = {"A1": 18, "A2": 19}
HOME_PINS = {"A1": 25, "A2": 26}


def wiring(speed: float) -> dict[str, Any]:
    """The part of settings.json that says how this cabinet is wired."""
    slots = {
        slot: {
            "motor": {"kind": "dc", "output": MOTOR_PINS[slot]},
            "home": HOME_PINS[slot],
            "turn_ms": round(1500 / speed),
            "max_ms": round(6000 / speed),
            "settle_ms": round(700 / speed),
        }
        for slot in MOTOR_PINS
    }
    inhibit = {"pin": INHIBIT_PIN, "active": HIGH}
    coin = {"pin": COIN_PIN, "minor_per_pulse": MINOR_PER_PULSE, "inhibit": inhibit}
    return {"slots": slots, "board": {"drop": {"pin": DROP_PIN}, "coin": coin}}


def full_wiring(speed: float) -> dict[str, Any]:
    """As `wiring`, with all that this cabinet can have: A1 in a matrix on shift registers, A2 with a soft start."""
    given = wiring(speed)
    row, column = (f"shift:{line}" for line in MATRIX_LINES["A1"])
    given["slots"]["A1"]["motor"] = {"kind": "dc", "row": row, "column": column}
    given["slots"]["A2"] |= {"soft_start_ms": 50, "jam_ma": 900}
    values = {str(pulses): minor for pulses, minor in MINOR_PER_NOTE.items()}
    given["board"] |= {
        "expanders": {"shift": SHIFT},
        "note": {"pin": NOTE_PIN, "values": values, "inhibit": {"pin": NOTE_INHIBIT_PIN, "active": HIGH}},
        "door": {"pin": DOOR_PIN, "active": HIGH},
        "current": {"pin": CURRENT_PIN, "mv_per_ampere": 500},
        "led": LED_PIN,
    }
    return given


class ShiftRegisters:
    """74HC595s in a row, by their pins (TI SCLS041)."""

    def __init__(self) -> None:
        self._levels: dict[int, int] = {ENABLE_PIN: HIGH}
        self._held = self._latched = [LOW] * 24

    def drive(self, pin: int, level: int) -> None:
        """A pin of the device moves."""
        rises = level == HIGH and self._levels.get(pin) != HIGH
        self._levels[pin] = level
        if pin == CLOCK_PIN and rises:
            self._held = [self._levels.get(DATA_PIN, LOW), *self._held[:-1]]
        if pin == LATCH_PIN and rises:
            self._latched = self._held

    def on(self, line: int) -> bool:
        return self._levels[ENABLE_PIN] == LOW and self._latched[line] == HIGH


class Cabinet:
    """Writes world.jsonl in `folder`. `tell` takes a line for the VM (vm.mjs), if the device has power.

    `label` is what a motor start is written down for: whoever orders sets it before, for pins know of no vends. The
    thermometer (modules/onewire.py) feels 9 °C while it `is_warm`, else 4 °C.
    """

    def __init__(self, folder: Path, habits: Habits, tell: Callable[[str], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.label = "nothing ordered"
        self.is_warm = False
        self._log = WorldLog(folder)
        self._tell = tell
        chance = random.Random(habits.seed)
        self._coils = {slot: Coil(slot, self._log, habits, chance) for slot in MOTOR_PINS}
        self._shown: dict[int, int] = {}
        self._outputs: dict[int, int] = {}
        self._registers = ShiftRegisters()
        self._door = LOW
        self._drops = 0
        self._turning: set[str] = set()
        for slot in self._coils:
            self.restock(slot, habits.opening_stock)

    @property
    def stock(self) -> dict[str, int]:
        """Products left in each coil."""
        return {slot: coil.stock for slot, coil in self._coils.items()}

    def power_on(self) -> dict[int, int]:
        """The inputs as the device finds them."""
        self._shown = self._levels()
        return self._shown

    def power_off(self) -> None:
        """No output is driven any more."""
        self._outputs.clear()
        self._registers = ShiftRegisters()
        for slot in sorted(self._turning):
            self._coils[slot].stop()
        self._turning.clear()

    def drive(self, pin: int, level: int) -> None:
        """The device moves an output."""
        self._outputs[pin] = level
        self._registers.drive(pin, level)
        for slot in MOTOR_PINS:
            is_on = self._drives(slot)
            if is_on and slot not in self._turning:
                self._turning.add(slot)
                self._coils[slot].start(self.label, time.monotonic())
            elif not is_on and slot in self._turning:
                self._turning.discard(slot)
                self._coils[slot].stop()

    def _drives(self, slot: str) -> bool:
        return self._outputs.get(MOTOR_PINS[slot]) == HIGH or all(map(self._registers.on, MATRIX_LINES[slot]))

    def look(self) -> None:
        """Let time pass for what turns, and show the device what it can see of it."""
        for slot in self._turning:
            self._coils[slot].look(time.monotonic())
        levels = self._levels()
        for pin, level in levels.items():
            if self._shown.get(pin) != level:
                self._tell(f"pin {pin} {level}")
        self._shown = levels
        drops = sum(coil.drops for coil in self._coils.values())
        if drops > self._drops:
            self._tell(f"pulse {DROP_PIN} {drops - self._drops} {PULSE_MS}")
        self._drops = drops

    def insert_coin(self, amount_minor: int) -> bool:
        """Whether the acceptor takes it; one that is inhibited gives it back. The device must have power."""
        if self._outputs.get(INHIBIT_PIN) == HIGH:
            return False
        self._log.write("coin", amount=amount_minor)
        self._tell(f"pulse {COIN_PIN} {amount_minor // MINOR_PER_PULSE} {PULSE_MS}")
        return True

    def insert_note(self, pulses: int) -> bool:
        """As `insert_coin`, of a note that gives so many pulses."""
        if self._outputs.get(NOTE_INHIBIT_PIN) == HIGH:
            return False
        self._log.write("coin", amount=MINOR_PER_NOTE[pulses])
        self._tell(f"pulse {NOTE_PIN} {pulses} {PULSE_MS}")
        return True

    def set_door(self, is_open: bool) -> None:
        self._door = HIGH if is_open else LOW

    def restock(self, slot: str, count: int) -> None:
        self._log.write("restock", slot, amount=count)
        self._coils[slot].stock += count

    def press_button(self) -> None:
        """And hold it for as long as the device has power."""
        self._tell(f"pin {BUTTON_PIN} {LOW}")

    def jam(self, slot: str, jammed: bool) -> None:
        self._log.write("jam" if jammed else "unjam", slot)
        self._coils[slot].jammed = jammed

    def _levels(self) -> dict[int, int]:
        now = time.monotonic()
        homes = {HOME_PINS[slot]: LOW if coil.is_home(now) else HIGH for slot, coil in self._coils.items()}
        return homes | {DOOR_PIN: self._door, THERMOMETER_PIN: HIGH if self.is_warm else LOW}
