"""Releases on a board in MicroPython's VM: forged ones by the thousand, and power cuts at random (R16).

python -m tests.lab.ota [--forged N] [--cuts N] [--full] [--seed S]

The board (tests/firmware/vm/updates.py) boots through the real main.py and slots.py; what believes, fetches, hashes and
tries a release is the firmware's own, compiled. A folder stands for the gateway, and no time passes: the link, the
cabinet and the vends are not in it (tests/firmware/test_vm_ota.py has them). Flash is a folder of this PC that takes a
write up to any byte when the power goes; littlefs itself is not shown.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firmware.vending import slots
from shared.releases import ReleaseKind
from tests.fakes.release_key import signed_release
from tests.firmware.vm.device import CUT, RESTARTED
from tests.firmware.vm.updates import NEW, OLD, UpdateBoard, judged, program, version_ran
from tests.lab.ota_forgeries import FLOOR, NOW, Forger

FORGED, FULL_FORGED = 500, 5_000
CUTS, FULL_CUTS = 50, 1_000
BATCH = 125
"""So many forged releases are offered to one board, and then a right one, which it has to take."""
MAX_BOOTS = 8
MAX_PIECE = 1_600
IMAGE_VERSION = "1.28.0"
IMAGE = b"\xe9" + bytes(range(255)) * 90


@dataclass
class Report:
    """What became of a run."""

    seed: int
    forged: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    cuts: Counter[str] = field(default_factory=Counter)
    boots: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Nothing is wrong."""
        return not self.faults

    def __str__(self) -> str:
        kinds = "".join(f"\n  {count:5} {kind}" for kind, count in sorted(self.forged.items()))
        forged = f"seed {self.seed}: {self.forged.total()} forged releases, {len(self.faults)} faults{kinds}"
        cuts = f"{self.cuts.total()} power cuts, {self.boots} boots after them: {dict(sorted(self.cuts.items()))}"
        return "\n".join([forged, cuts, *self.faults])


async def judge_forged(board: UpdateBoard, chance: random.Random, count: int, told: Report) -> None:
    """Offer so many, one after the other: all are refused; then a right one, which is taken."""
    forger = Forger(board, chance)
    slots.write(slots.changed(slots.FIRST, floor=FLOOR), f"{board.flash}/")
    forged = [forger.forge() for _ in range(count)]
    board.offer(*(offer for _, offer in forged), now=NOW)
    run = await board.boot(seconds=120)
    for (kind, _), verdict in zip(forged, judged(run), strict=False):
        told.forged[kind] += 1
        told.reasons[str(verdict["reason"])] += 1
        if verdict["state"] != "failed":
            told.faults.append(f"accepted, as {verdict['state']}: {kind}")
    if len(judged(run)) != count or run.said("restarted"):
        told.faults.append(f"accepted, and booted by it: {forged[min(len(judged(run)), count - 1)][0]}")
    board.offer(forger.right(), now=NOW)
    if (await board.boot()).status != RESTARTED:
        told.faults.append("a right release was refused")


