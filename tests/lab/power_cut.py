"""R3: power cuts. What was acknowledged must be in the ledger, and the ledger whole.

python -m tests.lab.power_cut [--cuts N] [--seed N] [--full]        (needs root: it mounts ext4 images)

A writer commits to an ext4 on a loop device. Its image lies on a second, outer ext4; freezing that one (FIFREEZE) stops
the disk between two writes, in the middle of the writer's fsync if it so happens. The image then holds what had reached
the disk and nothing of the inner page cache: what a power cut leaves. A copy of it is mounted (journal replay), opened
by the gateway's own Database, and compared with what the writer had acknowledged.
"""

import argparse
import asyncio
import fcntl
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.database import Database, Transaction
from edge.failpoints import Failpoints
from edge.watch import Watch
from shared.sync import CHAIN_START, link
from tests.fakes.mounts import NoMounts, make_ext4, mounted, privately, tmpfs

FIFREEZE, FITHAW = 0xC0045877, 0xC0045878
"""ioctl numbers of linux/fs.h."""

DISK_MB = 32
CUTS_A_WRITER = 10


@dataclass
class Report:
    """Figures of one run."""

    synchronous: str
    seed: int
    cuts: int = 0
    acknowledged: int = 0
    lost: int = 0
    cuts_with_losses: int = 0
    damaged: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"synchronous={self.synchronous}, seed {self.seed}: {self.cuts} power cuts after {self.acknowledged} "
            f"acknowledged commits in {self.seconds:.0f} s: {self.lost} lost (at {self.cuts_with_losses} cuts), "
            f"{self.damaged} ledgers damaged"
        )


class Writer:
    """The writing process and what it has acknowledged so far."""

    def __init__(self, folder: Path, synchronous: str) -> None:
        command = [sys.executable, "-m", "tests.lab.power_cut_writer", str(folder), synchronous]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._pipe = self._process.stdout.fileno()
        os.set_blocking(self._pipe, False)
        self._text = b""

    def acknowledged(self) -> list[tuple[int, str]]:
        """(seq, movement id) of all commits that have returned by now."""
        assert self._process.poll() is None, "the writer has died"
        while True:
            try:
                self._text += os.read(self._pipe, 65536)
            except BlockingIOError:
                whole_lines = self._text.decode().split("\n")[:-1]
                return [(int(seq), movement) for seq, movement in map(str.split, whole_lines)]

    def kill(self) -> None:
        """End it, and wait for the end."""
        self._process.kill()
        self._process.communicate(timeout=20)


class Disk:
    """The ext4 that loses its power: an image on an outer ext4 that can be frozen."""

    def __init__(self, place: Path, stack: ExitStack) -> None:
        ground = stack.enter_context(tmpfs(place, 5 * DISK_MB))
        self._copy = ground / "copy.img"
        outer = ground / "outer.img"
        make_ext4(outer, 2 * DISK_MB, "-O", "^has_journal")
        self._outer = stack.enter_context(mounted(ground / "outer", "-o", "loop,noatime,sync", str(outer)))
        self._image = self._outer / "inner.img"
        make_ext4(self._image, DISK_MB)
        self.folder = stack.enter_context(mounted(ground / "inner", "-o", "loop", str(self._image)))

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """While this lasts, nothing reaches the disk."""
        outer = os.open(self._outer, os.O_RDONLY)
        try:
            fcntl.ioctl(outer, FIFREEZE, 0)
            try:
                yield
            finally:
                fcntl.ioctl(outer, FITHAW, 0)
        finally:
            os.close(outer)

    def cut_power(self, writer: Writer) -> list[tuple[int, str]]:
        """Keep a copy of the disk as it is at one instant; what had been acknowledged. Both then go on.

        No commit can be acknowledged once the disk has stopped, unless it was on the disk before.
        """
        with self.stopped():
            acknowledged = writer.acknowledged()
            shutil.copyfile(self._image, self._copy)
        return acknowledged

    @contextmanager
    def power_back(self) -> Iterator[Path]:
        """The copy, mounted: ext4 replays its journal."""
        with mounted(self._copy.with_suffix(""), "-o", "loop", str(self._copy)) as folder:
            yield folder


