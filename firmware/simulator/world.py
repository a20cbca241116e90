"""The physical world of one simulated device, as an append-only file: what happened, happened.

`read_world` is the oracle for tests, checks and crash labs: it knows what the motors did, whatever software believes.
"""

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

WORLD_FILE = "world.jsonl"
LONGEST_LINE = 400
MOVEMENTS = ("left_home", "drop", "no_drop", "home")


@dataclass
class Witness:
    """What really happened in one world. `label` is the vend id that the dispenser gave with the motor start."""

    motor_starts: Counter[str] = field(default_factory=Counter)
    """Motor starts by label."""
    together: int = 0
    """Motor starts while another motor of this world was on."""
    turning: set[str] = field(default_factory=set)
    """The slots whose motor is on, as far as anybody wrote it down: a program that dies says nothing of it."""
    drops: Counter[str] = field(default_factory=Counter)
    """Products that fell, by label of the motion that let them fall."""
    coins_minor: int = 0
    """All coins ever taken, in minor units."""
    stock: dict[str, int] = field(default_factory=dict)
    """Products left in the coil, by slot."""
    restocked: dict[str, int] = field(default_factory=dict)
    """Products ever put in, by slot, the opening stock included: restocked = stock + drops of that slot."""
    coil: dict[str, str] = field(default_factory=dict)
    """The last movement of each slot's coil: left_home, drop, no_drop or home."""
    jammed: set[str] = field(default_factory=set)
    door_is_open: bool = False
    is_defrosting: bool = False
    beam_is_blocked: bool = False
    temperatures: dict[str, int] = field(default_factory=dict)
    """The last one that was set, by zone, in hundredths of a degree Celsius."""


def read_world(state: Path | str) -> Witness:
    """The witness of the simulator whose `--state` folder this is; an empty one if nothing has happened yet.

    May be called while the simulator runs. A last line that is cut short is left out.
    """
    witness = Witness()
    path = Path(state) / WORLD_FILE
    if path.exists():
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                _see(witness, json.loads(line))
    return witness


def last_events(state: Path | str, count: int) -> list[dict[str, object]]:
    """The last `count` events of this world at most, oldest first, without reading all that came before."""
    path = Path(state) / WORLD_FILE
    if not path.exists():
        return []
    with path.open("rb") as file:
        begin = max(0, path.stat().st_size - count * LONGEST_LINE)
        file.seek(begin)
        lines = file.read().splitlines(keepends=True)
    whole = [line for line in lines[1 if begin else 0 :] if line.endswith(b"\n")]
    return [json.loads(line) for line in whole[-count:]]


def _see(witness: Witness, event: dict[str, object]) -> None:
    kind, slot, label = str(event["kind"]), str(event.get("slot")), str(event.get("label"))
    amount = int(str(event.get("amount") or 0))
    if kind == "coin":
        witness.coins_minor += amount
    elif kind == "restock":
        witness.stock[slot] = witness.stock.get(slot, 0) + amount
        witness.restocked[slot] = witness.restocked.get(slot, 0) + amount
    elif kind == "jam":
        witness.jammed.add(slot)
    elif kind == "unjam":
        witness.jammed.discard(slot)
    elif kind in ("door_open", "door_closed"):
        witness.door_is_open = kind == "door_open"
    elif kind in ("defrost_begun", "defrost_ended"):
        witness.is_defrosting = kind == "defrost_begun"
    elif kind in ("beam_blocked", "beam_free"):
        witness.beam_is_blocked = kind == "beam_blocked"
    elif kind == "temperature":
        witness.temperatures[str(event["zone"])] = int(str(event["hundredths"]))
    elif kind == "motor_start":
        witness.motor_starts[label] += 1
        witness.together += bool(witness.turning - {slot})
        witness.turning.add(slot)
    elif kind == "motor_stop":
        witness.turning.discard(slot)
    elif kind in MOVEMENTS:
        witness.coil[slot] = kind
    if kind == "drop":
        witness.drops[label] += 1
        witness.stock[slot] -= 1


class WorldLog:
    """Writes what happens. A line is in the kernel's hands, safe from kill -9, when `write` returns."""

    def __init__(self, state: Path) -> None:
        self._path = state / WORLD_FILE
        if self._path.exists():
            whole, line_break, _ = self._path.read_bytes().rpartition(b"\n")
            self._path.write_bytes(whole + line_break)

    def write(self, kind: str, slot: str | None = None, label: str | None = None, **figures: object) -> None:
        """`kind` is one of motor_start, left_home, drop, no_drop, home, motor_stop, jam, unjam (with their `slot`),
        coin, coin_returned, restock (`amount`), door_open, door_closed, defrost_begun, defrost_ended,
        beam_blocked, beam_free, link_up, link_down, temperature (`zone`, `hundredths`)."""
        event = {"time": time.time(), "kind": kind, "slot": slot, "label": label, **figures}
        line = json.dumps({name: value for name, value in event.items() if value is not None})
        with self._path.open("ab", buffering=0) as file:
            file.write(line.encode() + b"\n")
