"""Blocks of the motors: on lines of their own, or in a matrix of rows and columns."""

from collections.abc import Mapping, Sequence

from firmware.diagram.blocks import HEAD, LEAD, ROW, Block, Terminal
from firmware.diagram.pen import Pen
from firmware.diagram.symbols import PULL, diode, diode_down, ground, motor, pull, rail
from firmware.vending.wiring import Dc, Line, Servo, Stepper

COLUMNS = 5
"""Of a matrix, in one block."""
OUT = 5.0
CELL = 10.0
CELL_ROW = 16.0
_STEPPER = (
    ("1B 1", "1C 16", "blue"),
    ("2B 2", "2C 15", "pink"),
    ("3B 3", "3C 14", "yellow"),
    ("4B 4", "4C 13", "orange"),
)

Motor = Dc | Servo | Stepper


def motors(slots: Mapping[str, Motor]) -> list[Block]:
    """All motors: the matrix first, then what hangs on lines of its own. Each driver's input has a pull-down."""
    blocks = _matrix({code: wired for code, wired in slots.items() if wired.row is not None})
    for code, wired in slots.items():
        match wired:
            case Dc(row=None):
                blocks.append(_dc(code, wired.output))
            case Servo():
                blocks.append(_servo(code, wired))
            case Stepper():
                blocks.append(_stepper(code, wired))
    return blocks


def _dc(code: str, output: Line) -> Block:
    def paint(pen: Pen) -> None:
        pull(pen, LEAD + 2, HEAD, "10 kΩ", "GND")
        pen.wire((LEAD, HEAD), (LEAD + PULL + 4, HEAD))
        pen.box(LEAD + PULL + 4, 7, 24, 8)
        pen.text(LEAD + PULL + 16, 9.6, "low-side driver", "middle", longest=22)
        pen.text(LEAD + PULL + 5, 12.8, "IN")
        pen.text(LEAD + PULL + 27, 12.8, "OUT", "end")
        pen.wire((LEAD + PULL + 28, HEAD), (89.8, HEAD))
        motor(pen, 93, HEAD, "M")
        pen.wire((96.2, HEAD), (106, HEAD))
        rail(pen, 106, HEAD, "+M")
        pen.dot(84, HEAD)
        pen.wire((84, HEAD), (84, 17.5), (91.5, 17.5))
        diode(pen, 91.5, 17.5)
        pen.wire((94.3, 17.5), (101, 17.5), (101, HEAD))
        pen.dot(101, HEAD)

    return Block(f"{code}: DC motor", 22, [Terminal(HEAD, output, f"motor {code}")], paint)


def _servo(code: str, wired: Servo) -> Block:
    gated = wired.row is not None

    def paint(pen: Pen) -> None:
        pull(pen, LEAD + 2, HEAD, "10 kΩ", "GND")
        pen.wire((LEAD, HEAD), (66, HEAD))
        pen.box(66, 7.5, 46, 16)
        for v, name in ((HEAD, "signal (3.3 V will do)"), (15.5, "+"), (20, "−")):
            pen.text(67, v, name)
        if gated:
            pen.text(75, 17.8, f"supply: {code} of the matrix")
            return
        pen.wire((60, 15.5), (66, 15.5))
        pen.text(59, 15.5, "+5 V", "end")
        pen.wire((52, 20), (66, 20))
        ground(pen, 52, 20)

    return Block(f"{code}: continuous servo", 27, [Terminal(HEAD, wired.signal, f"servo {code}")], paint)


def _stepper(code: str, wired: Stepper) -> Block:
    """Through a ULN2003A, whose inputs have pull-downs of their own."""
    supply = f"red: {code} of the matrix" if wired.row is not None else "red to +5 V"

    def paint(pen: Pen) -> None:
        pen.box(LEAD + 14, 7.5, 26, 24)
        pen.box(76, 7.5, 38, 24)
        for number, (enters, leaves, colour) in enumerate(_STEPPER):
            v = HEAD + OUT * number
            pen.wire((LEAD, v), (LEAD + 14, v))
            pen.text(LEAD + 15, v, enters)
            pen.text(LEAD + 39, v, leaves, "end")
            pen.wire((LEAD + 40, v), (76, v))
            pen.text(77, v, colour)
        pen.text(LEAD + 27, 29.4, "ULN2003A", "middle")
        pen.text(113, 13, "28BYJ-48", "end")
        pen.text(77, 29.4, supply)
        pen.text(LEAD + 2, 34.5, "ULN2003A: COM 9 to the motor's red wire, GND 8 to GND")

    terminals = [
        Terminal(HEAD + OUT * number, line, f"phase {number + 1} of {code}") for number, line in enumerate(wired.phases)
    ]
    return Block(f"{code}: stepper motor", 39, terminals, paint)


def _matrix(slots: Mapping[str, Motor]) -> list[Block]:
    """Blocks of at most COLUMNS columns, each with all rows that it needs."""
    columns = list(dict.fromkeys(wired.column for wired in slots.values()))
    return [_part(slots, columns[first : first + COLUMNS]) for first in range(0, len(columns), COLUMNS)]


def _part(slots: Mapping[str, Motor], columns: Sequence[Line]) -> Block:
    here = {code: wired for code, wired in slots.items() if wired.column in columns}
    rows = list(dict.fromkeys(wired.row for wired in here.values()))
    first_column = HEAD + CELL_ROW * len(rows) + 3
    row_at = {row: HEAD + CELL_ROW * number for number, row in enumerate(rows)}
    column_at = {column: first_column + ROW * number for number, column in enumerate(columns)}
    across = {column: 76 + CELL * number for number, column in enumerate(columns)}
    top = HEAD + 13

    def paint(pen: Pen) -> None:
        for row, v in row_at.items():
            _driver(pen, v, "high side")
            last = max(across[wired.column] for wired in here.values() if wired.row == row)
            pen.wire((LEAD + PULL + 18, v), (last - 5, v))
        for column, v in column_at.items():
            _driver(pen, v, "low side")
            pen.wire((LEAD + PULL + 18, v), (across[column], v), (across[column], top))
        for code, wired in here.items():
            _crossing(pen, across[wired.column], row_at[wired.row], code)
        foot = first_column + ROW * len(columns) - 3
        pen.text(4, foot, "A high side puts +M (servo, stepper: +5 V) on its row, a low side its column to GND.")
        pen.text(
            4, foot + 3.4, "A diode 1N4007 in series with each motor, as drawn, and one across it against its kick."
        )

    terminals = [Terminal(v, row, "row") for row, v in row_at.items()]
    terminals += [Terminal(v, column, "column") for column, v in column_at.items()]
    return Block("Matrix of motors", first_column + ROW * len(columns) + 4, terminals, paint)


def _driver(pen: Pen, v: float, name: str) -> None:
    pull(pen, LEAD + 2, v, "10 kΩ", "GND")
    pen.wire((LEAD, v), (LEAD + PULL + 4, v))
    pen.box(LEAD + PULL + 4, v - 2.5, 14, 5)
    pen.text(LEAD + PULL + 11, v, name, "middle", longest=13)


def _crossing(pen: Pen, column: float, row: float, code: str) -> None:
    """From the row's wire through diode and motor to the column's."""
    at = column - 5
    pen.dot(at, row)
    pen.wire((at, row), (at, row + 1.6))
    diode_down(pen, at, row + 1.6)
    pen.wire((at, row + 4), (at, row + 4.8))
    motor(pen, at, row + 8, code)
    pen.wire((at, row + 11.2), (at, row + 13), (column, row + 13))
    pen.dot(column, row + 13)
