"""The pin map: which part of the machine hangs on which line of the board. Shapes and ranges here, sense in pins.py.

A *line* is a pin of the ESP32, written as its number, or an output or input of an expander, written "name:number".
checks.py, pins.py and this file import nothing else and need nothing of MicroPython, so that the cloud can refuse a
wrong pin map at provisioning with the very reason that the device would give at boot.
"""

from collections import namedtuple

from . import const
from .checks import SettingsError, is_digits, is_int, is_text, merge, require

DC = "dc"
SERVO = "servo"
STEPPER = "stepper"
SHIFT_OUT = "74hc595"
SHIFT_IN = "74hc165"
PWM_CHIP = "pca9685"

Line = namedtuple("Line", ("on", "number"))
"""A pin (`on` is "") or a line of the expander whose name `on` is."""

Dc = namedtuple("Dc", ("kind", "output", "row", "column"))
"""Turns while `output`, or `row` and `column` of a matrix, are on."""

Servo = namedtuple("Servo", ("kind", "signal", "run_us", "neutral_us", "row", "column"))
"""A continuous servo: pulses of `run_us` turn it, `neutral_us` stop it. A matrix switches its supply."""

Stepper = namedtuple("Stepper", ("kind", "phases", "half_steps_per_s", "row", "column"))
"""28BYJ-48 and the like, four phases in turn. A matrix switches its supply."""

Expander = namedtuple("Expander", ("kind", "data", "clock", "latch", "enable", "chips", "address", "hz"))
"""`enable` is the chips' output enable, low while outputs may be on: with a pull-up of its own it keeps the motors off
while the board boots, for these chips outlive its reset. A 74HC165's `latch` is its load line and it has no enable."""

I2c = namedtuple("I2c", ("sda", "scl"))
Beam = namedtuple("Beam", ("pin", "active", "min_us", "rest_ms"))
"""`active` is the pin's level while something is in the beam. It counts if it lasts `min_us`, and not again for
`rest_ms`: one product may break the beam twice."""

Switch = namedtuple("Switch", ("pin", "active"))
"""`active` is the pin's level while the door is open, the cooling defrosts or money is inhibited."""

Thermometers = namedtuple("Thermometers", ("pin", "zones"))
"""`zones`: name → ROM code of its DS18B20 as 16 hex digits; None for the only one there is."""

Acceptor = namedtuple("Acceptor", ("pin", "active", "debounce_ms", "quiet_ms", "minor_per_pulse", "values", "inhibit"))
"""A burst of pulses is worth `minor_per_pulse` each, or what `values` says of their number."""

Current = namedtuple("Current", ("pin", "mv_per_ampere", "zero_mv"))
"""A shunt of 500 mΩ gives 500 mV per ampere, before any amplifier."""

Parts = namedtuple(
    "Parts",
    (
        "i2c",
        "expanders",
        "pulled_up",
        "drop",
        "chutes",
        "door",
        "defrost",
        "temperatures",
        "coin",
        "note",
        "buzzer",
        "led",
        "button",
        "current",
        "power_ma",
    ),
)
"""What the board carries beside its slots; None or empty: not fitted. `pulled_up`: pins with a resistor of theirs.

`chutes`: name → its own drop sensor, or None, for what does not fall past `drop`. `power_ma` is what the supply has for
motors; None: they turn one at a time."""

NO_PARTS = Parts(None, {}, (), None, {}, None, None, None, None, None, None, None, None, None, None)

BOOT_BUTTON = 0
"""Every development board has one on this pin."""
_MAX_CHIPS = const(8)
"""Of one kind in a row on the same lines: 64 outputs or inputs."""
_MAX_HALF_STEPS_PER_S = const(500)
SERVO_HZ = 50
_DC_HZ = const(1_000)
_MAX_ZONES = const(8)
_MAX_CHUTES = const(4)


