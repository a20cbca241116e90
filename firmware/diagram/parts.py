"""Blocks of what the board carries beside its slots: supply, sensors, money, light and sound."""

from collections.abc import Sequence

from firmware.diagram.blocks import GND, HEAD, LEAD, ROW, V3, VIN, Block, Terminal, pin, pull_up
from firmware.diagram.pen import Pen
from firmware.diagram.symbols import (
    FUSE,
    PULL,
    RESISTOR,
    SWITCH,
    capacitor_down,
    diode,
    flag,
    fuse,
    ground,
    light,
    optocoupler,
    pull,
    rail,
    resistor,
    switch,
    transistor,
)
from firmware.vending.wiring import BOOT_BUTTON, Acceptor, Beam, Current, I2c, Line, Parts, Switch, Thermometers


def supply() -> Block:
    """Where the three voltages come from."""

    def paint(pen: Pen) -> None:
        pen.wire((LEAD, 11), (42, 11))
        pen.text(LEAD + 1, 8.6, "+5 V")
        pen.box(42, 8, 20, 6)
        pen.text(52, 11, "buck 5 V 3 A", "middle")
        pen.wire((62, 11), (66, 11))
        fuse(pen, 66, 11)
        pen.text(66 + FUSE / 2, 8.2, "F2 2 A", "middle")
        pen.wire((66 + FUSE, 11), (86, 11))
        pen.wire((LEAD, 19), (86, 19))
        pen.text(LEAD + 1, 16.6, "all grounds meet at the supply")
        pen.wire((66 + FUSE, 27), (86, 27))
        fuse(pen, 66, 27)
        pen.text(66 + FUSE / 2, 24.2, "F1", "middle")
        pen.wire((60, 27), (66, 27))
        pen.wire((60, 25.7), (60, 28.3))
        pen.text(58.8, 27, "+M: motors only", "end")
        pen.box(86, 7, 30, 24)
        for v, sign in ((11, "+"), (19, "−"), (27, "+")):
            pen.text(87, v, sign)
        pen.text(103, 17, "power supply", "middle")
        pen.text(103, 20.5, "12 or 24 V", "middle")
        pen.wire((LEAD, 35), (LEAD + 4, 35))
        rail(pen, LEAD + 4, 35, "3V3: chips and pull-ups of this drawing, 100 mA at most")

    terminals = (Terminal(11, VIN, "5 V in"), Terminal(19, GND, "ground"), Terminal(35, V3, "3.3 V out"))
    return Block("Supply", 39, terminals, paint)


def switches(title: str, rows: Sequence[tuple[Line, str]], pulled_up: Sequence[int]) -> Block:
    """Contacts to ground on pins of the ESP32: (pin, what it tells) each."""

    def paint(pen: Pen) -> None:
        for number, (line, says) in enumerate(rows):
            contact(pen, HEAD + ROW * number, line.number, says, pulled_up)

    terminals = [Terminal(HEAD + ROW * number, line, says) for number, (line, says) in enumerate(rows)]
    return Block(title, HEAD + ROW * len(rows) - 2, terminals, paint)


def contact(pen: Pen, v: float, number: int, says: str, pulled_up: Sequence[int]) -> None:
    pull_up(pen, v, number, pulled_up)
    pen.wire((LEAD, v), (LEAD + PULL + 4, v))
    switch(pen, LEAD + PULL + 4, v)
    end = LEAD + PULL + SWITCH + 8
    pen.wire((end - 4, v), (end, v))
    ground(pen, end, v)
    pen.text(end + 5, v, says)


def contacts(board: Parts) -> Block | None:
    """What tells of door and defrosting, and the button by which a person makes the device forget its settings."""
    rows: list[tuple[Line, str]] = []
    if board.door is not None:
        rows.append((pin(board.door.pin), f"closed while the door is {'shut' if board.door.active else 'open'}"))
    if board.defrost is not None:
        state = "open" if board.defrost.active else "closed"
        rows.append((pin(board.defrost.pin), f"{state} while the cooling defrosts"))
    if board.button is not None:
        where = "BOOT on the board" if board.button == BOOT_BUTTON else "button inside"
        rows.append((pin(board.button), f"reset: {where}, 10 s"))
    return switches("Contacts", rows, board.pulled_up) if rows else None


