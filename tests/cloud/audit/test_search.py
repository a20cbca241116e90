"""What is looked for in the audit log is found, page by page, and by an index."""

import json
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import asyncpg
import pytest

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind, wanted_words
from cloud.audit.service import Wanted, query
from cloud.callers import Actor, ActorKind
from cloud.clock import new_id
from cloud.database import Transaction, credentials
from cloud.origin import NOWHERE, Origin, bind_origin
from tests.cloud.conftest import World

ANNA = Actor(ActorKind.USER, new_id(), "Anna-Maria Keeper")
BORIS = Actor(ActorKind.API_KEY, new_id(), "boris@example.com")
SITE = new_id()


async def put_down(world: World) -> None:
    async def work(transaction: Transaction) -> None:
        for actor, action, subject in (
            (ANNA, AuditAction.USER_INVITED, Subject(SubjectKind.USER, new_id())),
            (ANNA, AuditAction.SITE_CREATED, Subject(SubjectKind.SITE, SITE)),
            (BORIS, AuditAction.API_KEY_REVOKED, Subject(SubjectKind.API_KEY, new_id())),
        ):
            await audit.record(transaction, actor, world.tenant_id, action, subject, before={"a": 1}, after={"a": 2})

    bind_origin(Origin("0123abcd", "192.0.2.7"))
    await world.do(work)
    bind_origin(NOWHERE)


async def found(world: World, **asked: object) -> list[str]:
    answer = await world.client.get(f"/v1/audit?{urlencode(asked)}", headers=world.operator)
    assert answer.status_code == 200, await answer.get_data()
    return [row["action"] for row in (await answer.get_json())["entries"]]


@pytest.mark.criterion("4.1")
@pytest.mark.criterion("4.5")
async def test_what_is_asked_for_is_found(world: World) -> None:
    await put_down(world)
    assert await found(world, actor_id=ANNA.id) == ["site_created", "user_invited"]
    assert await found(world, action="user_invited") == ["user_invited"]
    assert await found(world, subject_kind="site", subject_id=SITE) == ["site_created"]
    assert await found(world, subject_id=SITE) == ["site_created"]
    assert await found(world, request_id="0123abcd") == ["api_key_revoked", "site_created", "user_invited"]
    assert await found(world, q="keep") == ["site_created", "user_invited"]
    assert await found(world, q="anna-maria INVITED") == ["user_invited"]
    assert await found(world, q="maria") == ["site_created", "user_invited"]
    assert await found(world, q="boris@example.com") == ["api_key_revoked"]
    assert await found(world, q="maria boris") == []
    assert await found(world, q=str(SITE)) == ["site_created"]
    assert await found(world, q="%_') OR true --") == []
    assert "tenant_created" in await found(world, q="")
    assert await found(world, to="2020-01-01T00:00:00Z") == []
    assert len(await found(world, **{"from": "2020-01-01T00:00:00+05:30", "to": "2999-01-01T00:00:00Z"})) == 7


async def test_pages_show_every_entry_once(world: World) -> None:
    await put_down(world)
    numbers: list[int] = []
    cursor: dict[str, Any] = {}
    while cursor is not None:
        answer = await world.client.get(f"/v1/audit?{urlencode({'limit': 3} | cursor)}", headers=world.operator)
        page = await answer.get_json()
        numbers += [row["number"] for row in page["entries"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert numbers == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    "wrong",
    ["actor_id=x", "action=exploded", "subject_kind=x", "from=x", "to=2026-01-01", "q=%00", "cursor=x", "limit=0"],
)
async def test_what_is_wrong_is_refused_by_its_field(world: World, wrong: str) -> None:
    answer = await world.client.get(f"/v1/audit?{wrong}", headers=world.operator)
    assert answer.status_code == 422
    assert [error["path"] for error in (await answer.get_json())["errors"]] == [wrong.split("=", maxsplit=1)[0]]


async def test_who_may_read_it(world: World) -> None:
    assert (await world.client.get("/v1/audit")).status_code == 401


PLANS = {
    Wanted(): "audit_entries_pkey",
    Wanted(actor_id=UUID(int=7)): "audit_entries_actor_idx",
    Wanted(action=AuditAction.USER_INVITED): "audit_entries_action_idx",
    Wanted(subject_kind="site"): "audit_entries_subject_kind_idx",
    Wanted(subject_id="x"): "audit_entries_subject_id_idx",
    Wanted(request_id="x"): "audit_entries_request_idx",
    Wanted(q="boris"): "audit_words_pkey",
    Wanted(q="boris site 77", action=AuditAction.USER_INVITED): "audit_words_pkey",
}

MANY = """
    WITH e AS (
        INSERT INTO audit_entries (tenant_id, number, at, actor_kind, actor_id, actor_name, action, subject_kind,
            subject_id, request_id, address, hash)
        SELECT current_tenant(), n, now(), 'user', gen_random_uuid(), 'name', 'did_' || n % 30, 'kind_' || n % 5,
            'id' || n, 'r' || n, '', '' FROM generate_series(1000, 20000) n RETURNING tenant_id, number, action
    )
    INSERT INTO audit_words SELECT tenant_id, unnest(ARRAY[action, 'word' || number % 500, 'name']), number FROM e
"""


@pytest.mark.criterion("2.5")
async def test_every_way_of_asking_uses_an_index(world: World, owner_url: str) -> None:
    """Under the walls, where an operator that is not leakproof would not."""
    await world.rows(MANY)

    async def analyse_and_explain(transaction: Transaction) -> dict[str, str]:
        plans = {}
        await transaction.execute("SET LOCAL enable_seqscan = on")
        for wanted in PLANS:
            sql, arguments = query(wanted, 2**62, 51)
            rows = await transaction.fetch(f"EXPLAIN (FORMAT JSON) {sql}", *arguments)
            plans[str(wanted)] = json.dumps(json.loads(rows[0]["QUERY PLAN"]))
        return plans

    owner = await asyncpg.connect(**credentials(owner_url))
    await owner.execute("ANALYZE audit_entries; ANALYZE audit_words")
    await owner.close()
    plans = await world.do(analyse_and_explain)
    for wanted, index in PLANS.items():
        assert index in plans[str(wanted)], (wanted, plans[str(wanted)])
        assert "Seq Scan" not in plans[str(wanted)], (wanted, plans[str(wanted)])


def test_words_keep_what_people_type() -> None:
    assert wanted_words("Ünal O'Neil a_b c-d") == ["a", "b", "c-d", "neil", "o", "ünal"]
    assert wanted_words("!!! %%") == []
