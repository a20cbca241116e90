"""Every operation × every role × {own, another tenant's, nobody}, as the application itself lists them (R14)."""

import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from cloud.database import credentials
from cloud.operations import Access, Policy, operation_of
from cloud.permissions import SECOND_FACTOR, Permission, Role, permissions_of
from tests.cloud.auth.conftest import admin, office  # noqa: F401  fixtures
from tests.cloud.conftest import Server, World
from tests.cloud.rival import RIVALS_CUSTOMER, Rival, rival_of
from tests.fakes.cloud_people import Office, PersonAtCloud
from tests.fakes.release_key import signed_release

IGNORED = frozenset({"HEAD", "OPTIONS"})
TABLES = {
    "order_id": "orders",
    "device_id": "devices",
    "machine_id": "machines",
    "site_id": "sites",
    "gateway_id": "gateways",
    "product_id": "products",
    "planogram_id": "planograms",
    "key_id": "api_keys",
    "invitation_id": "invitations",
    "customer_id": "customers",
    "setup_id": "setups",
    "template_id": "machine_templates",
    "webhook_id": "webhook_endpoints",
    "delivery_id": "webhook_deliveries",
}
PARAMETERS = (*TABLES, "user_id", "session_id", "tenant_id", "digest", "sha256", "code", "secret", "name")
STREAMS = frozenset({"/orders/events"})
NOBODYS = dict.fromkeys(PARAMETERS, "01890000-0000-7000-8000-00000000dead") | {"digest": "f" * 64, "sha256": "f" * 64}
"""Ids that nobody has."""
UUID_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Asked:
    """One operation as a client calls it."""

    method: str
    rule: str
    policy: Policy

    def path(self, ids: dict[str, str]) -> str:
        """With ids in place of its parameters. Raises KeyError for a parameter nobody has told an id for."""
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: ids[found[1]], self.rule)

    @property
    def has_id(self) -> bool:
        return "<" in self.rule


def operations(world: World) -> Iterator[Asked]:
    for rule in world.app.url_map.iter_rules():
        found = operation_of(world.app.view_functions[rule.endpoint])
        if found is None or rule.websocket or rule.rule in STREAMS:
            continue
        for method in sorted((rule.methods or set()) - IGNORED):
            yield Asked(method, rule.rule, found.policy)


@pytest.fixture
async def rival(world: World) -> Rival:
    return await rival_of(world)


@dataclass
class Everybody:
    """All who ask, and the ids of ours and theirs."""

    people: dict[Role, PersonAtCloud]
    ours: dict[str, str]
    theirs: dict[str, str]
    their_marks: frozenset[str]
    """Ids and names that no answer to us may contain."""


@pytest.fixture
async def everybody(world: World, office: Office, rival: Rival, server: Server) -> AsyncIterator[Everybody]:  # noqa: F811
    owner = await office.owner(world.tenant_id)
    people = {Role.OWNER: owner}
    for role in Role:
        if role is not Role.OWNER:
            people[role] = await office.invited(owner, f"{role}@staff.example", role)
            await people[role].sign_in()
    world.gateway.sell(await world.slot())
    await world.acknowledged()
    name = str(credentials(world.url)["database"])
    superuser = await asyncpg.connect(**credentials(server.postgres.url("postgres", name)))
    ours, theirs = [await ids_of(superuser, tenant_id) for tenant_id in (world.tenant_id, rival.tenant_id)]
    marks = {value for value in theirs.values() if UUID_FORM.fullmatch(value)} | {"Rival"}
    yield Everybody(people, ours, theirs, frozenset(marks - set(ours.values())))
    await superuser.close()


async def ids_of(superuser: asyncpg.Connection, tenant_id: object) -> dict[str, str]:
    """For each parameter of a path an id that the tenant has; a made-up one where it has none."""
    found = dict(NOBODYS)
    for parameter, table in TABLES.items():
        row = await superuser.fetchval(f"SELECT id FROM {table} WHERE tenant_id = $1 LIMIT 1", tenant_id)  # noqa: S608
        found[parameter] = str(row or found[parameter])
    user = await superuser.fetchval("SELECT user_id FROM memberships WHERE tenant_id = $1 LIMIT 1", tenant_id)
    return found | {"user_id": str(user or found["user_id"]), "tenant_id": str(tenant_id)}


async def ask(person: PersonAtCloud, asked: Asked, path: str) -> tuple[int, str]:
    body: dict[str, Any] = {} if asked.method == "GET" else {"json": {}}
    headers = {"Idempotency-Key": "01890000-0000-7000-8000-000000000001"}
    answer = await person.ask(asked.method, path, headers=headers, **body)
    return answer.status_code, str(await answer.get_data(as_text=True))


def may(role: Role, policy: Policy) -> bool:
    """Whether a person of the role, without a fresh second factor unless they are an owner, gets by the gate."""
    if not isinstance(policy, Permission):
        return True
    allowed = permissions_of(role) if role is Role.OWNER else permissions_of(role) - SECOND_FACTOR
    return policy in allowed


@pytest.mark.criterion("1.4")
async def test_each_role_gets_by_where_the_table_says_and_nowhere_else(world: World, everybody: Everybody) -> None:
    wrong, count = [], 0
    for asked in operations(world):
        if not isinstance(asked.policy, Permission):
            continue
        for role, person in everybody.people.items():
            # A made-up id: what is asked of it changes nothing, and the gate stands before it all the same.
            path = asked.path(NOBODYS)
            status, text = await ask(person, asked, path)
            count += 1
            refused = status == 403 and any(code in text for code in ("forbidden", "second_factor", "permission"))
            if refused is may(role, asked.policy) or status >= 500 or status == 401:
                wrong.append((role, asked, status, text[:100]))
    assert wrong == []
    assert count >= 6 * 20


