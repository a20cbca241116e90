"""A streaming replica of an embedded Postgres, copied from it while it runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from cloud.database import credentials
from cloud.postgres import EmbeddedPostgres
from cloud.unprivileged import WORKING_DIRECTORY, give
from tests.fakes.dead_line import DeadLine


class Replica(EmbeddedPostgres):
    """Follows `primary`. Nothing can be written there, so nothing is made at its start."""

    def __init__(self, state_dir: Path, port: int) -> None:
        """`port` of loopback leads to the primary."""
        super().__init__(state_dir, durable=False)
        self._primary_port = port

    async def start(self) -> str:
        """The URL of the same database, for the application."""
        self._home.mkdir(parents=True, mode=0o700)
        self._data.mkdir(mode=0o700)
        give(self._data, self._user)
        arguments = ["-D", WORKING_DIRECTORY, "-h", "127.0.0.1", "-p", str(self._primary_port), "-U", "postgres"]
        copy = self._spawn(["pg_basebackup", *arguments, "-R", "-c", "fast", "--no-sync"], self._data, self._user)
        if await asyncio.to_thread(copy.wait, 60) != 0:
            raise RuntimeError(self._log_tail())
        (self._data / ".s.PGSQL.5432.lock").unlink()  # of the primary's socket, which lies among its data
        await self._launch()
        await self._ready()
        return self.app_url

    def _status(self) -> str:
        return super()._status().replace("standby", "ready")


async def _let_replicate(primary: EmbeddedPostgres) -> None:
    """Whoever reaches the private folder of its socket may."""
    with (primary._data / "pg_hba.conf").open("a") as file:
        file.write("local replication all trust\n")
    connection = await asyncpg.connect(**credentials(primary.url("postgres", "postgres")))
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


@asynccontextmanager
async def replicated(folder: Path, primary: EmbeddedPostgres) -> AsyncIterator[Replica]:
    """One that runs as long as the context lasts. It goes by way of loopback: the primary's folder is closed to it."""
    await _let_replicate(primary)
    known = credentials(primary.url("postgres", "postgres"))
    async with DeadLine(f"{known['host']}/.s.PGSQL.{known['port']}").listening(known) as line:
        replica = Replica(folder, credentials(line.url)["port"])
        await replica.start()
        try:
            yield replica
        finally:
            await replica.stop()
