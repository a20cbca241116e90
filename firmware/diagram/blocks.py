"""What a drawing is put together from: blocks, each with the lines by which it hangs on the ESP32."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firmware.diagram.pen import Pen
from firmware.diagram.symbols import FLAG, flag, pull
from firmware.vending.pins import INPUT_ONLY
from firmware.vending.wiring import Line

WIDTH = 121.0
LEAD = 20.0
"""Where a block's own wires begin; before that comes the wire from the ESP32, or a flag."""
HEAD = 11.0
"""Where its first wire lies, below its title."""
ROW = 8.5
"""From one wire with a pull-up to the next."""
VIN, GND, V3 = "VIN", "GND", "3V3"
SUPPLY_PINS = (VIN, GND, V3)


@dataclass(frozen=True)
class Terminal:
    """Where a wire enters a block. `line` is a pin of the ESP32 or of an expander, one of SUPPLY_PINS or a flag."""

    at: float
    line: "Line | str"
    use: str

    @property
    def name(self) -> str:
        """As the settings write it; a pin is `IO` and its number."""
        if isinstance(self.line, str):
            return self.line
        return f"{self.line.on}:{self.line.number}" if self.line.on else f"IO{self.line.number}"

    @property
    def is_pin(self) -> bool:
        """Whether the wire comes from the ESP32 itself."""
        return self.line in SUPPLY_PINS if isinstance(self.line, str) else not self.line.on


@dataclass(frozen=True)
class Block:
    """One part and how it is wired. `paint` draws it with a pen at its own corner."""

    title: str
    height: float
    terminals: Sequence[Terminal]
    paint: Callable[[Pen], None]


def pin(number: int) -> Line:
    return Line("", number)


def begin(pen: Pen, terminal: Terminal, is_wired: bool) -> None:
    """The wire's way to LEAD: from the block's edge, or from a flag."""
    if is_wired:
        pen.wire((0, terminal.at), (LEAD, terminal.at))
    else:
        flag(pen, LEAD - FLAG - 1, terminal.at, terminal.name)
        pen.wire((LEAD - 1, terminal.at), (LEAD, terminal.at))


def pull_up(pen: Pen, at: float, number: int, pulled_up: Sequence[int], ohms: str = "10 kΩ") -> None:
    """At LEAD + 2: the pin's own resistor where it has one and none is fitted."""
    fitted = number in pulled_up or number in INPUT_ONLY
    pull(pen, LEAD + 2, at, ohms if fitted else "", "3V3")
