"""What a release says of itself, and whether this board may take it. The contract is shared/releases.py."""

import binascii
import json
import sys
from collections import namedtuple

from .messages import is_hex, to_hex
from .slots import order_of

BOARD = "esp32"
APP, IMAGE = "app", "image"
MAX_FILES = 120
MAX_BYTES = {APP: 512 * 1024, IMAGE: 0x180000}
SUFFIX = {APP: ".mpy", IMAGE: ".bin"}

Manifest = namedtuple("Manifest", ("kind", "version", "board", "minimum", "expires", "files"))
File = namedtuple("File", ("name", "size", "sha256"))


class Refused(Exception):
    """This board does not take the release; the text says why, in 60 characters."""


def parse(text: str) -> Manifest:
    """The manifest that was signed, its files packed. Raises Refused.

    One file at a time: as one object, eighty of them would take 20 kB.
    """
    first, last = text.find("["), text.rfind("]")
    _require(0 <= first < last, "no list of files")
    given = _object(text[:first] + "[]" + text[last + 1 :])
    wanted = {"v", "kind", "version", "board", "minimum", "expires", "files"}
    _require(set(given) == wanted and given["files"] == [], "not the fields of a release")
    _require(_is_whole(given["v"], 1, 1) and given["kind"] in (APP, IMAGE), "of another kind")
    _require(is_version(given["version"]) and is_version(given["minimum"]), "no version")
    _require(isinstance(given["board"], str) and _is_whole(given["expires"], 0, 2**53 - 1), "no board or no end")
    files = _files(text, first + 1, last, given["kind"])
    _require(1 <= len(files) <= MAX_FILES, "no files, or too many")
    _require(given["kind"] == APP or len(files) == 1, "an image is one file")
    _require(len({unpacked(file).name for file in files}) == len(files), "two files of one name")
    _require(sum([unpacked(file).size for file in files]) <= MAX_BYTES[given["kind"]], "too large")
    return Manifest(given["kind"], given["version"], given["board"], given["minimum"], given["expires"], files)


def unpacked(file: bytes) -> File:
    """One of a manifest's files."""
    return File(str(file[36:], "utf-8"), int.from_bytes(file[32:36], "big"), to_hex(file[:32]))


def check(manifest: Manifest, version: str, marker: dict, now: int) -> None:
    """Raises Refused unless it is for this board, in force and newer than all that this board has proven.

    `version` is the running program's, `marker` as slots.py has it; `now` in seconds since 1970.
    """
    _require(manifest.board == BOARD, "for another board")
    _require(now <= manifest.expires, "expired")
    _require(order_of(manifest.minimum) <= order_of(version), "needs a newer program first")
    newest = order_of(version)
    if manifest.kind == IMAGE:
        # No release has brought the MicroPython that came by cable.
        newest = max(order_of(marker["image"]), tuple(sys.implementation.version[:3]))
    _require(newest < order_of(manifest.version), "not newer than what runs")
    floor = order_of(marker["floor"]) if manifest.kind == APP else newest
    _require(floor <= order_of(manifest.version), "older than what this board has run")


def _files(text: str, place: int, last: int, kind: str) -> list:
    """SHA-256, size in 4 bytes and name of each file of the list that ends at `last`."""
    files: list = []
    while len(files) <= MAX_FILES:
        begin = text.find("{", place, last)
        end = text.find("}", place, last)
        between = text[place : last if begin < 0 else begin].strip()
        _require(between == ("," if files and begin >= 0 else ""), "no list of files")
        if begin < 0:
            break
        files.append(_packed(_object(text[begin : end + 1]), kind))
        place = end + 1
    return files


def _packed(given: dict, kind: str) -> bytes:
    _require(set(given) == {"name", "size", "sha256"}, "not the fields of a file")
    name = given["name"]
    suffix = SUFFIX[kind]
    _require(isinstance(name, str) and name.endswith(suffix) and 5 <= len(name) <= 44, "a file's name")
    _require(all(_is_of_a_name(letter) for letter in name[: -len(suffix)]), "a file's name")
    _require(_is_whole(given["size"], 1, MAX_BYTES[kind]), "a file's size")
    _require(is_hex(given["sha256"], 64), "a file's SHA-256")
    return binascii.unhexlify(given["sha256"]) + given["size"].to_bytes(4, "big") + name.encode()


def _object(text: str) -> dict:
    try:
        given = json.loads(text)
    except ValueError:
        raise Refused("no JSON") from None
    _require(isinstance(given, dict), "no JSON object")
    return given


def is_version(value: object) -> bool:
    """Whether it is three numbers such as 1.4.0."""
    if not isinstance(value, str):
        return False
    parts = value.split(".")
    return len(parts) == 3 and all(_is_number(part) for part in parts)


def _is_number(text: str) -> bool:
    digits = 1 <= len(text) <= 5 and all(digit in "0123456789" for digit in text)
    return digits and (text == "0" or text[0] != "0")


def _is_of_a_name(letter: str) -> bool:
    return "a" <= letter <= "z" or letter in "0123456789_"


def _is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise Refused(reason)
