"""Which line of the board can do what: the sense of a pin map, checked before any of it is touched.

The ESP32-WROOM-32's pins, after Espressif's datasheet (pin definitions, strapping pins) and errata (3.11):
6 to 11 hold the flash; 20, 24, 28 to 31, 37 and 38 are not brought out; 34, 35, 36 and 39 are inputs without pull-up;
1 and 3 are the serial line by which the board is provisioned; 0 is the boot button. 5, 14 and 15 are high while the
chip boots, so no motor hangs there. 12 must be low at boot and 2 low for flashing: both may drive, but nothing may
pull them up. 36 and 39 dip for 80 ns whenever the radio wakes, which an interrupt takes for a pulse. ADC2 (0, 2, 4,
12 to 15, 25 to 27) belongs to the radio, so a current is measured at 32 to 36 or 39.
"""

from . import const
from .checks import SettingsError, require
from .wiring import (
    BOOT_BUTTON,
    DC,
    PWM_CHIP,
    SERVO,
    SERVO_HZ,
    SHIFT_IN,
    SHIFT_OUT,
    Line,
    Parts,
    drop_sensors,
    pwm_lines,
)

_MOTOR = const("a motor")
_DRIVE = const("an output")
_PULLED = const("a line that is pulled up")
_INPUT = const("an input")
_BUTTON = const("a button")
_PULSES = const("pulses")
ADC = "an analogue input"

_EXISTING = const((0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22, 23, 25, 26, 27, 32, 33, 34, 35, 36, 39))
INPUT_ONLY = (34, 35, 36, 39)
_ADC1 = const((32, 33, 34, 35, 36, 39))
_HIGH_AT_BOOT = const((5, 14, 15))
_NOT_PULLED_UP = const((2, 12))
_DIPPING = const((36, 39))
_MAX_PWM_PINS = const(16)
"""Channels of the ESP32's LEDC."""


def check(parts: Parts, slots: dict) -> None:
    """Raises SettingsError, which names the setting, for wiring that cannot work or would not be safe."""
    use = _Use(parts)
    _check_expanders(use, parts)
    for code, slot in slots.items():
        _check_motor(use, "slots." + code + ".motor", slot.motor, slot.soft_start_ms)
        use.input("slots." + code + ".home", slot.home)
        use.input("slots." + code + ".empty", slot.empty)
    _check_parts(use, parts)
    own = [line for line in pwm_lines(slots) if not line.on]
    require(len(own) <= _MAX_PWM_PINS, "slots need PWM on more than 16 pins; a pca9685 has more")
    for code, slot in slots.items():
        has_current = slot.jam_ma is None or parts.current is not None
        require(has_current, "slots." + code + ".jam_ma needs board.current")
        _check_power("slots." + code, slot, parts)


def _check_power(where: str, slot, parts: Parts) -> None:
    """What a slot says of the motors that may turn beside its own."""
    require(slot.chute is None or slot.chute in parts.chutes, where + ".chute is none of board.chutes")
    if slot.draw_ma is None:
        return
    require(parts.power_ma is not None, where + ".draw_ma needs board.power_ma")
    require(slot.draw_ma <= parts.power_ma, where + ".draw_ma is more than board.power_ma")
    alone = slot.motor is not None and slot.motor.row is not None
    require(not alone, where + ".draw_ma: a motor of a matrix turns alone, or others of it would turn with it")


