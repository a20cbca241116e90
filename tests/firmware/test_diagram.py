"""The wiring diagram: what is drawn of a pin map, that every label can be read, and that the README's is up to date."""

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from firmware.diagram.pen import LETTER, TEXT, TITLE
from firmware.diagram.plan import draw, read
from firmware.diagram.sheets import CHIP_LEFT, CHIP_RIGHT, SHEET_HEIGHT, SHEET_WIDTH
from firmware.vending.checks import SettingsError
from firmware.vending.wiring import BOOT_BUTTON, Parts
from firmware.workbench.__main__ import main

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"
README = (ROOT / "firmware/README.md").read_text().split("```json\n")[1].split("```")[0]

SHIFT = {"kind": "74hc595", "data": 23, "clock": 18, "latch": 19, "enable": 5, "chips": 2}
SWITCHES = {"kind": "74hc165", "data": 35, "clock": 16, "latch": 17, "chips": 8}
PWM = {"kind": "pca9685", "address": 0x43, "enable": 13}


def crossing(row: Any, column: Any, **more: Any) -> dict[str, Any]:
    return {"motor": {"kind": "dc", "row": row, "column": column}, **more}


def sixty() -> dict[str, Any]:
    """A cabinet of six shelves of ten, in a matrix on shift registers."""
    codes = [f"{shelf}{place}" for shelf in "ABCDEF" for place in range(10)]
    slots = {
        code: crossing(f"shift:{number // 10}", f"shift:{6 + number % 10}", home=f"switches:{number}")
        for number, code in enumerate(codes)
    }
    zones = {f"a-long-zone-{number:04}": f"28{number:014x}" for number in range(8)}
    board = {
        "expanders": {"shift": SHIFT, "switches": SWITCHES},
        "temperatures": {"pin": 33, "zones": zones},
        "coin": {"pin": 4, "active": 1, "minor_per_pulse": 1000000, "inhibit": {"pin": 15, "active": 0}},
        "current": {"pin": 36, "mv_per_ampere": 66, "zero_mv": 1650},
        "led": 2,
    }
    return {"board": board, "slots": slots}


def direct() -> dict[str, Any]:
    """Everything on the ESP32's own pins."""
    slots: dict[str, Any] = {
        f"A{number}": {"motor": {"kind": "dc", "output": pin}} for number, pin in enumerate([4, 13, 16, 17])
    }
    slots["A0"] |= {"home": 23, "empty": 34}
    slots["A1"] |= {"home": 25}
    slots["B1"] = {"motor": {"kind": "stepper", "phases": [26, 27, 32, 33]}}
    slots["B2"] = {"motor": {"kind": "servo", "signal": 18}}
    board = {
        "pulled_up": [34, 35],
        "led": 2,
        "buzzer": 12,
        "door": {"pin": 14, "active": 0},
        "drop": {"pin": 21},
        "chutes": {"left": {"pin": 19}, "a-name-of-16-abc": {"pin": 35}, "unwatched": None},
        "button": 22,
    }
    return {"board": board, "slots": slots}


def dimmed() -> dict[str, Any]:
    """Two PWM chips full, lights on them, and a matrix of servos and steppers that share their lines."""
    slots: dict[str, Any] = {
        f"A{number}": {"motor": {"kind": "servo", "signal": f"p:{number}"}} for number in range(15)
    }
    slots |= {
        f"B{number}": {"motor": {"kind": "dc", "output": f"a-name-of-16-abc:{number}"}, "soft_start_ms": 300}
        for number in range(14)
    }
    for code, row in (("C1", 25), ("C2", 26)):
        slots[code] = {"motor": {"kind": "servo", "signal": "p:15", "row": row, "column": 27}}
        slots[f"D{code[1]}"] = {"motor": {"kind": "stepper", "phases": [4, 16, 17, 18], "row": row, "column": 32}}
    board = {
        "i2c": {"sda": 21, "scl": 22},
        "expanders": {"p": PWM, "a-name-of-16-abc": PWM | {"address": 0x7E, "enable": 14}},
        "led": "a-name-of-16-abc:15",
        "buzzer": "a-name-of-16-abc:14",
    }
    return {"board": board, "slots": slots}


def far() -> dict[str, Any]:
    """Only the last chips of long rows are in use."""
    slots = {"A1": {"motor": {"kind": "dc", "output": "shift:63"}, "home": "switches:63"}}
    return {"board": {"expanders": {"shift": SHIFT | {"chips": 8}, "switches": SWITCHES}}, "slots": slots}


MAPS = {"far": far(), "readme": json.loads(README), "sixty": sixty(), "direct": direct(), "dimmed": dimmed()}


def drawing(settings: dict[str, Any]) -> ElementTree.Element:
    return ElementTree.fromstring(draw(read(json.dumps(settings).encode())))  # noqa: S314 - we drew it ourselves


