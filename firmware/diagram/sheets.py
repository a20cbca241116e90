"""Lays blocks out on A4 sheets, left and right of the ESP32, so that every wire from it is one straight line."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from firmware.diagram.blocks import WIDTH, Block, Terminal, begin
from firmware.diagram.pen import TITLE, Drawing, Pen

SHEET_WIDTH, SHEET_HEIGHT = 297.0, 210.0
MARGIN = 6.0
STRIP = 15.0
"""At the foot of each sheet: legend and title."""
TOP = MARGIN + 3
FOOT = SHEET_HEIGHT - MARGIN - STRIP
BETWEEN = 3.0
CHIP_LEFT, CHIP_RIGHT = 131.0, 166.0
LEGEND = (
    "+M: motor supply, 12 or 24 V, behind its fuse. +5 V: buck converter. 3V3: the board's own, for logic.",
    "GND: one point, at the supply. Wires are joined only where there is a dot. A dashed resistor is inside the ESP32.",
    "A flag goes on at each flag of its name. IO4: GPIO 4. shift:3: line 3 of the expander shift in settings.json.",
)


@dataclass
class Sheet:
    """Blocks with the height at which each lies, by side."""

    left: list[tuple[float, Block]] = field(default_factory=list)
    right: list[tuple[float, Block]] = field(default_factory=list)


def arrange(left: Sequence[Block], right: Sequence[Block]) -> list[Sheet]:
    """As few sheets as it takes: the machine's parts `left`, its slots' lines `right` and wherever room is left.

    The lines keep their order; of the parts a shorter one may come before one that no longer fits.
    """
    parts, lines = list(left), list(right)
    sheets: list[Sheet] = []
    while parts or lines:
        sheet = Sheet()
        for block in list(parts):
            if _put(sheet.left, block):
                parts.remove(block)
        for column in (sheet.right, sheet.left):
            while lines and _put(column, lines[0]):
                lines.pop(0)
        while parts and _put(sheet.right, parts[0]):
            parts.pop(0)
        sheets.append(sheet)
    return sheets


def _put(column: list[tuple[float, Block]], block: Block) -> bool:
    """Whether it found room below what is there; an empty column takes anything."""
    at = column[-1][0] + column[-1][1].height + BETWEEN if column else TOP
    if column and at + block.height > FOOT:
        return False
    column.append((at, block))
    return True


def paint(sheets: Sequence[Sheet], subject: str) -> Drawing:
    """All sheets, one below the other."""
    drawing = Drawing()
    drawn: set[str] = set()
    for number, sheet in enumerate(sheets):
        top = SHEET_HEIGHT * number
        _frame(Pen(drawing, 0, top), f"{number + 1} of {len(sheets)}", subject)
        pins: list[tuple[float, Terminal, bool]] = []
        for column, is_left in ((sheet.left, True), (sheet.right, False)):
            for at, block in column:
                pen = Pen(drawing, CHIP_LEFT - 4 if is_left else CHIP_RIGHT + 4, top + at, is_left)
                pins += [(at + terminal.at, terminal, is_left) for terminal in _block(pen, block, drawn)]
        _chip(Pen(drawing, 0, top), pins)
    return drawing


def _block(pen: Pen, block: Block, drawn: set[str]) -> list[Terminal]:
    """Paints it; which of its terminals are wired to the ESP32: each pin is, once, and has flags from then on."""
    wired = []
    pen.box(1, 0, WIDTH - 1, block.height, dashed=True)
    pen.text(4, 3.4, block.title, size=TITLE)
    for terminal in block.terminals:
        is_wired = terminal.is_pin and terminal.name not in drawn
        if is_wired:
            wired.append(terminal)
            drawn.add(terminal.name)
        begin(pen, terminal, is_wired)
    block.paint(pen)
    return wired


def _chip(pen: Pen, pins: Sequence[tuple[float, Terminal, bool]]) -> None:
    """The part of the ESP32 that this sheet shows."""
    if not pins:
        return
    first, last = min(at for at, _, _ in pins), max(at for at, _, _ in pins)
    top = first - 9
    pen.box(CHIP_LEFT, top, CHIP_RIGHT - CHIP_LEFT, last - top + 4)
    pen.text((CHIP_LEFT + CHIP_RIGHT) / 2, top + 3.4, "ESP32-WROOM-32", "middle", TITLE)
    for at, terminal, is_left in pins:
        edge = CHIP_LEFT if is_left else CHIP_RIGHT
        outward = -4 if is_left else 4
        pen.wire((edge, at), (edge + outward, at))
        pen.text(edge - outward / 4, at, terminal.name, "start" if is_left else "end")


def _frame(pen: Pen, number: str, subject: str) -> None:
    pen.box(MARGIN - 3, MARGIN - 3, SHEET_WIDTH - 2 * (MARGIN - 3), SHEET_HEIGHT - 2 * (MARGIN - 3))
    strip = SHEET_HEIGHT - MARGIN - STRIP + 4
    pen.wire((MARGIN - 3, strip), (SHEET_WIDTH - MARGIN + 3, strip))
    for row, said in enumerate(LEGEND):
        pen.text(MARGIN, strip + 3 + 3.6 * row, said)
    pen.wire((205, strip), (205, SHEET_HEIGHT - MARGIN + 3))
    pen.text(208, strip + 3.4, "Wiring of a Larder device: ESP32-WROOM-32", size=TITLE)
    pen.text(208, strip + 7.4, subject, longest=80)
    pen.text(208, strip + 11, f"sheet {number}, A4")
