"""What a person sees of simulated devices, laid out for a terminal of any size. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from firmware.simulator.facts import event, facts
from firmware.simulator.spans import Line, Span, Style, fit, pad, wrap

FACT_COLUMN, SLOT_COLUMN = 40, 40
LONGEST_BAR = 24
KEYS = ("↑↓ slot", "j jam", "r fill", "d door", "b beam", "l link", "c coin", "+- °C", "Tab next", "q quit")
_MOTOR = {"off": Style.QUIET, "turning": Style.BUSY, "stuck": Style.BAD}


@dataclass(frozen=True)
class Sight:
    """One device at one moment. `told` is the simulator's answer to `status`, None while none runs."""

    name: str
    told: dict[str, Any] | None
    events: Sequence[dict[str, Any]] = ()

    @property
    def coils(self) -> dict[str, dict[str, Any]]:
        """Slot → what is seen of its coil."""
        return dict(self.told["coils"]) if self.told else {}


@dataclass(frozen=True)
class View:
    """Several devices, of which one is looked at; one of its slots is chosen. `note`: what came of the last key."""

    sights: Sequence[Sight]
    device: int = 0
    slot: int = 0
    note: Span = ("", Style.PLAIN)


def draw(view: View, width: int, height: int) -> list[Line]:
    """`height` lines of at most `width` columns. Where they are few, the keys are left out last."""
    sight = view.sights[view.device]
    keys: list[Line] = [((" " + row, Style.QUIET),) for row in wrap(KEYS, width - 1)]
    body = [_names(view), *_facts(sight, width)]
    room = height - len(body) - len(keys) - 2
    body += [(), *_slots(sight, view.slot, width, max(2, room - min(room // 3, 8)))]
    body += _events(sight, height - len(body) - len(keys) - 1)
    body += [()] * height
    whole = [*body[: max(0, height - len(keys) - 1)], (view.note,), *keys]
    return [fit(line, width) for line in whole[-height:]]


def _names(view: View) -> Line:
    names: list[Span] = []
    for number, sight in enumerate(view.sights):
        chosen = number == view.device
        names.append((f"[{sight.name}]" if chosen else f" {sight.name} ", Style.CHOSEN if chosen else Style.QUIET))
    return ((" ", Style.PLAIN), *names)


def _facts(sight: Sight, width: int) -> list[Line]:
    """Label and value, side by side where there is room."""
    if sight.told is None:
        return [((" no simulator runs here; waiting for one", Style.BAD),)]
    cells: list[Line] = [
        ((f" {label:<9}", Style.QUIET), (pad(text, FACT_COLUMN - 10), style))
        for label, (text, style) in facts(sight.told).items()
    ]
    if width < 2 * FACT_COLUMN:
        return cells
    half = (len(cells) + 1) // 2
    return [_joined(cells[row::half]) for row in range(half)]


def _slots(sight: Sight, chosen: int, width: int, room: int) -> list[Line]:
    """A title and the page of slots with the chosen one; columns, if they do not fit into one."""
    codes = list(sight.coils)
    if not codes:
        return []
    columns = max(1, min(width // SLOT_COLUMN, -(-len(codes) // (room - 1))))
    rows = min(room - 1, -(-len(codes) // columns))
    first = chosen // (rows * columns) * (rows * columns)
    page = codes[first : first + rows * columns]
    cells = [_slot(code, sight.coils[code], code == codes[chosen], width // columns) for code in page]
    part = "" if len(page) == len(codes) else f"  ({page[0]} to {page[-1]} of {len(codes)} slots)"
    title: Line = ((f"   slot stock  motor         coil{part}", Style.QUIET),)
    return [title, *(_joined(cells[row::rows]) for row in range(min(rows, len(cells))))]


def _slot(code: str, coil: dict[str, Any], is_chosen: bool, width: int) -> Line:
    """The most telling comes first: what lies beyond a narrow screen is not seen."""
    motor, turned = coil["motor"], coil["turned"]
    words = "off" if motor == "off" else f"{motor:<7} {turned:4.0%}"
    trouble = "jammed" if coil["jammed"] else "" if coil["stock"] else "empty"
    line: Line = (
        (f" {'>' if is_chosen else ' '} {code:<4}", Style.CHOSEN if is_chosen else Style.PLAIN),
        (f"{coil['stock']:>5}  ", Style.PLAIN if coil["stock"] else Style.BAD),
        (f"{words:<13} ", _MOTOR[motor]),
        (f"{'home' if coil['home'] else 'away':<5}", Style.PLAIN if coil["home"] else Style.BUSY),
        (f"{trouble:<6} ", Style.BAD),
    )
    left = max(0, width - sum(len(text) for text, _ in line))
    length = min(LONGEST_BAR, left)
    done = round(length * turned)
    bar = "━" * done + (" " if motor == "off" else "·") * (length - done)
    return (*line, (pad(bar, left), _MOTOR[motor]))


def _events(sight: Sight, room: int) -> list[Line]:
    if room < 3 or not sight.events:
        return []
    return [(), ((" what really happened", Style.QUIET),), *(event(one) for one in sight.events[-(room - 2) :])]


def _joined(cells: Sequence[Line]) -> Line:
    return tuple(span for cell in cells for span in cell)