@dataclass(frozen=True)
class Box:
    """What a text covers, in millimetres."""

    said: str
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def is_crossed_by(self, stroke: tuple[float, ...]) -> bool:
        """By Liang and Barsky: whether any of the stroke lies inside."""
        x, y, to_x, to_y = stroke
        begin, end = 0.0, 1.0
        for delta, room in (
            (x - to_x, x - self.left),
            (to_x - x, self.right - x),
            (y - to_y, y - self.top),
            (to_y - y, self.bottom - y),
        ):
            if delta == 0:
                if room <= 0:
                    return False
            elif delta < 0:
                begin = max(begin, room / delta)
            else:
                end = min(end, room / delta)
        return begin < end


def texts(svg: ElementTree.Element) -> list[Box]:
    """With letters as wide as LETTER says, and as high as capitals with their descenders."""
    found = []
    for text in svg.iter(f"{SVG}text"):
        said = text.text or ""
        is_title = text.get("class") == "title"
        size = TITLE if is_title else TEXT
        width = float(text.get("textLength") or LETTER * size * len(said) * (1.1 if is_title else 1))
        x, base = float(text.get("x", 0)), float(text.get("y", 0))
        left = x - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[text.get("text-anchor", "start")]
        found.append(Box(said, left, base - 0.72 * size, left + width, base + 0.2 * size))
    return found


def strokes(svg: ElementTree.Element) -> list[tuple[float, ...]]:
    found = []
    for path in svg.iter(f"{SVG}path"):
        points = [tuple(map(float, point.split())) for point in re.findall(r"[-\d.]+ [-\d.]+", path.get("d", ""))]
        found += [(*one, *other) for one, other in pairwise(points)]
    for rect in svg.iter(f"{SVG}rect"):
        if rect.get("x") is not None:
            x, y, width, height = (float(rect.get(name, 0)) for name in ("x", "y", "width", "height"))
            corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
            found += [(*one, *other) for one, other in pairwise(corners)]
    return found


@pytest.mark.parametrize("name", MAPS)
def test_no_wire_and_no_label_runs_through_a_label(name: str) -> None:
    svg = drawing(MAPS[name])
    labels, lines = texts(svg), strokes(svg)
    assert len(labels) > 50
    assert [(label.said, line) for label in labels for line in lines if label.is_crossed_by(line)] == []
    pairs = [(one, other) for place, one in enumerate(labels) for other in labels[place + 1 :]]
    assert [(one.said, other.said) for one, other in pairs if one.overlaps(other)] == []


@pytest.mark.parametrize("name", MAPS)
def test_everything_lies_on_its_sheet(name: str) -> None:
    svg = drawing(MAPS[name])
    sheets = round(float(svg.get("height", "").removesuffix("mm")) / SHEET_HEIGHT)
    for label in texts(svg):
        sheet = label.top // SHEET_HEIGHT
        assert 0 <= sheet < sheets
        assert 3 < label.left < label.right < SHEET_WIDTH - 3
        assert SHEET_HEIGHT * sheet + 3 < label.top < label.bottom < SHEET_HEIGHT * (sheet + 1) - 3, label


def pins_of(settings: Any) -> set[int]:
    """Every pin that a pin map names, wherever it does."""
    named = (
        "pin",
        "sda",
        "scl",
        "data",
        "clock",
        "latch",
        "enable",
        "output",
        "row",
        "column",
        "signal",
        "home",
        "empty",
    )
    if not isinstance(settings, dict):
        return set()
    found = set().union(*(pins_of(value) for value in settings.values()))
    parts = ("led", "buzzer", "button")
    found |= {value for name, value in settings.items() if name in (*named, *parts) and type(value) is int}
    return found | {phase for phase in settings.get("phases", ()) if type(phase) is int}


@pytest.mark.parametrize("name", MAPS)
def test_every_pin_leaves_the_esp32_once(name: str) -> None:
    on_chip = Counter(
        label.said
        for label in texts(drawing(MAPS[name]))
        if label.said.startswith("IO")
        and (abs(label.left - CHIP_LEFT - 1) < 0.1 or abs(label.right - CHIP_RIGHT + 1) < 0.1)
    )
    pins = pins_of({"button": BOOT_BUTTON} | MAPS[name]["board"]) | set().union(
        *(pins_of(slot) for slot in MAPS[name]["slots"].values())
    )
    assert on_chip == {f"IO{pin}": 1 for pin in pins}


@pytest.mark.parametrize("name", MAPS)
def test_every_line_of_an_expander_leads_somewhere(name: str) -> None:
    said = Counter(label.said for label in texts(drawing(MAPS[name])))
    flags = {label: count for label, count in said.items() if re.fullmatch(r"[^ ]+:\d+|.* \d>\d", label)}
    assert name == "direct" or flags
    loose = {label for label, count in flags.items() if count < 2}
    assert loose <= {"switches 2>1"}, "only a chip on which nothing hangs is not drawn"
    for code, slot in MAPS[name]["slots"].items():
        assert f"{code} home" in said or "home" not in slot


