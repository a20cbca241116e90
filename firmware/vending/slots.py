"""Which of the folders a/ and b/ holds the program that runs. One small file says it, and it outlives any power cut.

The cable lays a copy of this file beside main.py, which no update over the air replaces: what it writes is for ever.
A folder holds `vending/` and, unless it came by cable, `release.json`, the signed release; and once its program has
shown that it works, `proven`: its version, and the SHA-256 of all its files as they were then.
"""

import binascii
import hashlib
import json
import os
import sys
import time


def const(value):
    """As in __init__.py: names are scarce, and this file stands alone."""
    return value


_SLOTS = const(("a", "b"))
_MAX_TRIES = const(3)
_PAUSE_S = const(1)
_OLDEST = const("0.0.0")
_CHUNK_BYTES = const(2048)
FIRST = {
    "valid": "a",
    "trial": None,
    "tries": 0,
    "floor": _OLDEST,
    "state": "valid",
    "offered": None,
    "reason": None,
    "image": _OLDEST,
    "image_trial": None,
}
"""The marker of a new board. `valid` and `trial` are folders; the one on trial, if any, was booted `tries` times.

`floor` is the highest version of all that were proven, `image` that of MicroPython's. `state` is how it stands with
`offered`, the release that was offered last by its digest, and `reason` what was wrong with it. `image_trial`:
[partition, version]. `state`: valid, trial, fetching or failed.
"""


def load():
    """`start` of the program that is to run; its folder leads sys.path. On a PC there are no folders."""
    present = os.listdir()
    if any(slot in present for slot in _SLOTS):
        before = read()
        marker = _whole(choose(before, {slot: proven(slot) for slot in _SLOTS}))
        slot = marker["trial"] or marker["valid"]
        if marker != before:
            try:
                write(marker)
            except OSError as error:
                # Flash that is full or worn. A try that cannot be counted would be made for ever.
                sys.print_exception(error)
                slot = marker["valid"]
        sys.path.insert(0, slot)
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
        return changed(FIRST, valid=newest, floor=versions[newest] or _OLDEST)
    if marker["trial"] is None:
        return marker
    if marker["tries"] < _MAX_TRIES:
        return changed(marker, tries=marker["tries"] + 1)
    return given_up(marker, "not proven in 3 tries")


def _whole(marker: dict) -> dict:
    """The marker to boot by, once a file of what is valid has gone bad: the other folder's, if that one is whole.

    A module that nobody needs at once would else end each boot as late as it is imported. A folder that was left for
    this is not gone back to before it holds another program, so the two never take turns.
    """
    other = _other_than(marker["valid"])
    if marker["trial"] is None and _is_damaged(marker["valid"]) and proven(other) and not _is_damaged(other):
        return given_up(changed(marker, valid=other), "a file is damaged")
    return marker


def _is_damaged(slot: str) -> bool:
    """Whether the folder's program is not what it was when it proved itself, as far as it has."""
    told = _read(slot + "/proven").split(b" ")[1:]
    try:
        return bool(told) and told[0] != digest(slot)
    except OSError:
        return True


def changed(marker: dict, **fields) -> dict:
    """A copy with these fields."""
    copy = dict(marker)
    copy.update(fields)
    return copy


def given_up(marker: dict, reason: str) -> dict:
    """What was on trial is left, or never came so far."""
    return changed(marker, trial=None, tries=0, image_trial=None, state="failed", reason=reason[:60])


def gave_out(error: Exception, unread: bool = False) -> None:
    """The board boots again. A program that was `unread`, because it cannot be, is left for the other folder before.

    Returns on a PC only.
    """
    if sys.path[0] not in _SLOTS:
        return
    import machine

    sys.print_exception(error)
    if unread and isinstance(error, (ImportError, SyntaxError, ValueError)):
        try:
            _leave(sys.path[0], repr(error))
        except OSError as failed:
            sys.print_exception(failed)
    time.sleep(_PAUSE_S)
    machine.reset()


def _leave(slot: str, reason: str) -> None:
    """What is on trial is given up: an image too, as the boot loader goes back from it. Raises OSError."""
    marker = read() or FIRST
    other = _other_than(slot)
    if marker["trial"] == slot or marker["image_trial"] is not None:
        write(given_up(marker, reason))
    elif proven(other) and not _is_damaged(other):
        write(given_up(changed(marker, valid=other), reason))


def _other_than(slot: str) -> str:
    return "b" if slot == "a" else "a"


def order_of(version: str) -> tuple:
    """What versions are compared by."""
    return tuple([int(part) for part in version.split(".")])


def proven(slot: str, root: str = "") -> "str | None":
    """The version that the folder's program had when it proved itself."""
    try:
        version = _read(root + slot + "/proven").split(b" ")[0].decode()
        return version if len(order_of(version)) == 3 else None
    except ValueError:
        return None


def prove(slot: str, version: str, root: str = "") -> None:
    """The folder's program has shown that it works, as it lies there now. Raises OSError."""
    replace(root + slot + "/proven", version.encode() + b" " + digest(slot, root))


def digest(slot: str, root: str = "") -> bytes:
    """SHA-256, in hex, of the names and the contents of the folder's program. Raises OSError."""
    hasher = hashlib.sha256()
    folder = root + slot + "/vending/"
    for name in sorted(os.listdir(folder)):
        hasher.update(name.encode() + b" ")
        with open(folder + name, "rb") as file:
            chunk = file.read(_CHUNK_BYTES)
            while chunk:
                hasher.update(chunk)
                chunk = file.read(_CHUNK_BYTES)
    return binascii.hexlify(hasher.digest())


def read(root: str = "") -> "dict | None":
    """None if there is none, or it is damaged."""
    line = _read(root + "slot.json")
    text, crc = line[:-9], line[-8:]
    if line != text + b" " + crc or _crc(text) != crc:
        return None
    return changed(FIRST, **json.loads(text))


def write(marker: dict, root: str = "") -> None:
    """The old or the new, whenever the power goes. Raises OSError."""
    text = json.dumps(marker).encode()
    line = text + b" " + _crc(text)
    replace(root + "slot.json", line)
    if _read(root + "slot.json") != line:
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
