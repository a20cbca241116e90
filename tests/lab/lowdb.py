"""Moving from LowDB: how long it takes and in how much memory, and what a kill -9 leaves.

python -m tests.lab.lowdb [--orders N] [--kills N] [--full] [--seed S]

The command runs as it is typed, on an embedded Postgres of its own. It is killed between files, in files, and at every
moment in between; whoever begins again goes on, and at the end the database is that of a move that was never killed.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import asyncpg

from cloud import schema
from cloud.callers import system
from cloud.clock import new_id
from cloud.database import Database, Transaction, credentials
from cloud.failpoints import Failpoints
from cloud.onboarding import service as onboarding
from cloud.postgres import EmbeddedPostgres
from tests.fakes import encryption_keys, lowdb
from tests.fakes.lowdb import Prototype
from tests.fakes.pictures import picture

ORDERS, FULL_ORDERS = 5_000, 100_000
KILLS, FULL_KILLS = 4, 60
MOST_SECONDS_OF_100_000 = 60.0
MOST_MIB = 200
MACHINES = 3
OF_A_MACHINE = 1_500
"""Orders of each of those that are killed: seconds of work."""
POINTS = (
    "lowdb.announce.after_commit",
    "lowdb.file.before_commit",
    "lowdb.file.after_commit",
    "lowdb.picture.after_commit",
)
COUNTS = {
    table: f"SELECT count(*) FROM {table}"  # noqa: S608  our own tables
    for table in (
        "orders",
        "order_lines",
        "payments",
        "customers",
        "legacy_records",
        "legacy_files",
        "products",
        "stock",
    )
}
MONEY = "SELECT sum(total_minor), sum(captured_minor), sum(given_back_minor) FROM orders"
SUMS = "SELECT sum(orders), sum(captured_minor), sum(given_back_minor) FROM sales_days"


@dataclass
class Ended:
    """How a run of the command went."""

    status: int
    seconds: float
    most_mib: float
    cpu_seconds: float
    said: str


@dataclass
class Server:
    """A Postgres, and the tenants in it."""

    postgres: EmbeddedPostgres
    folder: Path
    wrong: list[str] = field(default_factory=list)

    async def tenant(self) -> UUID:
        """A new one, without anything."""
        database = Database(self.postgres.app_url, Failpoints(), pool_size=1)
        await database.open()
        tenant_id = new_id()

        async def work(transaction: Transaction) -> None:
            await onboarding.create_tenant(transaction, system("lab"), tenant_id, "Moving")

        await database.unit("lab", work, tenant_id=tenant_id)
        await database.close()
        return tenant_id

    def start(self, root: Path, tenant_id: UUID, failpoint: str = "") -> "subprocess.Popen[str]":
        """The command, as it is typed."""
        settings = encryption_keys.settings() | {
            "LARDER_CLOUD_DATABASE_URL": self.postgres.app_url,
            "LARDER_CLOUD_STATE_DIR": str(self.folder / "state"),
            "LARDER_FAILPOINT": failpoint,
        }
        command = [sys.executable, "-m", "cloud", "import-lowdb", str(root), "--tenant", str(tenant_id)]
        return subprocess.Popen(
            command, env=os.environ | settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    async def run(self, root: Path, tenant_id: UUID) -> Ended:
        """To its end; its memory is asked for all the while, its highest is the kernel's own word."""
        began, most, before = time.monotonic(), 0.0, os.times()
        process = self.start(root, tenant_id)
        reading = asyncio.create_task(asyncio.to_thread(process.communicate))
        while not reading.done():
            most = max(most, _peak_mib(process.pid))
            await asyncio.sleep(0.05)
        said, _ = await reading
        spent = os.times()
        cpu = spent.children_user + spent.children_system - before.children_user - before.children_system
        return Ended(process.returncode, time.monotonic() - began, most, cpu, said)

    async def books(self, tenant_id: UUID) -> dict[str, object]:
        """How much of everything the tenant has, and its money."""
        connection = await asyncpg.connect(**credentials(self.postgres.app_url), server_settings={"role": "larder_app"})
        try:
            await connection.execute("SELECT set_config('app.tenant', $1, false)", str(tenant_id))
            found: dict[str, object] = {name: await connection.fetchval(sql) for name, sql in COUNTS.items()}
            return found | {
                "money": tuple(await connection.fetchrow(MONEY)),
                "sums": tuple(await connection.fetchrow(SUMS)),
            }
        finally:
            await connection.close()


