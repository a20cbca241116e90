"""Instances of the cloud as people run them, and what they take of the machine."""

import resource
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.cloud.processes import CloudProcess, serving

UNHEEDED = "9999999/1"
RATES = ("ADDRESS", "GATEWAYS_ADDRESS", "GATEWAY", "ACTOR", "TENANT", "ATTEMPTS", "ATTEMPTS_ADDRESS")


@dataclass
class Instances:
    """Some on one database."""

    running: Sequence[CloudProcess]
    postgres_pid: int

    @property
    def ports(self) -> list[int]:
        """Where they listen."""
        return [cloud.port for cloud in self.running]

    def cpu_s(self) -> tuple[float, float]:
        """Seconds that all instances have taken of a core, and that their Postgres has."""
        cloud = sum(_cpu_s(psutil.Process(cloud.process.pid)) for cloud in self.running)
        postgres = psutil.Process(self.postgres_pid)
        return cloud, sum(map(_cpu_s, [postgres, *postgres.children()]))

    def rss_mb(self) -> list[float]:
        """Resident set of each, in units of 1,000,000 bytes."""
        return [_status_mb(cloud, "VmRSS") for cloud in self.running]

    def peak_rss_mb(self) -> list[float]:
        """The same, at its highest so far."""
        return [_status_mb(cloud, "VmHWM") for cloud in self.running]


@asynccontextmanager
async def instances(database_url: str, postgres_pid: int, count: int) -> AsyncIterator[Instances]:
    """So many, with no limit on how often anybody may ask."""
    settings = {f"LARDER_CLOUD_RATE_{name}": UNHEEDED for name in RATES}
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(serving(database_url, **settings)) for _ in range(count)]
        yield Instances(running, postgres_pid)


def allow_open_files(wanted: int) -> None:
    """For us and the processes we start. Raises ValueError: the machine does not allow so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def _status_mb(cloud: CloudProcess, name: str) -> float:
    lines = Path(f"/proc/{cloud.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) * 1024 / 1e6
