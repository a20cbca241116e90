"""What a technician wants to know of a board before he leaves: one line of JSON a check, for `larder-device provision`.

Run over the cable, in place of the device. No motor turns, and what the gateway sees is a login.
"""

import asyncio
import json

from . import SettingsError, settings_file
from .clock import Clock
from .flash import Flash
from .reaching import Unreached, join, reach

RESERVE_BYTES = 64_000
"""Both files of the journal, and some room for what the device keeps beside."""
PROBE = "selftest.probe"
SETTLE_S = 2
"""A thermometer has measured by then."""


def run(flash: Flash, make_board) -> None:
    """Check everything; `make_board` makes the board of settings, as boot does. Never raises SettingsError, OSError."""
    _tell("flash", _flash(flash))
    try:
        settings = settings_file.load(flash)
        board = make_board(settings)
    except (SettingsError, OSError) as error:
        _tell("settings", str(error) or repr(error))
        return
    _tell("settings", None, str(len(settings.slots)) + " slots")
    asyncio.run(_check(flash, board, settings))


async def _check(flash: Flash, board, settings) -> None:
    for name, problem, note in _switches(board, settings):
        _tell(name, problem, note)
    board.temperatures()
    await asyncio.sleep(SETTLE_S)
    temperatures = board.temperatures()
    for zone in temperatures:
        hundredths = temperatures[zone]
        note = "" if hundredths is None else "%d.%02d C" % (hundredths // 100, hundredths % 100)
        _tell("temperature " + zone, "the sensor does not answer" if hundredths is None else None, note)
    try:
        await join(board, settings)
        _tell("wifi", None, str(board.health()["rssi_dbm"]) + " dBm")
        board.feed_watchdog()
        _tell("gateway", None, await reach(board, flash, Clock(), settings))
    except (SettingsError, Unreached) as error:
        _tell("wifi and gateway", str(error))
    board.make_safe()


def _flash(flash: Flash) -> "str | None":
    """What is wrong with it."""
    data = bytes(range(256))
    try:
        flash.replace(PROBE, data)
        same = flash.read(PROBE) == data
        flash.remove(PROBE)
        free = flash.free_bytes()
    except OSError as error:
        return str(error)
    if not same:
        return "reads back other bytes than were written"
    return None if free >= RESERVE_BYTES else "only " + str(free) + " bytes are free"


def _switches(board, settings) -> list:
    """(name, problem, note) of what can be told of switches while nothing moves."""
    away = [slot for slot in settings.slots if board.home(slot) is False]
    told = []
    if any(board.home(slot) is not None for slot in settings.slots):
        told.append(("home switches", "not at home: " + ", ".join(away) if away else None, ""))
    if board.door_is_open() is not None:
        told.append(("door", None, "open" if board.door_is_open() else "closed"))
    if any(board.drops(slot) is not None for slot in settings.slots):
        told.append(("drop beam", None, "fitted"))
    if board.button_is_pressed():
        told.append(("button", "is closed, or shorted to ground", ""))
    return told


def _tell(name: str, problem: "str | None", note: str = "") -> None:
    print(json.dumps({"check": name, "ok": problem is None, "note": problem or note}))