def parse_parts(given: object) -> Parts:
    """The setting `board`. Raises SettingsError."""
    none: dict = {"expanders": {}, "pulled_up": [], "chutes": {}, "button": BOOT_BUTTON, "power_ma": None}
    for name in ("i2c", "drop", "door", "defrost", "temperatures", "coin", "note", "buzzer", "led", "current"):
        none[name] = None
    values = merge("board", given, none)
    pulled_up = values["pulled_up"]
    require(isinstance(pulled_up, list) and all(_is_pin(pin) for pin in pulled_up), "board.pulled_up must list pins")
    button = values["button"]
    require(button is None or _is_pin(button), "board.button must be a pin's number")
    power_ma = values["power_ma"]
    require(is_int(power_ma, 1, 100_000, optional=True), "board.power_ma must be 1 to 100000 mA")
    return Parts(
        _part("board.i2c", values["i2c"], _i2c),
        _expanders(values["expanders"]),
        tuple(pulled_up),
        _part("board.drop", values["drop"], _beam),
        _chutes(values["chutes"]),
        _part("board.door", values["door"], _switch),
        _part("board.defrost", values["defrost"], _switch),
        _part("board.temperatures", values["temperatures"], _thermometers),
        _part("board.coin", values["coin"], _acceptor),
        _part("board.note", values["note"], _acceptor),
        parse_line("board.buzzer", values["buzzer"]),
        parse_line("board.led", values["led"]),
        button,
        _part("board.current", values["current"], _current),
        power_ma,
    )


def parse_motor(where: str, given: object) -> "Dc | Servo | Stepper | None":
    """The setting `motor` of a slot; None where there is none. Raises SettingsError."""
    if given is None:
        return None
    kind = given.get("kind") if isinstance(given, dict) else None
    require(kind in (DC, SERVO, STEPPER), where + ".kind must be dc, servo or stepper")
    if kind == DC:
        return _dc(where, given)
    return _servo(where, given) if kind == SERVO else _stepper(where, given)


def parse_line(where: str, given: object) -> "Line | None":
    """A pin's number or "name:number"; None where there is none. Raises SettingsError."""
    if given is None:
        return None
    if isinstance(given, str):
        name, colon, number = given.partition(":")
        if name and colon and len(number) <= 2 and is_digits(number):
            return Line(name, int(number))
    require(_is_pin(given), where + " must be a pin's number, or an expander's line such as shift:3")
    return Line("", given)


def asked_later(parts: Parts) -> Parts:
    """Of these, what a device asks for whose board has been put together."""
    return Parts(
        None, {}, (), None, {}, None, None, None, parts.coin, parts.note, None, None, None, None, parts.power_ma
    )


def pwm_lines(slots: dict) -> dict:
    """Line → Hz, of those that need PWM: what a servo listens to, what a soft start of a DC motor drives."""
    lines: dict = {}
    for slot in slots.values():
        motor = slot.motor
        if motor is not None and motor.kind == SERVO:
            lines[motor.signal] = SERVO_HZ
        elif motor is not None and motor.kind == DC and slot.soft_start_ms:
            lines[motor.row or motor.output] = _DC_HZ
    return lines


def drop_sensors(parts: Parts) -> dict:
    """Chute → its drop sensor, of those that have one. None is the chute of the slots that name none."""
    sensors = dict(parts.chutes)
    sensors[None] = parts.drop
    return {chute: sensor for chute, sensor in sensors.items() if sensor is not None}


def _part(where: str, given: object, parse):
    return None if given is None else parse(where, given)


def _dc(where: str, given: object) -> Dc:
    values = merge(where, given, {"kind": DC, "output": None, "row": None, "column": None})
    row, column = _matrix(where, values)
    output = parse_line(where + ".output", values["output"])
    require((output is None) != (row is None), where + " needs either an output or a row and a column")
    return Dc(DC, output, row, column)


def _servo(where: str, given: object) -> Servo:
    defaults = {"kind": SERVO, "signal": None, "run_us": 1700, "neutral_us": 1500, "row": None, "column": None}
    values = merge(where, given, defaults)
    row, column = _matrix(where, values)
    require(values["signal"] is not None, where + ".signal is missing")
    for name in ("run_us", "neutral_us"):
        require(is_int(values[name], 500, 2500), where + "." + name + " must be 500 to 2500 µs")
    require(values["run_us"] != values["neutral_us"], where + ".run_us must differ from neutral_us")
    signal = parse_line(where + ".signal", values["signal"])
    return Servo(SERVO, signal, values["run_us"], values["neutral_us"], row, column)