@pytest.mark.criterion("1.2")
async def test_nobody_gets_by_anywhere_but_where_all_may(world: World, everybody: Everybody) -> None:
    nobody = PersonAtCloud(world.app, "", "")
    wrong = []
    for asked in operations(world):
        if asked.policy is Access.PUBLIC:
            continue
        for cookie in ("", "made-up"):
            nobody.cookie = cookie
            status, _ = await ask(nobody, asked, asked.path(everybody.ours))
            if status not in {302, 303, 401}:
                wrong.append((asked, status))
    assert wrong == []


async def rows_of(superuser: asyncpg.Connection, tenant_id: object) -> str:
    """A hash of all that a tenant has."""
    tables = await superuser.fetch(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'"
        " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace ORDER BY 1"
    )
    found = []
    for (table,) in tables:
        rows = await superuser.fetch(f"SELECT r::text FROM {table} r WHERE tenant_id = $1 ORDER BY 1", tenant_id)  # noqa: S608
        found.append((table, [row[0] for row in rows]))
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


@pytest.mark.criterion("1.4")
@pytest.mark.parametrize("reads", [True, False], ids=["reads", "writes"])
async def test_no_operation_shows_or_touches_what_another_tenant_has(
    world: World, everybody: Everybody, rival: Rival, server: Server, *, reads: bool
) -> None:
    """By path, query, filter, sort, cursor and body: an owner, who may do everything, and a key that may."""
    name = str(credentials(world.url)["database"])
    superuser = await asyncpg.connect(**credentials(server.postgres.url("postgres", name)))
    release = await world.client.post(
        "/v1/releases", data=signed_release().to_line(), headers=rival.headers | {"Content-Type": "application/json"}
    )
    everybody.theirs["digest"] = (await release.get_json())["digest"]
    before = await rows_of(superuser, rival.tenant_id)
    owner, leaks, count = everybody.people[Role.OWNER], [], 0
    span = "from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z"
    for asked in operations(world):
        if asked.policy is Access.GATEWAY or not asked.rule.startswith("/v1/") or (asked.method == "GET") is not reads:
            continue
        paths = [asked.path(everybody.theirs)]
        if asked.method == "GET":
            filters = [f"{name}={value}" for name, value in everybody.theirs.items() if name.endswith("_id")]
            paths += [f"{paths[0]}?{each}&{span}" for each in (*filters, "limit=200", "sort=name", "sort=-placed_at")]
        for path in paths:
            for told in bodies(everybody.theirs) if asked.method != "GET" else [None]:
                more = {} if told is None else {"json": told}
                key = {"Idempotency-Key": f"01890000-0000-7000-8000-{count:012d}"}
                answer = await owner.ask(asked.method, path, headers=key, **more)
                text = str(await answer.get_data(as_text=True))
                count += 1
                shown = [mark for mark in everybody.their_marks if mark in text and mark not in path]
                # Nor is it told that it is there: the same answer goes to whoever makes up an id.
                made_up = path.replace(asked.path(everybody.theirs), asked.path(NOBODYS), 1)
                same = await owner.ask(asked.method, made_up, headers=key, **more) if asked.has_id else answer
                if shown or answer.status_code >= 500 or same.status_code != answer.status_code:
                    leaks.append((asked.method, path, answer.status_code, same.status_code, shown, text[:120]))
    assert leaks == []
    assert count >= 100
    assert await rows_of(superuser, rival.tenant_id) == before
    await superuser.close()


def bodies(theirs: dict[str, str]) -> list[dict[str, object]]:
    """What might make an operation reach over: their ids in every field that ids go into."""
    ids: dict[str, object] = {name: value for name, value in theirs.items() if name.endswith("_id")}
    lists: dict[str, object] = {"sites": [theirs["site_id"]], "machines": [theirs["machine_id"]]}
    return [
        {},
        ids | {"digest": theirs["digest"]},
        {"digest": theirs["digest"]},
        {"email": "eve@rival.example", "role": "viewer"} | lists,
        {"role": "viewer"} | lists,
        {"action": "restart"},
        {"settings": {}},
        {"enabled": False},
        {"created_from": "2020-01-01T00:00:00Z", "created_to": "2099-01-01T00:00:00Z"},
        {"name": "mine now"},
        {"phone": RIVALS_CUSTOMER},
    ]


async def test_streams_tell_nothing_of_another_tenant(world: World, everybody: Everybody, rival: Rival) -> None:
    owner = everybody.people[Role.OWNER]
    headers = {"Accept": "text/event-stream", "Cookie": f"__Host-larder={owner.cookie}"}
    client = world.app.test_client(use_cookies=False)
    async with client.request("/orders/events", headers=headers) as stream:
        await stream.send_complete()
        assert b"retry" in await stream.receive()
        rival.gateway.sell(rival.slot)
        told = rival.gateway
        answer = await world.client.post("/v1/sync/facts", data=told.packed(), headers=told.headers())
        assert answer.status_code == 200
        world.gateway.sell(await world.slot())
        await world.acknowledged()
        first = await stream.receive()
        assert b"moved" in first
        assert not [mark for mark in everybody.their_marks if mark.encode() in first]
        world.draining.set()