class _Use:
    """Who uses which line. A line has one user, but a matrix's rows and columns, and what it shares, have many."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._users: dict = {}
        self._motors: dict = {}

    def pin(self, where: str, number: int, use: str) -> None:
        """A pin of the chip itself, for one part alone."""
        self._suits(where, number, use)
        self._take(where, Line("", number), None)

    def output(self, where: str, line: Line, use: str, role: "str | None" = None, pwm: bool = False) -> None:
        """Of the chip itself or an expander. Whoever has the same `role` may share it."""
        if line.on:
            self._on_expander(where, line, (SHIFT_OUT, PWM_CHIP))
            capable = self._parts.expanders[line.on].kind == PWM_CHIP
            require(capable or not pwm, where + " needs PWM, which a 74hc595 has not")
        else:
            self._suits(where, line.number, use)
        self._take(where, line, role)

    def input(self, where: str, line: "Line | None") -> None:
        if line is None:
            return
        if line.on:
            self._on_expander(where, line, (SHIFT_IN,))
            self._take(where, line, None)
        else:
            self.pin(where, line.number, _INPUT)

    def driven_input(self, where: str, number: int) -> None:
        """Driven high and low by what is wired to it, so that a pin without pull-up will do."""
        if number in INPUT_ONLY:
            self._take(where, Line("", number), None)
        else:
            self.pin(where, number, _INPUT)

    def servo_rate(self, where: str, line: Line) -> None:
        expander = self._parts.expanders.get(line.on)
        at_rate = expander is None or expander.kind != PWM_CHIP or expander.hz == SERVO_HZ
        require(at_rate, where + " needs board.expanders." + line.on + ".hz to be 50")

    def motor(self, where: str, lines: tuple) -> None:
        """A motor is told by its lines: no two hang on the same ones."""
        first = self._motors.get(lines)
        require(first is None, where + " hangs on the same lines as " + str(first))
        self._motors[lines] = where

    def _take(self, where: str, line: Line, role: "str | None") -> None:
        user, its_role = self._users.get(line, (None, None))
        shared = user is None or (role is not None and role == its_role)
        require(shared, where + ": " + _name(line) + " is already " + str(user) + "'s")
        if user is None:
            self._users[line] = (where, role)

    def _on_expander(self, where: str, line: Line, kinds: tuple) -> None:
        expander = self._parts.expanders.get(line.on)
        if expander is None or expander.kind not in kinds:
            raise SettingsError(where + ": " + line.on + " is no expander for this in board.expanders")
        lines = 16 if expander.kind == PWM_CHIP else 8 * expander.chips
        require(line.number < lines, where + ": " + line.on + " has lines 0 to " + str(lines - 1))

    def _suits(self, where: str, number: int, use: str) -> None:
        reason = _unsuited(number, use, number in self._parts.pulled_up)
        require(reason is None, where + ": pin " + str(number) + " " + str(reason))


def _unsuited(number: int, use: str, pulled_up: bool) -> "str | None":
    """Why this pin cannot be used so; None if it can."""
    if 6 <= number <= 11:
        return "is wired to the flash"
    if number not in _EXISTING:
        return "does not exist on an ESP32-WROOM-32"
    if number in (1, 3):
        return "is the serial line"
    if number == BOOT_BUTTON:
        return None if use == _BUTTON else "is the boot button"
    if use == ADC:
        return None if number in _ADC1 else "cannot measure while Wi-Fi is on; ADC1 is 32 to 36 and 39"
    if number in INPUT_ONLY:
        return _unsuited_input(number, use, pulled_up)
    if use == _MOTOR and number in _HIGH_AT_BOOT:
        return "is high while the chip boots: the motor would turn"
    if number in _NOT_PULLED_UP and (pulled_up or use not in (_MOTOR, _DRIVE)):
        return "must be low at boot, and this pulls it up"
    return None


def _unsuited_input(number: int, use: str, pulled_up: bool) -> "str | None":
    if use not in (_INPUT, _PULSES, _BUTTON):
        return "is an input only"
    if use == _PULSES and number in _DIPPING:
        return "dips whenever the radio wakes, which would count as a pulse"
    if not pulled_up:
        return "has no pull-up: fit a resistor and name the pin in board.pulled_up"
    return None


def _check_motor(use: _Use, where: str, motor, soft_start_ms: int) -> None:
    if motor is None:
        return
    gates: tuple = ()
    if motor.row is not None:
        gates = (motor.row, motor.column)
        soft_dc = motor.kind == DC and soft_start_ms > 0
        use.output(where + ".row", motor.row, _MOTOR, "row", soft_dc)
        use.output(where + ".column", motor.column, _MOTOR, "column")
    if motor.kind == DC:
        drives = () if motor.output is None else (motor.output,)
        names: tuple = (".output",)
    elif motor.kind == SERVO:
        drives, names = (motor.signal,), (".signal",)
        use.servo_rate(where + ".signal", motor.signal)
    else:
        drives, names = motor.phases, (".phases", ".phases", ".phases", ".phases")
        require(len(set(drives)) == 4, where + ".phases must be four different lines")
    role = motor.kind + " of a matrix" if gates else None
    pwm = motor.kind == SERVO or (motor.kind == DC and soft_start_ms > 0)
    for index in range(len(drives)):
        use.output(where + names[index], drives[index], _MOTOR, role, pwm)
    use.motor(where, gates if gates else drives)


def _check_expanders(use: _Use, parts: Parts) -> None:
    addresses: dict = {}
    if parts.i2c is not None:
        use.pin("board.i2c.sda", parts.i2c.sda, _PULLED)
        use.pin("board.i2c.scl", parts.i2c.scl, _PULLED)
    for name in parts.expanders:
        where = "board.expanders." + name
        expander = parts.expanders[name]
        if expander.enable is not None:
            use.pin(where + ".enable", expander.enable, _PULLED)
        if expander.kind == PWM_CHIP:
            require(parts.i2c is not None, where + " needs board.i2c")
            other = addresses.get(expander.address)
            require(other is None, where + ".address is already that of " + str(other))
            addresses[expander.address] = where
        else:
            if expander.kind == SHIFT_IN:
                use.driven_input(where + ".data", expander.data)
            else:
                use.pin(where + ".data", expander.data, _DRIVE)
            use.pin(where + ".clock", expander.clock, _DRIVE)
            use.pin(where + ".latch", expander.latch, _DRIVE)


def _check_parts(use: _Use, parts: Parts) -> None:
    for chute, sensor in drop_sensors(parts).items():
        where = "board.drop" if chute is None else "board.chutes." + chute
        use.pin(where + ".pin", sensor.pin, _PULSES)
    if parts.door is not None:
        use.pin("board.door.pin", parts.door.pin, _INPUT)
    if parts.defrost is not None:
        use.pin("board.defrost.pin", parts.defrost.pin, _INPUT)
    if parts.temperatures is not None:
        use.pin("board.temperatures.pin", parts.temperatures.pin, _PULLED)
    for name in ("coin", "note"):
        acceptor = getattr(parts, name)
        if acceptor is not None:
            use.pin("board." + name + ".pin", acceptor.pin, _PULSES)
            if acceptor.inhibit is not None:
                use.pin("board." + name + ".inhibit.pin", acceptor.inhibit.pin, _PULLED)
    for name in ("buzzer", "led"):
        line = getattr(parts, name)
        if line is not None:
            use.output("board." + name, line, _DRIVE)
    if parts.button is not None:
        use.pin("board.button", parts.button, _BUTTON)
    if parts.current is not None:
        use.pin("board.current.pin", parts.current.pin, ADC)


def _name(line: Line) -> str:
    return line.on + ":" + str(line.number) if line.on else "pin " + str(line.number)
