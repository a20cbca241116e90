"""What is wired to the pins of a device in the VM: the simulator's coils on their motors, a drop beam, money, lamps.

The cabinet is built by a pin map (wiring.py) and outlives its device, as a real one does: without power its motors
stand and its coils stay where they are. Chips are the VM's (chips/): they answer within a step of the firmware.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firmware.simulator.coil import Coil, Habits
from firmware.simulator.world import WorldLog
from tests.firmware.vm.motors import OFF, Signal, motor_of
from tests.firmware.vm.wiring import (
    BUTTON_PIN,
    BUZZER_PIN,
    COIN_PIN,
    DOOR_PIN,
    HIGH,
    INHIBIT_PIN,
    LED_PIN,
    LOW,
    MINOR_PER_NOTE,
    MINOR_PER_PULSE,
    NOTE_INHIBIT_PIN,
    NOTE_PIN,
)

PULSE_MS = 30
"""Longer than the firmware takes for the bouncing of a contact."""
COLD_CELSIUS = 4.0
LAMPS = (str(LED_PIN), str(BUZZER_PIN))


class Cabinet:
    """Writes world.jsonl in `folder`. `tell` takes a line for the VM (vm.mjs), if the device has power.

    `label` is what a motor start is written down for: whoever orders sets it before, for pins know of no vends.
    """

    def __init__(self, folder: Path, habits: Habits, wired: dict[str, Any], tell: Callable[[str], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.label = "nothing ordered"
        self.lamps: list[tuple[float, str, bool]] = []
        """When LED and buzzer went on or off, by their lines."""
        self._log = WorldLog(folder)
        self._tell = tell
        self._board = wired["board"]
        self._motors = {slot: motor_of(values["motor"]) for slot, values in wired["slots"].items()}
        self._homes = {slot: str(values["home"]) for slot, values in wired["slots"].items()}
        self._empties = {slot: str(values["empty"]) for slot, values in wired["slots"].items() if "empty" in values}
        chance = random.Random(habits.seed)
        self._coils = {slot: Coil(slot, self._log, habits, chance) for slot in self._motors}
        self._shown: dict[str, int] = {}
        self._outputs: dict[str, Signal] = {}
        self._door = LOW
        zones = self._board.get("temperatures", {}).get("zones", {})
        self._celsius = dict.fromkeys(zones, COLD_CELSIUS)
        self._beams = {slot: self._beam(values) for slot, values in wired["slots"].items()}
        self._drops = dict.fromkeys(self._beams.values(), 0)
        self._turning: set[str] = set()
        for slot in self._coils:
            self.restock(slot, habits.opening_stock)

    @property
    def stock(self) -> dict[str, int]:
        """Products left in each coil."""
        return {slot: coil.stock for slot, coil in self._coils.items()}

    def power_on(self) -> dict[str, Any]:
        """The chips, and the inputs as the device finds them: what vm.mjs takes as WIRED."""
        self._shown = self._levels()
        chips = {name: self._board[name] for name in ("expanders", "temperatures") if name in self._board}
        return {"levels": self._shown, "celsius": self._celsius, **chips}

    def power_off(self) -> None:
        """No output is driven any more."""
        for line in list(self._outputs):
            self.drive(line, OFF)
        self._outputs.clear()

    def drive(self, line: str, signal: Signal) -> None:
        """The device moves an output, its own or a chip's."""
        was_on = self._outputs.get(line, OFF).share > 0
        self._outputs[line] = signal
        if line in LAMPS and was_on != (signal.share > 0):
            self.lamps.append((time.monotonic(), line, signal.share > 0))
        for slot, motor in self._motors.items():
            if line in motor.lines:
                motor.feel(line, signal)
                self._turn(slot)

    def _turn(self, slot: str) -> None:
        motor, coil = self._motors[slot], self._coils[slot]
        if motor.is_on and slot not in self._turning:
            self._turning.add(slot)
            coil.start(self.label, motor.turned(time.monotonic()))
        elif slot in self._turning and not motor.is_on:
            self._turning.discard(slot)
            coil.stop()

    def look(self) -> None:
        """Let time pass for what turns, and show the device what it can see of it."""
        levels = self._levels()
        for line, level in levels.items():
            if self._shown.get(line) != level:
                self._tell(f"input {line} {level}")
        self._shown = levels
        for beam, before in self._drops.items():
            drops = sum(coil.drops for slot, coil in self._coils.items() if self._beams[slot] == beam)
            if drops > before:
                self._tell(f"pulse {beam} {drops - before} {PULSE_MS}")
            self._drops[beam] = drops

    def _beam(self, slot: dict[str, Any]) -> int:
        """The pin of the drop sensor that the slot's products fall past."""
        wired = self._board["chutes"][slot["chute"]] if "chute" in slot else self._board["drop"]
        return int(wired["pin"])

    def insert_coin(self, amount_minor: int) -> bool:
        """Whether the acceptor takes it; one that is inhibited gives it back. The device must have power."""
        return self._insert(COIN_PIN, INHIBIT_PIN, amount_minor // MINOR_PER_PULSE, amount_minor)

    def insert_note(self, pulses: int) -> bool:
        """As `insert_coin`, of a note that gives so many pulses."""
        return self._insert(NOTE_PIN, NOTE_INHIBIT_PIN, pulses, MINOR_PER_NOTE[pulses])

    def _insert(self, pin: int, inhibit_pin: int, pulses: int, amount_minor: int) -> bool:
        if self._outputs.get(str(inhibit_pin), OFF).share > 0:
            return False
        self._log.write("coin", amount=amount_minor)
        self._tell(f"pulse {pin} {pulses} {PULSE_MS}")
        return True

    def set_door(self, is_open: bool) -> None:
        self._door = HIGH if is_open else LOW

    def feel(self, zone: str, celsius: float) -> None:
        """It is that warm in this zone from now on."""
        self._celsius[zone] = celsius
        self._tell(f"feel {zone} {celsius}")

    def short(self, pin: int, level: int) -> None:
        """Until the power goes, whoever drives the pin."""
        self._tell(f"short {pin} {level}")

    def unplug(self, address: int) -> None:
        """Until the power goes, the chip there is off the I2C bus."""
        self._tell(f"unplug {address}")

    def restock(self, slot: str, count: int) -> None:
        self._log.write("restock", slot, amount=count)
        self._coils[slot].stock += count

    def press_button(self) -> None:
        """And hold it, for as long as the device has power or until it is let go."""
        self._tell(f"input {BUTTON_PIN} {LOW}")

    def let_button_go(self) -> None:
        self._tell(f"input {BUTTON_PIN} {HIGH}")

    def jam(self, slot: str, jammed: bool) -> None:
        self._log.write("jam" if jammed else "unjam", slot)
        self._coils[slot].jammed = jammed

    def _levels(self) -> dict[str, int]:
        """Of the inputs, by their lines. Whoever looks at a coil lets it go on."""
        now = time.monotonic()
        levels = {str(DOOR_PIN): self._door}
        for slot, coil in self._coils.items():
            levels[self._homes[slot]] = LOW if coil.is_home(self._motors[slot].turned(now)) else HIGH
        for slot, line in self._empties.items():
            levels[line] = HIGH if self._coils[slot].stock else LOW
        return levels
