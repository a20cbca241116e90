"""`python -m cloud audit verify` finds whatever a superuser does to the log."""

import asyncio
import os
import sys

import asyncpg
import pytest

from cloud.audit.rules import PLATFORM
from cloud.audit.service import Verified, verify
from cloud.database import credentials
from tests.cloud.audit.test_log import put_down
from tests.cloud.conftest import Server, World

FORGED = """
    INSERT INTO audit_entries SELECT tenant_id, {number}, at, actor_kind, actor_id, 'Mallory', action, subject_kind,
        subject_id, before, after, request_id, address, hash FROM audit_entries WHERE number = 7
"""
SHIFT = "UPDATE audit_entries SET number = number + 1 WHERE number = {}"
TAMPERED = {
    "a field changed": ("UPDATE audit_entries SET actor_name = 'Mallory' WHERE number = 6", 6),
    "a side changed": ('UPDATE audit_entries SET after = \'{"name":"z","pages":1}\' WHERE number = 5', 5),
    "the time changed": ("UPDATE audit_entries SET at = at + interval '1 microsecond' WHERE number = 1", 1),
    "the hash changed": ("UPDATE audit_entries SET hash = sha256('x') WHERE number = 6", 6),
    "one removed": ("DELETE FROM audit_entries WHERE number = 6", 6),
    "the first removed": ("DELETE FROM audit_entries WHERE number = 1", 1),
    "the last removed": ("DELETE FROM audit_entries WHERE number = 10", 10),
    "all removed": ("DELETE FROM audit_entries", 1),
    "one added at the end": (FORGED.format(number=11), 11),
    "one replaced": ("; ".join(["DELETE FROM audit_entries WHERE number = 8", FORGED.format(number=8)]), 8),
    "one put in between": ("; ".join([SHIFT.format(10), SHIFT.format(9), FORGED.format(number=9)]), 9),
    "two swapped": (
        """UPDATE audit_entries SET number = 99 WHERE number = 5; UPDATE audit_entries SET number = 5 WHERE number = 6;
        UPDATE audit_entries SET number = 6 WHERE number = 99""",
        5,
    ),
    "one put before the first": (
        "; ".join(["ALTER TABLE audit_entries DROP CONSTRAINT audit_entries_number_range", FORGED.format(number=0)]),
        0,
    ),
    "the last one rewritten": ("UPDATE audit_chains SET hash = sha256('x')", 10),
    "the end cut off together": (
        "DELETE FROM audit_entries WHERE number = 10; UPDATE audit_chains SET number = 9",
        9,
    ),
    "the chain removed": ("DELETE FROM audit_entries; DELETE FROM audit_chains WHERE number > 0", 0),
}


async def tamper(server: Server, world: World, sql: str) -> None:
    """As a superuser whom neither walls nor triggers stop."""
    name = str(credentials(world.url)["database"])
    connection = await asyncpg.connect(**credentials(server.postgres.url("postgres", name)))
    try:
        await connection.execute(f"SET session_replication_role = replica; {sql}")
    finally:
        await connection.close()


async def found(world: World) -> list[Verified]:
    return [verified async for verified in verify(world.database)]


@pytest.mark.criterion("1.3")
async def test_every_way_of_tampering_is_found_where_it_begins(world: World, server: Server) -> None:
    for _ in range(6):
        await put_down(world)
    (platform, tenant) = await found(world)
    assert (platform.tenant_id, platform.number, platform.flaw) == (PLATFORM, 0, None)
    assert (tenant.tenant_id, tenant.number, tenant.flaw) == (world.tenant_id, 10, None)
    name = str(credentials(world.url)["database"])
    connection = await asyncpg.connect(**credentials(server.postgres.url("postgres", name)))
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(
        "CREATE TABLE kept_entries AS TABLE audit_entries; CREATE TABLE kept_chains AS TABLE audit_chains"
    )
    for way, (sql, first) in TAMPERED.items():
        await connection.execute(sql)
        flaws = [verified.flaw for verified in await found(world) if verified.tenant_id == world.tenant_id]
        assert [flaw and flaw.number for flaw in flaws] == [first], (way, flaws)
        await connection.execute(
            "DELETE FROM audit_entries; INSERT INTO audit_entries TABLE kept_entries;"
            "DELETE FROM audit_chains; INSERT INTO audit_chains TABLE kept_chains"
        )
        assert all(verified.flaw is None for verified in await found(world)), way
    await connection.close()


async def test_pages_are_joined_without_a_seam(world: World) -> None:
    """More entries than a page has, while more come."""
    done = asyncio.Event()

    async def add() -> None:
        while not done.is_set():
            await put_down(world)

    adding = asyncio.create_task(add(), name="adding")
    for _ in range(5):
        async for verified in verify(world.database, page_rows=3):
            assert verified.flaw is None
    done.set()
    await adding


async def test_the_command_says_a_line_a_chain_and_ends_with_1_when_one_is_broken(world: World, server: Server) -> None:
    status, lines = await command(world)
    assert (status, len(lines)) == (0, 2)
    assert all("sound" in line for line in lines)
    await tamper(server, world, "UPDATE audit_entries SET action = 'signed_in' WHERE number = 2")
    status, lines = await command(world, world.seeded.tenant_id)
    assert (status, lines[0]) == (1, f"{world.tenant_id}: BROKEN: entry 2 was changed or inserted")


async def command(world: World, *more: str) -> tuple[int | None, list[str]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cloud", "audit", "verify", *more),
        env=os.environ | {"LARDER_CLOUD_DATABASE_URL": world.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    written, _ = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, written.decode().splitlines()
