"""The audit log as it is written and read."""

import asyncio
from uuid import UUID

import asyncpg
import pytest

from cloud.audit import service as audit
from cloud.audit.rules import PLATFORM, AuditAction, Subject, SubjectKind
from cloud.callers import Actor, ActorKind
from cloud.clock import new_id
from cloud.database import Transaction, credentials
from cloud.origin import Origin, bind_origin
from tests.cloud.conftest import World

ANNA = Actor(ActorKind.USER, new_id(), "Anna Keeper")


async def put_down(world: World, *, name: str = "a", actor: Actor = ANNA) -> UUID:
    subject = new_id()

    async def work(transaction: Transaction) -> None:
        about = Subject(SubjectKind.SITE, subject)
        await audit.record(
            transaction, actor, world.tenant_id, AuditAction.SITE_CREATED, about, after={"name": name, "pages": 1}
        )

    await world.do(work)
    return subject


async def test_numbers_have_no_gaps_when_many_write_and_some_fail(world: World) -> None:
    async def failing(transaction: Transaction) -> None:
        about = Subject(SubjectKind.TENANT, world.tenant_id)
        await audit.record(transaction, ANNA, world.tenant_id, AuditAction.SIGNED_IN, about)
        raise LookupError

    async def fail() -> None:
        with pytest.raises(LookupError):
            await world.do(failing)

    await asyncio.gather(*(fail() if number % 3 == 0 else put_down(world) for number in range(12)))
    rows = await world.rows("SELECT number FROM audit_entries ORDER BY number")
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    assert await world.rows("SELECT 1 FROM audit_entries WHERE action = 'data_exported'") == []


async def test_it_tells_the_request_it_came_with(world: World) -> None:
    bind_origin(Origin("request-1", "192.0.2.7"))
    subject = await put_down(world)
    bind_origin(Origin())
    (row,) = await world.rows("SELECT * FROM audit_entries WHERE subject_id = $1", str(subject))
    assert (row["request_id"], row["address"], row["actor_name"]) == ("request-1", "192.0.2.7", "Anna Keeper")


async def test_what_belongs_to_no_tenant_has_a_chain_of_its_own(world: World) -> None:
    async def work(transaction: Transaction) -> list[dict[str, object]]:
        await audit.record(transaction, ANNA, None, AuditAction.TENANT_ENTERED, Subject(SubjectKind.TENANT, PLATFORM))
        return [dict(row) for row in await transaction.fetch("SELECT tenant_id FROM tenants")]

    assert [row["tenant_id"] for row in await world.do(work)] == [world.tenant_id]  # still the unit's own tenant
    assert await world.rows("SELECT 1 FROM audit_entries WHERE action = 'tenant_entered'") == []

    async def read(transaction: Transaction) -> list[int]:
        return [row["number"] for row in await transaction.fetch("SELECT number FROM audit_entries")]

    assert await world.database.unit("test", read, tenant_id=PLATFORM) == [1]
    assert await world.database.unit("test", read) == []


@pytest.mark.parametrize("statement", ["UPDATE {} SET number = number", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
@pytest.mark.parametrize("table", ["audit_entries", "audit_words", "audit_chains"])
async def test_neither_the_application_nor_the_owner_alters_it(
    world: World, owner_url: str, statement: str, table: str
) -> None:
    await put_down(world)
    sql = statement.format(table)
    if not (sql.startswith("UPDATE") and table == "audit_chains"):
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.RestrictViolationError)):
            await world.rows(sql)
    owner = await asyncpg.connect(**credentials(owner_url))
    try:
        await owner.execute("SELECT set_config('app.tenant', $1, false)", str(world.tenant_id))
        with pytest.raises(asyncpg.RestrictViolationError):
            await owner.execute(sql)
    finally:
        await owner.close()


async def test_a_field_named_like_a_secret_is_refused(world: World) -> None:
    async def work(transaction: Transaction) -> None:
        about = Subject(SubjectKind.API_KEY, new_id())
        await audit.record(
            transaction, ANNA, world.tenant_id, AuditAction.API_KEY_CREATED, about, after={"api_key": "x"}
        )

    with pytest.raises(ValueError, match="api_key"):
        await world.do(work)