def _stepper(where: str, given: object) -> Stepper:
    defaults = {"kind": STEPPER, "phases": None, "half_steps_per_s": 500, "row": None, "column": None}
    values = merge(where, given, defaults)
    row, column = _matrix(where, values)
    phases = values["phases"]
    require(
        isinstance(phases, list) and len(phases) == 4 and None not in phases, where + ".phases must list four lines"
    )
    rate = values["half_steps_per_s"]
    require(is_int(rate, 10, _MAX_HALF_STEPS_PER_S), where + ".half_steps_per_s must be 10 to 500")
    return Stepper(STEPPER, tuple([parse_line(where + ".phases", phase) for phase in phases]), rate, row, column)


def _matrix(where: str, values: dict) -> tuple:
    row = parse_line(where + ".row", values["row"])
    column = parse_line(where + ".column", values["column"])
    require((row is None) == (column is None), where + " needs row and column, or neither")
    return row, column


def _expanders(given: object) -> dict:
    if not isinstance(given, dict):
        raise SettingsError("board.expanders must be an object")
    expanders = {}
    for name in given:
        where = "board.expanders." + str(name)
        require(is_text(name, 1, 16) and ":" not in name, where + " must have a name of 1 to 16 without a colon")
        kind = str(given[name].get("kind")) if isinstance(given[name], dict) else ""
        require(kind in (SHIFT_OUT, SHIFT_IN, PWM_CHIP), where + ".kind must be 74hc595, 74hc165 or pca9685")
        expanders[name] = _pwm_chip(where, given[name]) if kind == PWM_CHIP else _register(where, given[name], kind)
    return expanders


def _pwm_chip(where: str, given: dict) -> Expander:
    values = merge(where, given, {"kind": None, "hz": SERVO_HZ}, ("address", "enable"))
    require(is_int(values["address"], 0x40, 0x7F), where + ".address must be 64 to 127")
    require(values["address"] != 0x70, where + ".address must not be 112, to which all these chips listen")
    require(is_int(values["hz"], 24, 1526), where + ".hz must be 24 to 1526")
    require(_is_pin(values["enable"]), where + ".enable must be a pin's number")
    return Expander(PWM_CHIP, None, None, None, values["enable"], 1, values["address"], values["hz"])


def _register(where: str, given: dict, kind: str) -> Expander:
    lines = ("data", "clock", "latch", "enable") if kind == SHIFT_OUT else ("data", "clock", "latch")
    values = merge(where, given, {"kind": None, "chips": 1}, lines)
    for name in lines:
        require(_is_pin(values[name]), where + "." + name + " must be a pin's number")
    require(is_int(values["chips"], 1, _MAX_CHIPS), where + ".chips must be 1 to 8")
    data, clock, latch = values["data"], values["clock"], values["latch"]
    return Expander(kind, data, clock, latch, values.get("enable"), values["chips"], None, None)


def _i2c(where: str, given: object) -> I2c:
    values = merge(where, given, {}, ("sda", "scl"))
    for name in ("sda", "scl"):
        require(_is_pin(values[name]), where + "." + name + " must be a pin's number")
    return I2c(values["sda"], values["scl"])


def _beam(where: str, given: object) -> Beam:
    values = merge(where, given, {"active": 0, "min_us": 1000, "rest_ms": 50}, ("pin",))
    _check_input(where, values)
    require(is_int(values["min_us"], 0, 1_000_000), where + ".min_us must be 0 to 1000000 µs")
    require(is_int(values["rest_ms"], 0, 5_000), where + ".rest_ms must be 0 to 5000 ms")
    return Beam(values["pin"], values["active"], values["min_us"], values["rest_ms"])


