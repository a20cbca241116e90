"""Releases that no board may take: touched, cut short, replayed, or signed by the wrong hand for the wrong thing."""

import json
import random
from collections.abc import Callable
from typing import Any

from firmware.workbench.signing import sign
from shared.releases import ReleaseBundle, ReleaseKind
from shared.signed import Purpose
from tests.fakes.release_key import KEY, STRANGER, signed_release
from tests.firmware.vm.updates import UpdateBoard

NOW = 1_000
"""The time by the gateway's clock."""
RUNS, FLOOR, WANTED = "0.1.0", "0.1.5", "0.2.0"
"""What the board runs, the newest that it has ever proven, and what a release has to be to be taken."""
Offer = tuple[str, int]

NONSENSE: tuple[dict[str, Any], ...] = (
    {"v": 2},
    {"kind": "both"},
    {"version": "1.0"},
    {"version": 2},
    {"minimum": "01.0.0"},
    {"expires": -1},
    {"expires": "never"},
    {"expires": True},
    {"files": []},
    {"files": {}},
    {"extra": 1},
    {"board": None},
)
FILE_NONSENSE: tuple[dict[str, Any], ...] = (
    {"name": "../main.mpy"},
    {"name": "main.py"},
    {"name": "a/b.mpy"},
    {"name": ".mpy"},
    {"name": "A.mpy"},
    {"name": "x" * 41 + ".mpy"},
    {"name": 5},
    {"size": 0},
    {"size": -1},
    {"size": 2**20},
    {"size": "1"},
    {"sha256": "ab"},
    {"sha256": None},
    {"mode": 7},
)