def _peak_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


async def speed(server: Server, orders: int, seed: int) -> None:
    """One machine with so many orders."""
    root = server.folder / "large"
    lowdb.write(
        root,
        "VM-001",
        lowdb.text("orders", Prototype(seed=seed).orders(orders)),
        lowdb.text("inventory", lowdb.inventory()),
    )
    size = (root / "VM-001/Orders/orders.db").stat().st_size
    tenant_id = await server.tenant()
    for name in ("first run", "second run, which changes nothing"):
        ended = await server.run(root, tenant_id)
        load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
        print(
            f"  {name}: {orders} orders, {size >> 20} MiB: {ended.seconds:.1f} s ({ended.cpu_seconds:.1f} s of them the"
            f" command's own work; load {load}), {ended.most_mib:.0f} MiB at most",
            flush=True,
        )
        limit = max(10.0, MOST_SECONDS_OF_100_000 * orders / 100_000)
        if ended.status or ended.seconds > limit or ended.most_mib > MOST_MIB:
            server.wrong.append(f"{name}: status {ended.status}, {ended.seconds:.1f} s\n{ended.said[-2000:]}")
    if (await server.books(tenant_id))["orders"] != orders:
        server.wrong.append("orders are missing")


async def crashes(server: Server, kills: int, seed: int) -> None:
    """Killed at named places and at random moments, begun again, until it comes to its end."""
    chance, root = random.Random(seed), server.folder / "machines"
    for number in range(MACHINES):
        machine, source = f"VM-{number:03}", Prototype(f"VM-{number:03}", seed)
        lowdb.write(
            root, machine, lowdb.text("orders", source.orders(OF_A_MACHINE)), lowdb.text("inventory", lowdb.inventory())
        )
        lowdb.picture_file(root, machine, "0.png", picture("PNG"))
    calm = await server.tenant()
    whole = await server.run(root, calm)
    expected = await server.books(calm)
    tenant_id, killed = await server.tenant(), 0
    while killed < kills:
        failpoint = f"{chance.choice(POINTS)}#{chance.randrange(1, 4)}" if chance.random() < 0.5 else ""
        process = server.start(root, tenant_id, failpoint)
        reading = asyncio.create_task(asyncio.to_thread(process.communicate))
        await asyncio.wait([reading], timeout=chance.uniform(0.5, 1 + whole.seconds) if not failpoint else 120)
        process.kill()
        await reading
        killed += 1
        if process.returncode == 0:
            _compare(server, await server.books(tenant_id), expected, killed)
            tenant_id = await server.tenant()
    ended = await server.run(root, tenant_id)
    if ended.status:
        server.wrong.append(f"after {killed} kills: status {ended.status}\n{ended.said[-2000:]}")
    _compare(server, await server.books(tenant_id), expected, killed)
    print(f"  {killed} kills of a move of {MACHINES} machines ({whole.seconds:.1f} s if nobody kills it)")


def _compare(server: Server, found: dict[str, object], expected: dict[str, object], killed: int) -> None:
    if found != expected:
        server.wrong.append(f"after kill {killed}: {found} in place of {expected}")


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments = parser.parse_args()
    print("seed", arguments.seed)
    with tempfile.TemporaryDirectory(prefix="larder-lowdb-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres")
        await schema.migrate(await postgres.start())
        server = Server(postgres, Path(folder))
        try:
            await speed(server, arguments.orders or (FULL_ORDERS if arguments.full else ORDERS), arguments.seed)
            kills = FULL_KILLS if arguments.full else KILLS
            await crashes(server, kills if arguments.kills is None else arguments.kills, arguments.seed)
        finally:
            await postgres.stop()
    print("\n".join(server.wrong) or "ok")
    return bool(server.wrong)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