def _chutes(given: object) -> dict:
    if not isinstance(given, dict) or len(given) > _MAX_CHUTES:
        raise SettingsError("board.chutes must name 4 chutes at most")
    for name in given:
        require(is_text(name, 1, 16), "board.chutes must have names of 1 to 16")
    return {name: _part("board.chutes." + name, given[name], _beam) for name in given}


def _switch(where: str, given: object) -> Switch:
    values = merge(where, given, {"active": 1}, ("pin",))
    _check_input(where, values)
    return Switch(values["pin"], values["active"])


def _check_input(where: str, values: dict) -> None:
    require(_is_pin(values["pin"]), where + ".pin must be a pin's number")
    require(is_int(values["active"], 0, 1), where + ".active must be 0 or 1, the pin's level")


def _thermometers(where: str, given: object) -> Thermometers:
    values = merge(where, given, {}, ("pin", "zones"))
    require(_is_pin(values["pin"]), where + ".pin must be a pin's number")
    zones = values["zones"]
    require(isinstance(zones, dict) and 1 <= len(zones) <= _MAX_ZONES, where + ".zones must name 1 to 8 zones")
    for zone in zones:
        require(is_text(zone, 1, 32), where + ".zones must have names of 1 to 32")
        code = zones[zone]
        require(
            _is_rom(code) or (code is None and len(zones) == 1), where + ".zones." + zone + " must be 16 hex digits"
        )
    require(len(set(zones.values())) == len(zones), where + ".zones must not name one sensor twice")
    return Thermometers(values["pin"], zones)


def _acceptor(where: str, given: object) -> Acceptor:
    defaults = {
        "active": 0,
        "debounce_ms": 20,
        "quiet_ms": 200,
        "minor_per_pulse": None,
        "values": None,
        "inhibit": None,
    }
    values = merge(where, given, defaults, ("pin",))
    _check_input(where, values)
    require(is_int(values["debounce_ms"], 1, 500), where + ".debounce_ms must be 1 to 500 ms")
    least = 2 * values["debounce_ms"]
    require(is_int(values["quiet_ms"], least, 5_000), where + ".quiet_ms must be twice debounce_ms to 5000 ms")
    worth = values["minor_per_pulse"]
    require((worth is None) != (values["values"] is None), where + " needs either minor_per_pulse or values")
    require(is_int(worth, 1, 10**6, optional=True), where + ".minor_per_pulse must be 1 to 1000000")
    table = None if worth is not None else _values(where + ".values", values["values"])
    inhibit = _part(where + ".inhibit", values["inhibit"], _switch)
    require(inhibit is not None, where + ".inhibit is missing: without it nothing refuses money that nobody counts")
    return Acceptor(values["pin"], values["active"], values["debounce_ms"], values["quiet_ms"], worth, table, inhibit)


def _values(where: str, given: object) -> dict:
    if not isinstance(given, dict) or not 1 <= len(given) <= 32:
        raise SettingsError(where + " must give 1 to 32 numbers of pulses a value")
    table = {}
    for pulses in given:
        require(is_digits(pulses) and 1 <= int(pulses) <= 200, where + " must be keyed by 1 to 200 pulses")
        require(is_int(given[pulses], 1, 10**8), where + "." + pulses + " must be 1 to 100000000")
        table[int(pulses)] = given[pulses]
    return table


def _current(where: str, given: object) -> Current:
    values = merge(where, given, {"zero_mv": 0}, ("pin", "mv_per_ampere"))
    require(_is_pin(values["pin"]), where + ".pin must be a pin's number")
    require(is_int(values["mv_per_ampere"], 1, 100_000), where + ".mv_per_ampere must be 1 to 100000")
    require(is_int(values["zero_mv"], 0, 3_000), where + ".zero_mv must be 0 to 3000 mV")
    return Current(values["pin"], values["mv_per_ampere"], values["zero_mv"])


def _is_rom(code: object) -> bool:
    if not is_text(code, 16, 16) or not str(code).startswith("28"):
        return False
    return all(digit in "0123456789abcdef" for digit in str(code))


def _is_pin(value: object) -> bool:
    """Whether it can be a pin at all; pins.py knows which there are."""
    return is_int(value, 0, 48)
