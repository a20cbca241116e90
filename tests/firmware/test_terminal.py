"""The window on simulated devices: what it draws at any size, what its keys do, and how it leaves the terminal."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.clock import new_id
from firmware.simulator.control import ask
from firmware.simulator.picture import KEYS, Sight, View, draw
from firmware.simulator.spans import Line, Style, columns, fit
from firmware.simulator.terminal import decode, paint
from firmware.simulator.world import WorldLog, last_events, read_world
from shared.topics import Channel
from tests.fakes.device_site import DeviceSite, device_site
from tests.fakes.screen import Screen, screen
from tests.fakes.until import until

ROOT = Path(__file__).parents[2]
VEND = "01890000-0000-7000-8000-0000feedbeef"
STILL = {"stock": 10, "motor": "off", "turned": 0.0, "home": True, "jammed": False}
TURNING = {"stock": 3, "motor": "turning", "turned": 0.52, "home": False, "jammed": False}
STUCK = {"stock": 0, "motor": "stuck", "turned": 0.1, "home": False, "jammed": True}
TOLD: dict[str, Any] = {
    "ok": True,
    "firmware": "0.1.0",
    "link": "online",
    "highest": [1, 14],
    "unacknowledged": [],
    "running": [VEND],
    "credits": [VEND],
    "coils": {"A1": STILL, "A2": TURNING, "B1": STUCK},
    "link_is_up": True,
    "door_is_open": True,
    "beam_is_blocked": False,
    "temperatures": {"cabinet": 412},
    "accepts_money": True,
    "coins_taken_minor": 3000,
    "signal": "vending",
}
EVENTS = [
    {"time": 1e9, "kind": "motor_start", "slot": "A2", "label": VEND},
    {"time": 1e9, "kind": "temperature", "zone": "cabinet", "hundredths": 412},
    {"time": 1e9, "kind": "coin", "amount": 1000},
]


def lines_of(frame: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in frame]


def picture(told: dict[str, Any] | None = None, width: int = 80, height: int = 24, slot: int = 0) -> str:
    sights = [Sight("Snacks", TOLD if told is None else told, EVENTS), Sight("Drinks", None)]
    return "\n".join(lines_of(draw(View(sights, 0, slot), width, height)))


def with_slots(count: int) -> dict[str, Any]:
    return TOLD | {"coils": {f"{'ABCDEF'[number // 10]}{number % 10}": STILL for number in range(count)}}


def test_it_shows_what_a_person_at_the_machine_would_see() -> None:
    shown = picture(slot=1)
    assert "[Snacks]" in shown
    assert "link     online" in shown
    assert "vend     …feedbeef runs" in shown
    assert "till     open, takes money" in shown
    assert "money    3000 minor units, 1 due" in shown
    assert "door     open" in shown
    assert "beam     free" in shown
    assert "zones    cabinet 4.1 °C" in shown
    assert "signal   vending" in shown
    rows = shown.splitlines()
    assert [row.split()[:4] for row in rows if row.startswith(("   A1", " > A2", "   B1"))] == [
        ["A1", "10", "off", "home"],
        [">", "A2", "3", "turning"],
        ["B1", "0", "stuck", "10%"],
    ]
    assert any("turning  52%  away" in row and row.count("━") == 12 and row.count("·") == 12 for row in rows)
    assert any(row.endswith("A2  motor on  vend …feedbeef") for row in rows)
    assert "cabinet set to 4.1 °C" in shown
    assert rows[-1] == " " + "  ".join(KEYS)


@pytest.mark.parametrize("slots", [1, 6, 60])
@pytest.mark.parametrize("told", ["running", "absent"])
def test_it_fits_every_terminal(slots: int, told: str) -> None:
    sight = Sight("Snacks", with_slots(slots) if told == "running" else None, EVENTS * 20)
    for width in (1, 7, 20, 39, 40, 79, 80, 81, 132, 200):
        for height in (1, 2, 3, 8, 12, 24, 25, 60):
            frame = lines_of(draw(View([sight], 0, slots - 1), width, height))
            assert len(frame) == height
            assert max(columns(line) for line in frame) <= width


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 24), (80, 16), (132, 43)])
def test_each_slot_of_sixty_can_be_looked_at(width: int, height: int) -> None:
    told = with_slots(60)
    for number, code in enumerate(told["coils"]):
        shown = picture(told, width, height, number)
        assert f"> {code} " in shown
        assert shown.count("off") >= 3


def test_a_narrow_terminal_still_shows_what_matters() -> None:
    row = next(row for row in picture(width=40).splitlines() if " B1 " in row)
    assert row.split() == ["B1", "0", "stuck", "10%", "away", "jammed"]
    assert "q quit" in picture(width=40)


def test_a_device_that_does_not_run_is_said_to_be_away() -> None:
    frame = lines_of(draw(View([Sight("Snacks", None, EVENTS)]), 80, 24))
    assert "no simulator runs here" in frame[1]


def test_without_colour_the_words_are_the_same() -> None:
    frame = draw(View([Sight("Snacks", TOLD, EVENTS)]), 80, 24)
    plain = "\n".join(paint(line, has_colour=False) for line in frame)
    assert "\x1b[3" not in plain
    assert ";3" not in plain
    assert "\x1b[3" in "\n".join(paint(line, has_colour=True) for line in frame)


def test_what_is_told_cannot_speak_to_the_terminal() -> None:
    assert fit((("cold\x1b[2Jstore", Style.PLAIN),), 80) == (("cold?[2Jstore", Style.PLAIN),)
    assert fit((("冷蔵庫", Style.PLAIN),), 5) == (("冷蔵", Style.PLAIN),)


def test_keys_are_told_from_what_a_terminal_sends() -> None:
    assert decode(b"jq\t\x1b[A\x1b[B\x1bOC\x1b[Z\x1b[3~\x1b[1;5D\x1b\x7f+") == [
        *("j", "q", "tab", "up", "down", "right", "left", "left", "+")
    ]
    assert decode("±é".encode()[:-1]) == ["±"]


def test_the_last_events_are_found_at_the_end_of_a_long_world(tmp_path: Path) -> None:
    assert last_events(tmp_path, 3) == []
    log = WorldLog(tmp_path)
    for amount in range(1, 2000):
        log.write("coin", amount=amount)
    with (tmp_path / "world.jsonl").open("ab") as file:
        file.write(b'{"time": 1, "ki')
    assert [event["amount"] for event in last_events(tmp_path, 3)] == [1997, 1998, 1999]
    assert [event["amount"] for event in last_events(tmp_path, 5000)] == list(range(1, 2000))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[DeviceSite]:
    async with device_site(tmp_path) as found:
        found.settings()
        yield found


@asynccontextmanager
async def watching(state: Path, seen: Screen, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "firmware.simulator.watch", str(state), str(state.parent / "absent")),
        env={"PATH": "", "TERM": "xterm", "LANG": "C.UTF-8", **environment},
        cwd=ROOT,
        stdin=seen.slave,
        stdout=seen.slave,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_person_watches_a_vend_and_takes_a_hand(site: DeviceSite) -> None:
    """A real device at a real guard, looked at through a real pseudo-terminal."""
    async with site.simulator("--speed", "0.7"), screen() as seen, watching(site.state, seen) as window:
        hello = await site.expect(Channel.HELLO)
        await until(lambda: "link     online" in seen.text)
        seen.press("\x1b[Bj")
        await until(lambda: "> A2" in seen.text and "jammed" in seen.text)
        seen.press("j")
        await until(lambda: "unjam A2: done" in seen.text and " jammed \n" not in seen.text)
        seen.press("\x1b[Ac")
        await until(lambda: "the coin is returned" in seen.text)
        seen.press("rd")
        await until(lambda: "> A1     15" in seen.text and "door     open" in seen.text)
        seen.press("b")
        await until(lambda: "beam     blocked" in seen.text)
        seen.press("b")
        await until(lambda: "beam     free" in seen.text)
        seen.press("+")
        await until(lambda: "cabinet 5.0 °C" in seen.text)
        await site.dispense(hello, 1, new_id())
        await until(lambda: "turning" in seen.text and "━" in seen.text)
        await until(lambda: "product fell" in seen.text and "> A1     14" in seen.text)
        seen.press("d")
        await until(lambda: "door     closed" in seen.text)
        seen.press("l")
        await until(lambda: "dropped by hand" in seen.text and ask(site.state, "status")["link"] == "offline")
        seen.press("l")
        await until(lambda: "link     online" in seen.text)
        seen.press("\t")
        await until(lambda: "[absent]" in seen.text and "no simulator runs here" in seen.text)
        seen.press("jq")
        assert await window.wait() == 0
    world = read_world(site.state)
    assert (world.stock, world.jammed, world.door_is_open) == ({"A1": 14, "A2": 10}, set(), False)


async def test_it_follows_the_size_of_the_terminal_and_needs_no_colour(site: DeviceSite) -> None:
    async with site.simulator(), screen() as seen, watching(site.state, seen, NO_COLOR="1"):
        await until(lambda: "q quit" in seen.text)
        assert max(len(line) for line in seen.text.splitlines()) > 44
        seen.resize(44, 30)
        await until(lambda: max(len(line) for line in seen.text.splitlines()) <= 44 and "q quit" in seen.text)
        assert len(seen.text.splitlines()) == 30
        assert seen.colours == set()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, None])
async def test_however_it_ends_the_terminal_is_as_it_was(site: DeviceSite, end: signal.Signals | None) -> None:
    async with screen() as seen:
        before = seen.mode
        async with watching(site.state, seen) as window:
            await until(lambda: "q quit" in seen.text)
            assert seen.modes == {"1049": True, "25": False, "7": False}
            assert seen.mode != before
            if end is None:
                seen.press("q")
            else:
                window.send_signal(end)
            assert await window.wait() == (128 + end if end in (signal.SIGTERM, signal.SIGHUP) else 0)
            assert await window.stderr.read() == b"" if window.stderr else False
        await until(lambda: seen.modes == {"1049": False, "25": True, "7": True})
        assert seen.mode == before


async def test_an_error_leaves_the_terminal_as_it_was() -> None:
    program = (
        "import sys\nfrom firmware.simulator.terminal import Terminal\n"
        "with Terminal(sys.stdin, sys.stdout, {}) as t:\n    t.show([])\n    raise RuntimeError('a fault')"
    )
    async with screen() as seen:
        before = seen.mode
        run = (sys.executable, "-c", program)
        process = await asyncio.create_subprocess_exec(
            *run, cwd=ROOT, stdin=seen.slave, stdout=seen.slave, stderr=subprocess.PIPE
        )
        _, told = await process.communicate()
        assert b"RuntimeError: a fault" in told
        await until(lambda: seen.modes == {"1049": False, "25": True, "7": True})
        assert seen.mode == before


async def test_without_a_terminal_it_prints_one_picture(site: DeviceSite) -> None:
    async with site.simulator():
        await until((site.state / "control.sock").exists)
        run = [sys.executable, "-m", "firmware.simulator.watch", str(site.state)]
        told = await asyncio.to_thread(
            subprocess.run, run, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=20, check=True
        )
    assert "> A1     10" in told.stdout
    assert "\x1b" not in told.stdout


async def test_on_a_dumb_terminal_it_prints_one_picture(tmp_path: Path) -> None:
    async with screen() as seen, watching(tmp_path / "state", seen, TERM="dumb") as window:
        assert await window.wait() == 0
        await until(lambda: "no simulator runs here" in seen.text)
        assert seen.modes == {}
