"""Pin maps of cabinets in the VM, as settings.json has them: what cabinet.py is built by, and what a device is told."""

from typing import Any

LOW, HIGH = 0, 1
BUTTON_PIN = 0
DROP_PIN, COIN_PIN, INHIBIT_PIN, THERMOMETER_PIN = 32, 33, 27, 14
SECOND_DROP_PIN = 16
MINOR_PER_PULSE = 500
NOTE_PIN, NOTE_INHIBIT_PIN, DOOR_PIN, LED_PIN, BUZZER_PIN, CURRENT_PIN = 4, 15, 5, 2, 12, 36
MINOR_PER_NOTE = {2: 5000}
"""Pulses → what a note is worth that gives so many."""
SHIFT: dict[str, Any] = {"kind": "74hc595", "data": 21, "clock": 22, "latch": 23, "enable": 13, "chips": 3}
SWITCHES: dict[str, Any] = {"kind": "74hc165", "data": 35, "clock": 16, "latch": 17, "chips": 2}
PWM: dict[str, Any] = {"kind": "pca9685", "address": 0x40, "enable": 13}
MOTOR_PINS = {"A1": 18, "A2": 19}
HOME_PINS = {"A1": 25, "A2": 26}
ROMS = {"top": "2800000000000140", "low": "28000000000002a2"}

UNHURRIED_S = 4
"""Told as the time of a turn, of which half may pass between a drop and home: a busy PC turns and shows a coil late."""


def plain(speed: float) -> dict[str, Any]:
    """Two DC motors with home switches, a drop beam, and a coin acceptor: all on pins."""
    slots = {slot: _slot({"kind": "dc", "output": MOTOR_PINS[slot]}, HOME_PINS[slot], speed) for slot in MOTOR_PINS}
    inhibit = {"pin": INHIBIT_PIN, "active": HIGH}
    coin = {"pin": COIN_PIN, "minor_per_pulse": MINOR_PER_PULSE, "inhibit": inhibit}
    return {"slots": slots, "board": {"drop": {"pin": DROP_PIN}, "coin": coin}}


def two_chutes(speed: float) -> dict[str, Any]:
    """Two motors that the supply bears together, each before a chute and a beam of its own."""
    given = plain(speed)
    for slot in given["slots"].values():
        slot["draw_ma"] = 400
    given["slots"]["A2"]["chute"] = "right"
    given["board"] |= {"chutes": {"right": {"pin": SECOND_DROP_PIN}}, "power_ma": 800}
    return given


def full(speed: float) -> dict[str, Any]:
    """With a note acceptor, door, current sensor, LED and buzzer. A1 in a matrix on 74HC595s, A2 with a soft start."""
    given = plain(speed)
    given["slots"]["A1"]["motor"] = {"kind": "dc", "row": "shift:0", "column": "shift:8"}
    given["slots"]["A2"] |= {"soft_start_ms": 50, "jam_ma": 900}
    values = {str(pulses): minor for pulses, minor in MINOR_PER_NOTE.items()}
    given["board"] |= {
        "expanders": {"shift": SHIFT},
        "note": {"pin": NOTE_PIN, "values": values, "inhibit": {"pin": NOTE_INHIBIT_PIN, "active": HIGH}},
        "door": {"pin": DOOR_PIN, "active": HIGH},
        "current": {"pin": CURRENT_PIN, "mv_per_ampere": 500},
        "led": LED_PIN,
        "buzzer": BUZZER_PIN,
    }
    return given


def shifted(speed: float) -> dict[str, Any]:
    """A stepper and a DC motor in a matrix on 74HC595s; their home switches, and one for empty, on 74HC165s."""
    given = plain(speed)
    stepper = {"kind": "stepper", "phases": ["shift:12", "shift:13", "shift:14", "shift:15"]}
    matrix = {"kind": "dc", "row": "shift:0", "column": "shift:23"}
    given["slots"] = {
        "A1": _slot(stepper, "switches:3", speed, UNHURRIED_S),
        "A2": _slot(matrix, "switches:14", speed, UNHURRIED_S),
    }
    given["slots"]["A1"]["empty"] = "switches:9"
    given["board"] |= {"expanders": {"shift": SHIFT, "switches": SWITCHES}}
    return given


def servos(speed: float) -> dict[str, Any]:
    """A1 a servo on a PCA9685, A2 one on a pin."""
    given = plain(speed)
    for slot, signal in (("A1", "pwm:15"), ("A2", MOTOR_PINS["A2"])):
        servo = {"kind": "servo", "signal": signal, "run_us": 1700, "neutral_us": 1500}
        given["slots"][slot] = _slot(servo, HOME_PINS[slot], speed, UNHURRIED_S)
    given["board"] |= {"i2c": {"sda": 21, "scl": 22}, "expanders": {"pwm": PWM}}
    return given


def shared_phases(speed: float) -> dict[str, Any]:
    """Two steppers in a matrix on 74HC595s, with the same phases."""
    given = shifted(speed)
    for slot, column in (("A1", 8), ("A2", 9)):
        stepper = given["slots"]["A1"]["motor"] | {"row": "shift:0", "column": f"shift:{column}"}
        given["slots"][slot] = _slot(stepper, given["slots"][slot]["home"], speed, UNHURRIED_S)
    return given


def shared_signal(speed: float) -> dict[str, Any]:
    """Two servos in a matrix, with one signal from a PCA9685, which switches their rows and columns too."""
    given = servos(speed)
    for slot, row in (("A1", 0), ("A2", 1)):
        given["slots"][slot]["motor"] |= {"signal": "pwm:15", "row": f"pwm:{row}", "column": "pwm:8"}
    return given


def cold(speed: float) -> dict[str, Any]:
    """As `plain`, with two thermometers on one wire."""
    given = plain(speed)
    given["board"] |= {"temperatures": {"pin": THERMOMETER_PIN, "zones": ROMS}}
    return given


def _slot(motor: dict[str, Any], home: int | str, speed: float, turn_s: float = 1.5) -> dict[str, Any]:
    times = {"turn_ms": turn_s, "max_ms": 4 * turn_s, "settle_ms": 0.7}
    return {"motor": motor, "home": home, **{name: round(1000 * taken / speed) for name, taken in times.items()}}
