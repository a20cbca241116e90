"""Which of the folders a/ and b/ holds the program that runs. One small file says it, and it outlives any power cut.

The cable lays a copy of this file beside main.py, which no update over the air replaces: what it writes is for ever.
A folder holds `vending/` and, unless it came by cable, `release.json`, the signed release; and once its program has
shown that it works, `proven`, its version.
"""

import binascii
import json
import os
import sys
import time

SLOTS = ("a", "b")
FILE = "slot.json"
PROVEN = "proven"
MAX_TRIES = 3
OLDEST = "0.0.0"
PAUSE_S = 1
VALID, TRIAL, FETCHING, FAILED = "valid", "trial", "fetching", "failed"

FIRST = {
    "valid": "a",
    "trial": None,
    "tries": 0,
    "floor": OLDEST,
    "state": VALID,
    "offered": None,
    "reason": None,
    "image": OLDEST,
    "image_trial": None,
}
"""The marker of a new board. `valid` and `trial` are folders; the one on trial, if any, was booted `tries` times.

`floor` is the highest version of all that were proven, `image` that of MicroPython's. `state` is how it stands with
`offered`, the release that was offered last by its digest, and `reason` what was wrong with it. `image_trial`:
[partition, version].
"""


def load():
    """`start` of the program that is to run; its folder leads sys.path. On a PC there are no folders."""
    present = os.listdir()
    if any(slot in present for slot in SLOTS):
        before = read()
        marker = choose(before, {slot: proven(slot) for slot in SLOTS})
        if marker != before:
            write(marker)
        sys.path.insert(0, marker["trial"] or marker["valid"])
    sys.modules.pop("slots", None)
    from vending.boot import start

    return start


def choose(marker: "dict | None", versions: dict) -> dict:
    """The marker to boot by: what is on trial, three times at most, else what is valid; without one, the newest proven.

    `versions` maps each folder to the version it has proven, or None.
    """
    if marker is None:
        found = sorted([(order_of(versions[slot]), slot) for slot in versions if versions[slot]])
        newest = found[-1][1] if found else "a"
        return changed(FIRST, valid=newest, floor=versions[newest] or OLDEST)
    if marker["trial"] is None:
        return marker
    if marker["tries"] < MAX_TRIES:
        return changed(marker, tries=marker["tries"] + 1)
    return given_up(marker, "not proven in 3 tries")


def changed(marker: dict, **fields) -> dict:
    """A copy with these fields."""
    copy = dict(marker)
    copy.update(fields)
    return copy


def given_up(marker: dict, reason: str) -> dict:
    """What was on trial is left, or never came so far."""
    return changed(marker, trial=None, tries=0, image_trial=None, state=FAILED, reason=reason[:60])


def gave_out(error: Exception) -> None:
    """The program did not come to run. One that cannot even be read is left for the other folder, then the board boots.

    Returns on a PC only.
    """
    if sys.path[0] not in SLOTS:
        return
    import machine

    sys.print_exception(error)
    if isinstance(error, (ImportError, SyntaxError, ValueError)):
        _leave(sys.path[0], repr(error))
    time.sleep(PAUSE_S)
    machine.reset()


def _leave(slot: str, reason: str) -> None:
    marker = read() or FIRST
    other = other_than(slot)
    if marker["trial"] == slot:
        write(given_up(marker, reason))
    elif proven(other) is not None:
        write(given_up(changed(marker, valid=other), reason))


def running() -> "str | None":
    """The folder from which this module was imported; None on a PC."""
    folder = __file__.split("/")[0]
    return folder if folder in SLOTS else None


def other_than(slot: str) -> str:
    return SLOTS[1 - SLOTS.index(slot)]


def order_of(version: str) -> tuple:
    """What versions are compared by."""
    return tuple([int(part) for part in version.split(".")])


def is_version(value: object) -> bool:
    """Whether it is three numbers such as 1.4.0."""
    if not isinstance(value, str):
        return False
    parts = value.split(".")
    return len(parts) == 3 and all(_is_number(part) for part in parts)


def _is_number(text: str) -> bool:
    digits = 1 <= len(text) <= 5 and all(digit in "0123456789" for digit in text)
    return digits and (text == "0" or text[0] != "0")


def proven(slot: str, root: str = "") -> "str | None":
    """The version that the folder's program had when it proved itself."""
    version = _read(root + slot + "/" + PROVEN).decode()
    return version if is_version(version) else None


def read(root: str = "") -> "dict | None":
    """None if there is none, or it is damaged."""
    line = _read(root + FILE)
    text, crc = line[:-9], line[-8:]
    if line != text + b" " + crc or _crc(text) != crc:
        return None
    return changed(FIRST, **json.loads(text))


def write(marker: dict, root: str = "") -> None:
    """The old or the new, whenever the power goes. Raises OSError."""
    text = json.dumps(marker).encode()
    line = text + b" " + _crc(text)
    replace(root + FILE, line)
    if _read(root + FILE) != line:
        raise OSError("the marker reads back differently")


def replace(name: str, data: bytes) -> None:
    """A file at once: under another name first, and littlefs renames at once or not at all. Raises OSError."""
    new = name + ".new"
    with open(new, "wb") as file:
        file.write(data)
        file.flush()
    os.rename(new, name)


def _crc(text: bytes) -> bytes:
    return ("%08x" % (binascii.crc32(text) & 0xFFFFFFFF)).encode()


def _read(name: str) -> bytes:
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError:
        return b""
