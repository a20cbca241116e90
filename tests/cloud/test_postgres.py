"""The embedded Postgres: its first start, a second beside it, and what a kill leaves behind."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import asyncpg
import pytest

from cloud.database import credentials
from cloud.errors import PostgresFailed
from cloud.postgres import EmbeddedPostgres

OWNER = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from cloud.postgres import EmbeddedPostgres

    async def main():
        await EmbeddedPostgres(Path(sys.argv[1]), durable=False).start()
        sys.stdout.write("up\\n")
        sys.stdout.flush()
        await asyncio.sleep(60)

    asyncio.run(main())
""")


def postmaster(state: Path) -> int:
    return int((state / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])


async def answers(url: str) -> bool:
    connection = await asyncpg.connect(**credentials(url))
    row = await connection.fetchrow("SELECT current_user AS who, version() AS what")
    await connection.close()
    assert row is not None
    return row["who"] == "larder_owner" and str(row["what"]).startswith("PostgreSQL 18")


async def test_it_starts_stops_and_starts_again_and_a_second_one_joins(tmp_path: Path) -> None:
    first = EmbeddedPostgres(tmp_path, durable=False)
    url = await first.start()
    assert await answers(url)
    second = EmbeddedPostgres(tmp_path, durable=False)
    assert await second.start() == url
    await second.stop()
    assert await answers(url)
    await first.stop()
    assert not (tmp_path / "postgres" / "data" / "postmaster.pid").exists()
    assert await answers(await first.start())
    await first.stop()


async def test_it_listens_on_no_network_and_lets_nobody_else_in(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path, durable=False)
    connection = await asyncpg.connect(**credentials(await server.start()))
    assert await connection.fetchval("SHOW listen_addresses") == ""
    await connection.close()
    assert (tmp_path / "postgres" / "run").stat().st_mode & 0o077 == 0
    await server.stop()


async def test_it_dies_with_its_parent_and_what_the_kill_left_does_not_stop_the_next(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    pid = postmaster(tmp_path)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    server = EmbeddedPostgres(tmp_path, durable=False)
    assert await answers(await server.start())
    assert postmaster(tmp_path) != pid
    os.kill(postmaster(tmp_path), signal.SIGKILL)
    await server.stop()
    # The pid file of the killed one stays, and its pid may meanwhile be somebody else's: here it is ours.
    pid_file = tmp_path / "postgres" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert await answers(await server.start())
    await server.stop()


async def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path, durable=False)
    await server.start()
    await server.stop()
    (tmp_path / "postgres" / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(PostgresFailed, match="ended at start"):
        await server.start()
    await server.stop()
