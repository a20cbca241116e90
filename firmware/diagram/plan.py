"""From settings to their drawing: which blocks there are, what they hang on, and what a reader who cannot see hears."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from firmware.diagram import chips, drives, parts
from firmware.diagram.blocks import Block
from firmware.diagram.pen import TEXT, TITLE
from firmware.diagram.sheets import SHEET_HEIGHT, SHEET_WIDTH, Sheet, arrange, paint
from firmware.vending import pins
from firmware.vending.checks import require
from firmware.vending.settings import Slot, parse_slots
from firmware.vending.wiring import DC, SERVO, Line, Parts, drop_sensors, parse_parts

SWITCHES_A_BLOCK = 12
STYLE = (
    "path,rect,circle{fill:none;stroke:#000;stroke-width:.25;stroke-linejoin:round;stroke-linecap:round}.full{fill:#000}"
    f"text{{font:{TEXT}px Helvetica,Arial,'Liberation Sans',sans-serif}}.title{{font-size:{TITLE}px;font-weight:bold}}"
)


@dataclass(frozen=True)
class Plan:
    """What settings.json says of the wiring, found right."""

    device_id: str
    board: Parts
    slots: Mapping[str, Slot]


def read(data: bytes) -> Plan:
    """The wiring in settings.json, signed or not; nothing but `board` and `slots` is needed. Raises SettingsError."""
    given = _object(data)
    if "signature" in given:
        given = _object(str(given.get("text")).encode())
    board = parse_parts(given.get("board", {}))
    slots = parse_slots(given.get("slots"))
    pins.check(board, slots)
    return Plan(str(given.get("device_id", "")), board, slots)


def draw(plan: Plan) -> str:
    """The drawing as SVG: A4 sheets, one below the other."""
    left = _parts(plan)
    right = _lines(plan)
    sheets = arrange(left, right)
    height = SHEET_HEIGHT * len(sheets)
    subject = f"device {plan.device_id}, {len(plan.slots)} slots" if plan.device_id else f"{len(plan.slots)} slots"
    drawing = paint(sheets, subject)
    size = f'width="{SHEET_WIDTH:g}mm" height="{height:g}mm" viewBox="0 0 {SHEET_WIDTH:g} {height:g}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title connections">',
        f'<title id="title">Wiring of a Larder device: {escape(subject)}</title>',
        f'<desc id="connections">{escape(_said(sheets))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect width="{SHEET_WIDTH:g}" height="{height:g}" style="fill:#fff;stroke:none"/>',
        *drawing.elements,
        "</svg>\n",
    ]
    return "\n".join(lines)


def _said(sheets: Sequence[Sheet]) -> str:
    blocks = [block for sheet in sheets for _, block in (*sheet.left, *sheet.right)]
    return " ".join(
        f"{block.title}: {', '.join(f'{terminal.name} {terminal.use}' for terminal in block.terminals)}."
        for block in blocks
    )


def _parts(plan: Plan) -> list[Block]:
    board, pulled_up = plan.board, plan.board.pulled_up
    contacts = parts.contacts(board)
    blocks = [parts.supply()] if contacts is None else [parts.supply(), contacts]
    blocks += [parts.beam(chute, sensor, pulled_up) for chute, sensor in drop_sensors(board).items()]
    if board.temperatures is not None:
        blocks.append(parts.thermometers(board.temperatures))
    for kind, wired in (("coin", board.coin), ("note", board.note)):
        if wired is not None:
            blocks.append(parts.acceptor(kind, wired, pulled_up))
    if board.current is not None:
        blocks.append(parts.current(board.current))
    if board.led is not None:
        blocks.append(parts.lamp(board.led))
    if board.buzzer is not None:
        blocks.append(parts.buzzer(board.buzzer))
    return blocks


def _lines(plan: Plan) -> list[Block]:
    blocks = [] if plan.board.i2c is None else [parts.bus(plan.board.i2c)]
    uses = _uses(plan)
    for name, wired in plan.board.expanders.items():
        blocks += chips.expander(name, wired, uses)
    blocks += drives.motors({code: slot.motor for code, slot in plan.slots.items() if slot.motor is not None})
    contacts = [(line, says) for line, says in _contacts(plan.slots) if not line.on]
    for first in range(0, len(contacts), SWITCHES_A_BLOCK):
        chunk = contacts[first : first + SWITCHES_A_BLOCK]
        blocks.append(parts.switches("Switches of the slots", chunk, plan.board.pulled_up))
    return blocks


def _contacts(slots: Mapping[str, Slot]) -> list[tuple[Line, str]]:
    found = []
    for code, slot in slots.items():
        found += [(slot.home, f"{code} home")] if slot.home else []
        found += [(slot.empty, f"{code} empty")] if slot.empty else []
    return found


def _uses(plan: Plan) -> dict[Line, str]:
    uses = dict(_contacts(plan.slots))
    for line, use in ((plan.board.led, "LED"), (plan.board.buzzer, "buzzer")):
        if line is not None:
            uses[line] = use
    for code, slot in plan.slots.items():
        uses |= _motor_uses(code, slot.motor)
    return uses


def _motor_uses(code: str, motor: Any) -> dict[Line, str]:
    if motor is None:
        return {}
    gates = {} if motor.row is None else {motor.row: "row of motors", motor.column: "column of motors"}
    if motor.kind == DC:
        return gates or {motor.output: f"{code} motor"}
    if motor.kind == SERVO:
        return gates | {motor.signal: f"{code} servo signal"}
    return gates | {line: f"{code} phase {number + 1}" for number, line in enumerate(motor.phases)}


def _object(data: bytes) -> dict[str, Any]:
    try:
        given = json.loads(data)
    except ValueError:
        given = None
    require(isinstance(given, dict), "settings.json is not a JSON object")
    return dict(given)