async def find_faults(folder: Path, acknowledged: list[tuple[int, str]]) -> tuple[int, list[str]]:
    """How many acknowledged commits the ledger lacks, and what is broken in it."""
    database = Database(folder, Watch(), Failpoints())

    def check(tx: Transaction) -> tuple[int, list[str]]:
        faults = [str(row[0]) for row in tx.all("PRAGMA integrity_check") if row[0] != "ok"]
        faults += [str(tuple(row)) for row in tx.all("PRAGMA foreign_key_check")]
        movements = {row["movement_id"] for row in tx.all("SELECT movement_id FROM stock_movements")}
        on_hand = tx.one("SELECT coalesce(sum(on_hand), 0) AS units FROM stock")
        head = tx.one("SELECT * FROM outbox_head")
        assert on_hand is not None
        assert head is not None
        if on_hand["units"] != len(movements) or head["seq"] != len(movements):
            faults.append(f"{on_hand['units']} units, {len(movements)} movements, {head['seq']} facts")
        chain = head["acked_chain"] if head["acked_seq"] else CHAIN_START
        for row in tx.all("SELECT line, chain FROM outbox ORDER BY epoch, seq"):
            chain = link(chain, row["line"])
            if chain != row["chain"]:
                faults.append("the chain of facts is broken")
                break
        return sum(movement not in movements for _, movement in acknowledged), faults

    try:
        epoch = await database.open()
        lost, faults = await database.read(check)
        # A ledger that was never there when the power went has nothing to lose and starts again.
        return lost, faults + (["the ledger was put away"] if epoch > 1 and acknowledged else [])
    finally:
        await database.close()


def run(cuts: int, seed: int, synchronous: str) -> Report:
    """Cut the power of writers so many times. Raises NoMounts."""
    report, chance, begin = Report(synchronous, seed), random.Random(seed), time.monotonic()
    while report.cuts < cuts:
        with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
            disk = Disk(Path(place), stack)
            writer = Writer(disk.folder, synchronous)
            stack.callback(writer.kill)
            time.sleep(chance.uniform(0, 1))
            for _ in range(min(CUTS_A_WRITER, cuts - report.cuts)):
                time.sleep(chance.uniform(0, 0.05))
                acknowledged = disk.cut_power(writer)
                with disk.power_back() as folder:
                    lost, faults = asyncio.run(find_faults(folder, acknowledged))
                for fault in faults:
                    print(f"cut {report.cuts} of seed {seed}: {fault}")
                report.cuts += 1
                report.lost += lost
                report.cuts_with_losses += lost > 0
                report.damaged += bool(faults)
            report.acknowledged += len(acknowledged)
    report.seconds = time.monotonic() - begin
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description="Power cuts under a writing ledger (R3).")
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--full", action="store_true", help="2,000 cuts")
    parser.add_argument("--in-private-mounts", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if not chosen.in_private_mounts:
        command = privately(sys.executable, "-m", "tests.lab.power_cut", *sys.argv[1:], "--in-private-mounts")
        os.execvp(command[0], command)  # noqa: S606 - the same program in a mount namespace of its own
    try:
        report = run(2_000 if chosen.full else chosen.cuts, chosen.seed, "FULL")
        print(report)
        control = run(max(20, report.cuts // 10), chosen.seed, "NORMAL")
    except NoMounts as error:
        sys.exit(f"R3 cannot be shown: {error}")
    print("control:", control)
    if not control.lost:
        print("the control lost nothing, so this run has shown nothing")
    sys.exit(bool(report.lost or report.damaged or not control.lost))


if __name__ == "__main__":
    main()