class Cuts:
    """Power cuts while one release is fetched, switched to and tried. `states` are flashes to begin from."""

    def __init__(self, board: UpdateBoard, chance: random.Random, told: Report, kept: Path) -> None:
        self._board = board
        self._chance = chance
        self._told = told
        self._kept = kept
        self._writes: dict[str, int] = {}

    async def prepare(self) -> None:
        """Keep the flash as it is before the fetch and after the switch, and count the writes from there."""
        for phase in ("fetching and switching", "first boots"):
            shutil.copytree(self._board.flash, self._kept / phase)
            self._writes[phase] = await self._count_writes(phase)
            self._restore(phase)
            await self._board.boot()

    async def _count_writes(self, phase: str) -> int:
        """How many writes the boot has from there: the first number of them after which no power cut comes."""
        least, most = 0, 4_096
        while least < most:
            middle = (least + most) // 2
            self._restore(phase)
            if (await self._board.boot((middle, 0))).status == CUT:
                least = middle + 1
            else:
                most = middle
        return least

    def _restore(self, phase: str) -> None:
        shutil.rmtree(self._board.flash)
        shutil.copytree(self._kept / phase, self._board.flash)

    async def one(self, name: str, offer: tuple[str, int], is_new: "IsNew") -> None:
        """Cut, and boot until nothing changes any more, with the offer repeated at each boot or never again."""
        phase = self._chance.choice(list(self._writes))
        self._restore(phase)
        repeated = self._chance.random() < 0.7
        self._board.offer(offer)
        at = (self._chance.randrange(self._writes[phase]), self._chance.randrange(MAX_PIECE))
        if (await self._board.boot(at)).status != CUT:
            self._told.faults.append(f"{name}, {phase}: no cut at {at}")
        self._board.offer(*([offer] if repeated else []))
        ends = await self._settle(f"{name}, {phase}, cut at {at}", is_new)
        if ends == "old" and repeated:
            self._told.faults.append(f"{name}, {phase}, cut at {at}: the release was never taken")
        self._told.cuts[f"{name}, {phase}: {ends}"] += 1

    async def _settle(self, where: str, is_new: "IsNew") -> str:
        """Which one runs in the end. Every boot starts one or the other; now and then the power goes again."""
        for _ in range(MAX_BOOTS):
            again = (self._chance.randrange(40), self._chance.randrange(MAX_PIECE))
            run = await self._board.boot(again if self._chance.random() < 0.2 else None)
            self._told.boots += 1
            if run.status != CUT and version_ran(run) not in (OLD, NEW):
                self._told.faults.append(f"{where}: neither runs, {run.other[-1:]}")
            if run.said("rests"):
                return is_new(self._board, str(version_ran(run)), where, self._told)
        self._told.faults.append(f"{where}: does not come to rest")
        return "nowhere"


class IsNew:
    """Says "old" or "new" of a board at rest, and what is wrong with it."""

    def __init__(self, old: Mapping[str, bytes], new: Mapping[str, bytes]) -> None:
        self._old = old
        self._new = new

    def __call__(self, board: UpdateBoard, version: str, where: str, told: Report) -> str:
        """By which program ran, whether its folder is whole, and which image boots."""
        marker = board.marker
        slot, files = ("b", self._new) if version == NEW else ("a", self._old)
        if marker["valid"] != slot or marker["trial"] is not None or not board.holds(slot, files):
            told.faults.append(f"{where}: {version} runs, but the flash says {marker}")
        boots = board.choice["boots"]
        if boots == "ota_1" and not board.partition(boots).startswith(IMAGE):
            told.faults.append(f"{where}: an image boots that is not whole")
        return "new" if version == NEW or (boots == "ota_1" and marker["image"] == IMAGE_VERSION) else "old"


async def run(forged: int, cuts: int, seed: int, folder: Path) -> Report:
    """So many forged releases and so many power cuts."""
    told, chance = Report(seed), random.Random(seed)
    old, new = program(OLD, folder / "old"), program(NEW, folder / "new")
    for number, start in enumerate(range(0, forged, BATCH)):
        board = UpdateBoard(folder / f"forged{number}", old)
        await judge_forged(board, chance, min(BATCH, forged - start), told)
    is_new = IsNew(old, new)
    image = {"micropython.bin": IMAGE}
    releases: list[tuple[str, Mapping[str, bytes], dict[str, Any]]] = [
        ("program", new, {"version": NEW}),
        ("image", image, {"version": IMAGE_VERSION, "kind": ReleaseKind.IMAGE}),
    ]
    for name, files, about in releases:
        board = UpdateBoard(folder / name, old)
        offer = board.serve_release(signed_release(files=files, **about), files)
        board.offer(offer)
        attempts = Cuts(board, chance, told, folder / f"{name}-kept")
        await attempts.prepare()
        for _ in range(cuts // 2):
            await attempts.one(name, offer, is_new)
    return told


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forged", type=int, help=f"how many forged releases (default: {FORGED})")
    parser.add_argument("--cuts", type=int, help=f"how many power cuts (default: {CUTS})")
    parser.add_argument("--full", action="store_true", help=f"{FULL_FORGED} and {FULL_CUTS}")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of all chance (default: any)")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    forged = options.forged if options.forged is not None else FULL_FORGED if options.full else FORGED
    cuts = options.cuts if options.cuts is not None else FULL_CUTS if options.full else CUTS
    began, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="larder-ota-"))
    told = asyncio.run(run(forged, cuts, options.seed, folder))
    print(f"{told}\n{time.monotonic() - began:.0f} s")
    if told.good:
        shutil.rmtree(folder)
    else:
        print(f"what lay on the flash is kept in {folder}")
    return 0 if told.good else 1


if __name__ == "__main__":
    sys.exit(main())