def beam(chute: str | None, wired: Beam, pulled_up: Sequence[int]) -> Block:
    """A receiver with an open collector, as nearly all have; `chute` is None for all slots that name none."""
    title = "Drop sensor, across the chute" + ("" if chute is None else f" “{chute}”")

    def paint(pen: Pen) -> None:
        pull_up(pen, HEAD, wired.pin, pulled_up)
        pen.wire((LEAD, HEAD), (72, HEAD))
        pen.box(72, 7, 40, 17)
        pen.text(73, HEAD, "OUT (open collector)")
        for v, name in ((16.0, "+"), (21.0, "−")):
            pen.text(73, v, name)
        pen.text(111, 18.5, "IR receiver", "end")
        pen.wire((64, 16), (72, 16))
        pen.text(63, 16, "+5 V", "end")
        pen.wire((66, 21), (72, 21))
        ground(pen, 66, 21)
        pen.box(72, 28, 40, 10)
        for v, name in ((30.5, "+"), (35, "−")):
            pen.text(73, v, name)
        pen.text(111, 33, "IR emitter", "end")
        pen.wire((64, 30.5), (72, 30.5))
        pen.text(63, 30.5, "+5 V", "end")
        pen.wire((66, 35), (72, 35))
        ground(pen, 66, 35)
        pen.text(LEAD + 2, 26, f"{'high' if wired.active else 'low'} while the beam")
        pen.text(LEAD + 2, 29, "is broken")

    return Block(title, 41, [Terminal(HEAD, pin(wired.pin), "beam")], paint)


def thermometers(wired: Thermometers) -> Block:
    """All on one wire."""
    zones = [f"{zone}: {code or 'the only one'}" for zone, code in wired.zones.items()]
    foot = HEAD + max(9.0, 3 + 3.4 * len(zones))

    def paint(pen: Pen) -> None:
        pull(pen, LEAD + 2, HEAD, "4.7 kΩ", "3V3")
        pen.wire((LEAD, HEAD), (66, HEAD))
        pen.wire((60, 16), (66, 16))
        pen.text(59, 16, "3V3", "end")
        pen.wire((48, 20.5), (66, 20.5))
        ground(pen, 48, 20.5)
        pen.box(66, 7, 52, foot - 4)
        for v, name in ((HEAD, "DQ"), (16, "VDD"), (20.5, "GND")):
            pen.text(67, v, name)
        for number, zone in enumerate(zones):
            pen.text(75, HEAD + 3.4 * number, zone, longest=42)

    return Block("Thermometers DS18B20", foot + 6, [Terminal(HEAD, pin(wired.pin), "DS18B20")], paint)


def acceptor(kind: str, wired: Acceptor, pulled_up: Sequence[int]) -> Block:
    """A 12 V device, kept apart by two optocouplers."""
    worth = f"{wired.minor_per_pulse} minor units a pulse" if wired.minor_per_pulse else "values by number of pulses"

    def paint(pen: Pen) -> None:
        _pulses(pen, wired, pulled_up)
        _inhibit(pen, wired.inhibit)
        pen.box(98, 8, 22, 37)
        for v, name in ((11, "+12 V"), (17, "PULSE"), (32, "INHIBIT"), (38, "GND")):
            pen.text(99, v, name)
        pen.text(LEAD + 2, 14, "high in a pulse (type NC)" if wired.active else "low in a pulse (type NO)")
        pen.text(LEAD + 2, 22.5, worth)

    terminals = [Terminal(11, pin(wired.pin), f"{kind} pulses")]
    if wired.inhibit is not None:
        terminals.append(Terminal(42, pin(wired.inhibit.pin), f"{kind} inhibit"))
    return Block(f"{kind.capitalize()} acceptor", 53, terminals, paint)


def _pulses(pen: Pen, wired: Acceptor, pulled_up: Sequence[int]) -> None:
    pull_up(pen, 11, wired.pin, pulled_up)
    pen.wire((LEAD, 11), (60, 11))
    optocoupler(pen, 60, 9, led_first=False)
    pen.text(67, 20.8, "PC817", "middle")
    pen.wire((57, 17), (60, 17))
    ground(pen, 57, 17)
    pen.wire((74, 11), (80, 11))
    resistor(pen, 80, 11)
    pen.text(83.5, 8.2, "1 kΩ", "middle")
    pen.wire((87, 11), (98, 11))
    pen.wire((74, 17), (98, 17))


def _inhibit(pen: Pen, wired: Switch | None) -> None:
    """Refuses money while nothing drives the pin: the resistor says so."""
    if wired is None:
        return
    pull(pen, LEAD + 2, 42, "10 kΩ", "3V3" if wired.active else "GND")
    pen.wire((LEAD, 42), (54, 42))
    transistor(pen, 54, 42)
    pen.wire((58, 38), (60, 38))
    pen.wire((48, 32), (50, 32))
    pen.text(47, 32, "3V3", "end")
    resistor(pen, 50, 32)
    pen.text(53.5, 29.4, "330 Ω", "middle")
    pen.wire((57, 32), (60, 32))
    optocoupler(pen, 60, 30, led_first=True)
    pen.text(67, 41.8, "PC817", "middle")
    pen.text(61, 46, "AO3400A")
    pen.wire((74, 32), (98, 32))
    pen.wire((74, 38), (98, 38))
    pen.text(LEAD + 2, 46, f"{'high' if wired.active else 'low'}: money refused")


