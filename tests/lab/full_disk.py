"""R17: a disk that fills up in mid-vend. What runs is finished, orders are refused, and room brings the sales back.

python -m tests.lab.full_disk [--points N] [--seed N]
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from edge.database import RESERVE_BYTES
from edge.dispensing.rules import ANSWER_WITHIN_S
from edge.errors import StorageFull
from shared.orders import OrderState, OrderView, VendProgress
from tests.fakes.mounts import NoMounts, privately, tmpfs
from tests.fakes.site import Site, running_site

DISK_MB = 4 * RESERVE_BYTES // 1024**2
MOST_ORDERS = 500


def fill(file: Path, left: int) -> None:
    """Grow `file` until only so many bytes are free."""
    room = os.statvfs(file.parent)
    with file.open("wb") as filler:
        os.posix_fallocate(filler.fileno(), 0, room.f_bavail * room.f_frsize - left)


def started(view: OrderView) -> bool:
    return view.vends[0].state is VendProgress.STARTED


async def order_until_refused(site: Site) -> list[OrderView]:
    """The orders that were still taken."""
    taken: list[OrderView] = []
    for _ in range(MOST_ORDERS):
        try:
            taken.append(await site.order("A1"))
        except StorageFull:
            return taken
    raise AssertionError("the disk never became full")


async def run_full(folder: Path, left: int) -> int:
    """Fill the disk but for `left` bytes in mid-vend; orders taken meanwhile. Raises AssertionError."""
    ledger, filler = folder / "ledger", folder / "filler"
    async with running_site(ledger, opening=1000) as site:
        site.device.slow = True
        running = await site.order("A1")
        await site.until(running.order_id, started)
        fill(filler, left)
        taken = await order_until_refused(site)
        assert not site.database.has_room()
        assert not (ledger / "reserve.bin").exists()
        site.device.slow = False
        await site.device.turn()
        await site.until_state(running.order_id, OrderState.SETTLED)
        for view in taken:
            await site.until_state(view.order_id, OrderState.SETTLED)
        await refused(site)
        filler.unlink()
        begin = time.monotonic()
        view = await site.order("A2")
        await site.until_state(view.order_id, OrderState.SETTLED)
        assert time.monotonic() - begin < 10
        assert (ledger / "reserve.bin").stat().st_size == RESERVE_BYTES
        assert set(site.device.starts.values()) == {1}
        assert await site.stock("A1") == 1000 - 1 - len(taken)
        assert [row[0] for row in await site.database.read(lambda tx: tx.all("PRAGMA integrity_check"))] == ["ok"]
        return len(taken)


async def refused(site: Site) -> None:
    try:
        await site.order("A1")
    except StorageFull:
        return
    raise AssertionError("an order was taken without room for it")


async def run_background(folder: Path) -> None:
    """Nobody orders: the first to find the disk full is the conductor, whose end would be the gateway's."""
    async with running_site(folder / "ledger") as site:
        site.device.deaf = True
        view = await site.order("A1")
        await site.settle()
        site.device.deaf = False
        fill(folder / "filler", 0)
        site.clock.step(ANSWER_WITHIN_S)
        await site.until_state(view.order_id, OrderState.SETTLED)
        await refused(site)


async def run_start(folder: Path) -> None:
    """The gateway starts on a disk that others have filled: it sells nothing, and can finish what is under way."""
    async with running_site(folder / "ledger") as site:
        await site.order("A1")
    fill(folder / "filler", 0)
    async with running_site(folder / "ledger", opening=10) as site:
        await refused(site)
        fill(folder / "more filler", 0)
        await no_backup(site, folder / "ledger")


async def no_backup(site: Site, ledger: Path) -> None:
    before = sorted(file.name for file in ledger.iterdir())
    try:
        await site.database.back_up()
    except StorageFull:
        assert sorted(file.name for file in ledger.iterdir()) == before
        return
    raise AssertionError("a backup was made without room for it")


def run(points: int, seed: int) -> list[int]:
    """Orders taken before each of the full disks. Raises NoMounts and AssertionError."""
    chance, taken = random.Random(seed), []
    for point in range(points):
        with tempfile.TemporaryDirectory() as place, tmpfs(Path(place), DISK_MB) as folder:
            taken.append(asyncio.run(run_full(folder, chance.randrange(0, 512 * 1024))))
        print(f"point {point} of seed {seed}: {taken[-1]} orders taken, then refused; sold again with room")
    for scenario in (run_background, run_start):
        with tempfile.TemporaryDirectory() as place, tmpfs(Path(place), DISK_MB) as folder:
            asyncio.run(scenario(folder))
        print(f"{scenario.__name__}: held")
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description="A disk that fills up under a selling gateway (R17).")
    parser.add_argument("--points", type=int, default=10)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--full", action="store_true", help="100 points")
    parser.add_argument("--in-private-mounts", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if not chosen.in_private_mounts:
        command = privately(sys.executable, "-m", "tests.lab.full_disk", *sys.argv[1:], "--in-private-mounts")
        os.execvp(command[0], command)  # noqa: S606 - the same program in a mount namespace of its own
    try:
        run(100 if chosen.full else chosen.points, chosen.seed)
    except NoMounts as error:
        sys.exit(f"R17 cannot be shown: {error}")


if __name__ == "__main__":
    main()