class Forger:
    """Makes what the gateway of `board` offers, at random."""

    def __init__(self, board: UpdateBoard, chance: random.Random) -> None:
        self._board = board
        self._chance = chance
        self.kinds: dict[str, Callable[[], Offer]] = {
            "a bit of the text": self._bit_of_text,
            "a text cut short": self._short_text,
            "a byte more in the text": self._longer_text,
            "another text than was offered": self._other_text,
            "a stranger's key": self._stranger,
            "a stranger under our name": self._impostor,
            "another release's signature": self._swapped,
            "signed as settings": self._settings,
            "expired": lambda: self._signed(expires=chance.randrange(NOW)),
            "a replay": lambda: self._signed(version=f"0.{chance.randrange(2)}.{chance.randrange(1)}"),
            "older than the newest": lambda: self._signed(version=f"0.1.{chance.randrange(1, 5)}"),
            "for another board": lambda: self._signed(board=chance.choice(("esp32-s3", "esp8266", "esp3", "esp32-"))),
            "for newer programs": lambda: self._signed(minimum=f"0.{chance.randrange(1, 9)}.{chance.randrange(1, 9)}"),
            "no manifest": self._nonsense,
            "no file": self._file_nonsense,
            "a bit of a file": self._bit_of_file,
            "a file cut short": self._short_file,
            "a file too long": self._long_file,
            "a file that is not there": self._missing_file,
            "a bit of an image": lambda: self._bit_of_file(ReleaseKind.IMAGE),
            "an image cut short": lambda: self._short_file(ReleaseKind.IMAGE),
            "an image that was replayed": lambda: self._signed(ReleaseKind.IMAGE, version="0.0.0"),
            "a program as an image": lambda: self._retold(kind="image"),
        }

    def forge(self) -> tuple[str, Offer]:
        """(Kind, what to offer)."""
        kind = self._chance.choice(list(self.kinds))
        return kind, self.kinds[kind]()

    def right(self) -> Offer:
        """What any board would take, were it not forged."""
        return self._signed()

    def _contents(self, kind: ReleaseKind = ReleaseKind.APP) -> dict[str, bytes]:
        names = ("app.mpy", "boot.mpy") if kind is ReleaseKind.APP else ("micropython.bin",)
        return {name: b"\xe9" + self._chance.randbytes(self._chance.randrange(1, 900)) for name in names}

    def _bundle(self, contents: dict[str, bytes], kind: ReleaseKind = ReleaseKind.APP, **about: Any) -> ReleaseBundle:
        return signed_release(files=contents, **({"kind": kind, "version": WANTED} | about))

    def _signed(self, kind: ReleaseKind = ReleaseKind.APP, **about: Any) -> Offer:
        contents = self._contents(kind)
        return self._board.serve_release(self._bundle(contents, kind, **about), contents)

    def _serve(self, text: bytes) -> Offer:
        return self._board.serve(text), max(1, len(text))

    def _text(self) -> bytes:
        contents = self._contents()
        for content in contents.values():
            self._board.serve(content)
        return self._bundle(contents).signed.to_line()

    def _bit_of_text(self) -> Offer:
        """All but the last byte: MicroPython's JSON takes either bracket for the one that closes."""
        text = bytearray(self._text())
        text[self._chance.randrange(len(text) - 1)] ^= 1 << self._chance.randrange(8)
        return self._serve(bytes(text))

    def _short_text(self) -> Offer:
        text = self._text()
        return self._serve(text[: self._chance.randrange(1, len(text))])

    def _longer_text(self) -> Offer:
        """Within what was signed: around it, MicroPython's JSON forgives a comma or a digit too many."""
        signed = self._bundle(self._contents()).signed
        place = self._chance.randrange(len(signed.text) + 1)
        text = signed.text[:place] + self._chance.choice(' 1},"\0') + signed.text[place:]
        return self._serve(signed.model_copy(update={"text": text}).to_line())

    def _other_text(self) -> Offer:
        digest, size = self._serve(self._text())
        self._board.replace(digest, self._text())
        return digest, size

    def _stranger(self) -> Offer:
        return self._signed(key=STRANGER)

    def _impostor(self) -> Offer:
        ours, theirs = self._bundle(self._contents()).signed, self._bundle(self._contents(), key=STRANGER).signed
        return self._serve(theirs.model_copy(update={"key": ours.key}).to_line())

    def _swapped(self) -> Offer:
        one, other = self._bundle(self._contents()).signed, self._bundle(self._contents(), version="0.3.0").signed
        return self._serve(one.model_copy(update={"signature": other.signature}).to_line())

    def _settings(self) -> Offer:
        return self._serve(sign(KEY, Purpose.SETTINGS, self._bundle(self._contents()).signed.text))

    def _retold(self, **changes: Any) -> Offer:
        """Signed by the right hand, with these fields."""
        contents = self._contents()
        for content in contents.values():
            self._board.serve(content)
        told = json.loads(self._bundle(contents).signed.text) | changes
        return self._serve(sign(KEY, Purpose.RELEASE, json.dumps(told)))

    def _nonsense(self) -> Offer:
        if self._chance.random() < 0.2:
            return self._serve(sign(KEY, Purpose.RELEASE, self._chance.choice(("[]", "{}", "null", "no JSON", "77"))))
        return self._retold(**self._chance.choice(NONSENSE))

    def _file_nonsense(self) -> Offer:
        contents = self._contents()
        files = json.loads(self._bundle(contents).signed.text)["files"]
        if self._chance.random() < 0.2:
            return self._retold(files=[files[0], files[0]])
        return self._retold(files=[files[0] | self._chance.choice(FILE_NONSENSE)])

    def _spoilt(self, kind: ReleaseKind, spoil: Callable[[bytes], bytes]) -> Offer:
        """Signed, but one of its files is served as another."""
        contents = self._contents(kind)
        offer = self._board.serve_release(self._bundle(contents, kind), contents)
        content = self._chance.choice(list(contents.values()))
        self._board.replace(self._board.serve(content), spoil(content))
        return offer

    def _bit_of_file(self, kind: ReleaseKind = ReleaseKind.APP) -> Offer:
        def spoil(content: bytes) -> bytes:
            place = self._chance.randrange(len(content))
            return content[:place] + bytes([content[place] ^ 1 << self._chance.randrange(8)]) + content[place + 1 :]

        return self._spoilt(kind, spoil)

    def _short_file(self, kind: ReleaseKind = ReleaseKind.APP) -> Offer:
        return self._spoilt(kind, lambda content: content[: self._chance.randrange(len(content))])

    def _long_file(self) -> Offer:
        """Its first bytes are others; what comes behind its size nobody asks for."""
        return self._spoilt(ReleaseKind.APP, lambda content: b"!" + content)

    def _missing_file(self) -> Offer:
        contents = self._contents()
        offer = self._board.serve_release(self._bundle(contents), contents)
        self._board.drop(self._board.serve(self._chance.choice(list(contents.values()))))
        return offer