def lamp(line: Line) -> Block:
    def paint(pen: Pen) -> None:
        pen.wire((LEAD, HEAD), (LEAD + 10, HEAD))
        resistor(pen, LEAD + 10, HEAD)
        pen.text(LEAD + 13.5, HEAD - 2.8, "330 Ω", "middle")
        pen.wire((LEAD + 10 + RESISTOR, HEAD), (LEAD + 26, HEAD))
        light(pen, LEAD + 26, HEAD)
        pen.wire((LEAD + 28.8, HEAD), (LEAD + 36, HEAD))
        ground(pen, LEAD + 36, HEAD)

    return Block("LED", 18, [Terminal(HEAD, line, "LED")], paint)


def buzzer(line: Line) -> Block:
    """An active one, which sounds while it has its voltage."""

    def paint(pen: Pen) -> None:
        pull(pen, LEAD + 2, 17, "10 kΩ", "GND")
        pen.wire((LEAD, 17), (60, 17))
        transistor(pen, 60, 17)
        pen.text(67, 21, "AO3400A")
        pen.wire((64, 13), (64, 11), (74, 11))
        pen.box(74, 8, 20, 6)
        pen.text(84, 11, "buzzer 5 V", "middle")
        pen.wire((94, 11), (104, 11))
        rail(pen, 104, 11, "+5 V")
        pen.dot(70, 11)
        pen.wire((70, 11), (70, 17.5), (83, 17.5))
        diode(pen, 83, 17.5)
        pen.wire((85.8, 17.5), (98, 17.5), (98, 11))
        pen.dot(98, 11)

    return Block("Buzzer", 25, [Terminal(17, line, "buzzer")], paint)


def current(wired: Current) -> Block:
    """What all motors draw together."""
    most = (2400 - wired.zero_mv) / wired.mv_per_ampere

    def paint(pen: Pen) -> None:
        capacitor_down(pen, LEAD + 6, HEAD)
        pen.text(LEAD + 9, HEAD + 5, "100 nF")
        pen.wire((LEAD, HEAD), (LEAD + 16, HEAD))
        resistor(pen, LEAD + 16, HEAD)
        pen.text(LEAD + 19.5, HEAD - 2.8, "1 kΩ", "middle")
        pen.wire((LEAD + 16 + RESISTOR, HEAD), (66, HEAD))
        if wired.zero_mv:
            _hall_sensor(pen)
        else:
            _shunt(pen, wired)
        pen.text(
            LEAD + 2, 25, f"{wired.mv_per_ampere} mV an ampere, {wired.zero_mv} mV at rest; reads up to {most:.1f} A"
        )

    return Block("Motor current", 28, [Terminal(HEAD, pin(wired.pin), "current")], paint)


def _shunt(pen: Pen, wired: Current) -> None:
    pen.dot(66, HEAD)
    pen.wire((66, HEAD), (88, HEAD))
    pen.text(89, HEAD, "− of all motor drivers")
    pen.box(64.9, HEAD + 2.5, 2.2, 6)
    pen.wire((66, HEAD), (66, HEAD + 2.5))
    pen.wire((66, HEAD + 8.5), (66, HEAD + 9))
    ground(pen, 66, HEAD + 9)
    pen.text(70, HEAD + 5, f"shunt {wired.mv_per_ampere} mΩ, or amplified to it")


def _hall_sensor(pen: Pen) -> None:
    pen.box(66, 7, 46, 12)
    pen.text(67, HEAD, "OUT, divided to 2.4 V at most")
    pen.text(67, HEAD + 5, "sensor in the motors' supply +M")


def bus(wired: I2c) -> Block:
    def paint(pen: Pen) -> None:
        for v, name in ((HEAD, "SDA"), (HEAD + ROW, "SCL")):
            pull(pen, LEAD + 2, v, "4.7 kΩ", "3V3")
            pen.wire((LEAD, v), (LEAD + PULL + 6, v))
            flag(pen, LEAD + PULL + 6, v, name)

    terminals = [Terminal(HEAD, pin(wired.sda), "SDA"), Terminal(HEAD + ROW, pin(wired.scl), "SCL")]
    return Block("I²C bus", 24, terminals, paint)