def test_it_draws_the_resistors_that_keep_the_machine_safe() -> None:
    svg = drawing(MAPS["readme"])
    said = Counter(label.said for label in texts(svg))
    assert said["3V3, 4.7 kΩ"] == 3, "two of the I²C bus, one of the thermometers"
    assert said["GND, 10 kΩ"] == 5, "row, column, a DC motor, a servo, the buzzer"
    assert said["3V3, 10 kΩ"] == 2 + 2 + 1 + 3, "enable lines, inhibit lines, beam, home switches on a 74HC165"
    assert said["3V3, inside"] == 5, "door, defrost, button, coin, note"
    shut = {said for said in map(str, said) if "money refused" in said}
    assert shut == {"high: money refused"}
    assert "low: money refused" in {label.said for label in texts(drawing(MAPS["sixty"]))}


def test_every_part_that_the_settings_know_is_drawn() -> None:
    """A new one needs a block of its own (plan.py) and its place here."""
    titles = {
        "i2c": "I²C bus",
        "expanders": "shift: 74HC595, chip 1 of 2",
        "drop": "Drop sensor, across the chute",
        "chutes": "Drop sensor, across the chute “left”",
        "door": "closed while the door is shut",
        "defrost": "closed while the cooling defrosts",
        "temperatures": "Thermometers DS18B20",
        "coin": "Coin acceptor",
        "note": "Note acceptor",
        "buzzer": "Buzzer",
        "led": "LED",
        "button": "reset: BOOT on the board, 10 s",
        "current": "Motor current",
    }
    assert {*titles, "pulled_up", "power_ma"} == set(Parts._fields)
    drawn = {label.said for name in ("readme", "direct") for label in texts(drawing(MAPS[name]))}
    assert set(titles.values()) <= drawn


def test_the_chips_say_how_they_are_strapped() -> None:
    said = " ".join(label.said for label in texts(drawing(MAPS["dimmed"])))
    assert "A5 to A0 = 000011" in said
    assert "A5 to A0 = 111110" in said


def test_who_cannot_see_it_hears_every_connection() -> None:
    svg = drawing(MAPS["readme"])
    assert svg.get("role") == "img"
    title, told = svg.find(f"{SVG}title"), svg.find(f"{SVG}desc")
    assert title is not None
    assert told is not None
    assert svg.get("aria-labelledby") == f"{title.get('id')} {told.get('id')}"
    assert "4 slots" in str(title.text)
    for connection in ("IO14 closed while the door is shut", "IO4 coin pulses", "IO15 coin inhibit", "pwm:0 servo A3"):
        assert connection in str(told.text)


def test_it_is_black_on_white() -> None:
    assert set(re.findall(r"#[0-9a-f]{3,6}\b", draw(read(README.encode())))) == {"#000", "#fff"}


def test_names_cannot_break_the_drawing() -> None:
    said = [label.said for label in texts(drawing(MAPS["readme"] | {"device_id": "</text><b>&"}))]
    assert "device </text><b>&, 4 slots" in said


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff", "settings.json is not a JSON object"),
        (b"[]", "settings.json is not a JSON object"),
        (b"{}", "slots must name 1 to 60 slots"),
        (json.dumps({"slots": {"A1": {"motor": {"kind": "dc", "output": 5}}}}).encode(), "high while the chip boots"),
    ],
)
def test_a_wrong_pin_map_is_refused_with_its_reason(data: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=re.escape(reason)):
        read(data)
    (tmp_path / "settings.json").write_bytes(data)
    run = [sys.executable, "-m", "firmware.diagram", str(tmp_path / "settings.json")]
    told = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (told.returncode, told.stdout) == (2, "")
    assert reason in told.stderr


def test_larder_device_draws_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "settings.json").write_text(README)
    assert main(["wiring", str(tmp_path / "settings.json")]) == 0
    assert capsys.readouterr().out == draw(read(README.encode()))
    (tmp_path / "settings.json").write_text("{}")
    assert main(["wiring", str(tmp_path / "settings.json")]) == 2
    assert "slots must name 1 to 60 slots" in capsys.readouterr().err


def test_signed_settings_are_drawn_alike() -> None:
    signed = json.dumps({"text": README, "key": "0" * 16, "signature": "0" * 128})
    assert draw(read(signed.encode())) == draw(read(README.encode()))


def test_the_readmes_drawing_is_that_of_the_readmes_settings(tmp_path: Path) -> None:
    """If not: python -m firmware.diagram of those settings, written to firmware/wiring.svg."""
    (tmp_path / "settings.json").write_text(README)
    run = [sys.executable, "-m", "firmware.diagram", str(tmp_path / "settings.json")]
    drawn = subprocess.run(run, cwd=ROOT, capture_output=True, timeout=30, check=True).stdout
    assert drawn == (ROOT / "firmware/wiring.svg").read_bytes()
