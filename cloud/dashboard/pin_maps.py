"""Pin maps to begin with, as firmware/HARDWARE.md advises: motors on pins, on shift registers, or in a matrix. Pure.

They are examples, to be made those of the machine; the firmware's own code says whether they can work.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

Json = dict[str, JsonValue]
_PINS = ((25, 16), (26, 17), (27, 18), (32, 19), (33, 21), (13, 22), (4, 23))
"""A motor's and its home switch's; none of them is high while the chip boots."""
_MOST_SLOTS = 60
"""Of one device."""


@dataclass(frozen=True)
class Example:
    """A way to wire a device."""

    key: str
    label: str
    most: int
    make: Callable[[Sequence[str]], Json]


def _on_pins(codes: Sequence[str]) -> Json:
    slots: Json = {
        code: {"motor": {"kind": "dc", "output": motor}, "home": home}
        for code, (motor, home) in zip(codes, _PINS, strict=False)
    }
    return {"slots": slots, "board": _sensors()}


def _on_registers(codes: Sequence[str]) -> Json:
    slots: Json = {
        code: {"motor": {"kind": "dc", "output": f"shift:{line}"}, "home": f"switches:{line}"}
        for line, code in enumerate(codes)
    }
    return {"slots": slots, "board": _expanders(len(codes), len(codes)) | _sensors()}


def _in_matrix(codes: Sequence[str]) -> Json:
    rows = sorted({code[0] for code in codes})
    columns = sorted({int(code[1:]) for code in codes})
    slots: Json = {
        code: {
            "motor": {
                "kind": "dc",
                "row": f"shift:{rows.index(code[0])}",
                "column": f"shift:{len(rows) + columns.index(int(code[1:]))}",
            },
            "home": f"switches:{line}",
        }
        for line, code in enumerate(codes)
    }
    return {"slots": slots, "board": _expanders(len(rows) + len(columns), len(codes)) | _sensors()}


EXAMPLES = (
    Example("pins", "Each motor on a pin of its own", len(_PINS), _on_pins),
    Example("registers", "Motors on shift registers", _MOST_SLOTS, _on_registers),
    Example("matrix", "A matrix: a tray is a row", _MOST_SLOTS, _in_matrix),
)


def example(key: str, codes: Sequence[str]) -> Json | None:
    """The pin map of this name for these slots; None if there is none, or they are too many for it."""
    found = next((one for one in EXAMPLES if one.key == key), None)
    return found.make(codes) if found and 0 < len(codes) <= found.most else None


def _expanders(outputs: int, switches: int) -> Json:
    return {
        "expanders": {
            "shift": {
                "kind": "74hc595", "data": 23, "clock": 18, "latch": 19, "enable": 5, "chips": -(-outputs // 8),
            },
            "switches": {"kind": "74hc165", "data": 35, "clock": 16, "latch": 17, "chips": -(-switches // 8)},
        }
    }  # fmt: skip


def _sensors() -> Json:
    """What every machine should have: a beam that tells what fell, and a switch at the door."""
    beam: Json = {"pin": 34, "active": 0, "min_us": 1000, "rest_ms": 50}
    return {"pulled_up": [34, 35], "drop": beam, "door": {"pin": 14, "active": 1}}
