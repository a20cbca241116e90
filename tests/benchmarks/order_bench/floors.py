"""What no gateway of this design could beat on this machine: SQLite's durable commit, a bare broker's round trip."""

import asyncio
import shutil
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from amqtt.broker import Broker

from tests.fakes.raw_mqtt import RawMqtt, publish_packet
from tests.system.stage import ANY, choose_ports

ROW = b"x" * 400
TOPIC = "larder/floor"
PUBLISH = 3
START_S = 10


class Commits:
    """A plain connection to a database of one table, WAL and `synchronous=FULL`, beside the ledger."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, data BLOB)")

    def one(self) -> float:
        """Seconds for one transaction that inserts one row."""
        begun = time.perf_counter()
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("INSERT INTO rows (data) VALUES (?)", (ROW,))
        self._connection.execute("COMMIT")
        return time.perf_counter() - begun

    def a_second(self, seconds: float) -> float:
        """Commits a second, one after the other, over so many seconds."""
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            self.one()
            count += 1
        return count / (time.perf_counter() - begun)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


class RoundTrips:
    """A client on bare TCP that subscribes to its own topic."""

    def __init__(self, client: RawMqtt) -> None:
        self._client = client

    async def one(self) -> float:
        """Seconds from a publish of a command's size, QoS 0, to its arrival."""
        begun = time.perf_counter()
        await self._client.send(publish_packet(TOPIC, ROW))
        await self._client.receive(PUBLISH)
        return time.perf_counter() - begun


@asynccontextmanager
async def bare_broker() -> AsyncIterator[tuple[str, RoundTrips]]:
    """mosquitto if it is installed, else amqtt without a guard, in a process of its own: its name, and a client."""
    port, mosquitto = choose_ports(ANY).mqtt, shutil.which("mosquitto")
    program = [mosquitto, "-p", str(port)] if mosquitto else [sys.executable, "-m", __spec__.name, str(port)]
    broker = await asyncio.create_subprocess_exec(*program, stderr=asyncio.subprocess.DEVNULL)
    try:
        client = await _client(port)
        yield ("mosquitto" if mosquitto else "amqtt, bare"), RoundTrips(client)
        await client.close()
    finally:
        broker.terminate()
        await broker.wait()


async def _client(port: int) -> RawMqtt:
    async with asyncio.timeout(START_S):
        while True:
            try:
                client = await RawMqtt.open(port, None)
                break
            except OSError:
                await asyncio.sleep(0.05)
    assert await client.log_in("floor", b"", keep_alive=0) == 0
    await client.subscribe(TOPIC)
    return client


async def _serve(port: int) -> None:
    config: dict[str, Any] = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    await Broker(config).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
