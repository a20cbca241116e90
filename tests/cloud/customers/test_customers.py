"""What support does for somebody whose money a machine ate, by API."""

from uuid import uuid4

import asyncpg
import pytest

from cloud.callers import Actor, ActorKind, Operator, Scope
from cloud.clock import Clock
from cloud.customers.service import CustomerService, PhoneSearch
from cloud.database import Transaction, credentials
from cloud.permissions import OF_THE_WHOLE, Permission, Role, permissions_of
from tests.cloud.auth.conftest import admin, office, platform  # noqa: F401  fixtures
from tests.cloud.conftest import Server
from tests.cloud.customers.conftest import NAME, NOTE, PERSONAL, PHONE, UPI, Desk
from tests.cloud.rival import rival_of
from tests.fakes.cloud_people import Office, PersonAtCloud
from tests.fakes.encryption_keys import keyring


async def everywhere(server: Server, url: str) -> dict[str, str]:
    """All rows of all tenants, as text, by table."""
    connection = await asyncpg.connect(
        **credentials(server.postgres.url("postgres", str(credentials(url)["database"])))
    )
    tables = await connection.fetch(
        "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    found = {}
    for (table,) in tables:
        found[table] = await connection.fetchval(f"SELECT string_agg(r::text, ' ') FROM {table} r") or ""  # noqa: S608
    await connection.close()
    return found


@pytest.mark.criterion("1.3")
async def test_somebody_rings_is_helped_and_rings_again(desk: Desk) -> None:
    assert await desk.found("98200 12345") == []
    customer_id = await desk.customer("098200-12345")
    order_id = await desk.order()
    await desk.ask("PUT", f"/{customer_id}/orders/{order_id}", 204)
    note = {"text": NOTE, "order_id": str(order_id)}
    await desk.ask("POST", f"/{customer_id}/notes", 201, json=note)

    (found,) = await desk.found("+91 (98200) 12345")
    assert (found["customer_id"], found["name"], found["phone"], found["upi_address"]) == (
        str(customer_id),
        NAME,
        PHONE,
        UPI,
    )
    (noted,) = (await desk.told("GET", f"/{customer_id}/notes"))["notes"]
    assert (noted["text"], noted["order_id"], noted["written_by"]) == (NOTE, str(order_id), "demo")
    (order,) = (await desk.told("GET", f"/{customer_id}/orders"))["orders"]
    assert (order["order_id"], order["machine_name"]) == (str(order_id), "Snacks")
    (line,) = (await desk.told("GET", ""))["customers"]
    assert (line["customer_id"], line["notes"], line["orders"]) == (str(customer_id), 1, 1)
    everything = await desk.ask("GET", f"/{customer_id}/export", 200)
    assert everything.headers["Content-Disposition"] == f'attachment; filename="customer-{customer_id}.json"'
    told = await everything.get_json()
    assert (told["customer"], told["notes"], told["orders"]) == (found, [noted], [order])


@pytest.mark.criterion("1.3")
@pytest.mark.criterion("4.1")
async def test_nothing_personal_is_logged_audited_or_kept_in_plain_and_everybody_who_looks_is_told(
    desk: Desk, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    customer_id = await desk.customer()
    await desk.ask("POST", f"/{customer_id}/notes", 201, json={"text": NOTE})
    await desk.ask("PATCH", f"/{customer_id}", 200, json={"name": f"{NAME} Rao"})
    for path in ("", "/notes", "/export"):
        await desk.ask("GET", f"/{customer_id}{path}", 200)
    await desk.found(PHONE)
    await desk.ask("POST", "", 409, json={"phone": PHONE})
    await desk.ask("POST", "", 422, json={"phone": f"{PHONE}{PHONE}", "name": NAME})
    rows = await desk.audited(customer_id)
    assert [row["action"] for row in rows] == [
        "customer_read",
        "customer_exported",
        "customer_read",
        "customer_read",
        "customer_changed",
        "customer_noted",
        "customer_created",
    ]
    assert {row["actor"]["name"] for row in rows} == {"demo"}
    assert rows[4]["after"] == {"changed": ["name"]}
    kept = await everywhere(server, desk.world.url)
    assert str(customer_id) in kept["customers"]
    assert [(table, word) for table, text in kept.items() for word in PERSONAL if word in text] == []
    logged = capsys.readouterr()
    assert "request_refused" in logged.out
    assert [word for word in PERSONAL if word in logged.out + logged.err] == []


async def test_a_number_is_one_customers_and_making_one_twice_makes_one(desk: Desk) -> None:
    once = {"Idempotency-Key": str(uuid4())}
    first = await desk.told("POST", "", 201, json={"phone": PHONE}, headers=once)
    assert first == await desk.told("POST", "", 201, json={"phone": PHONE}, headers=once)
    assert set(first) == {"customer_id"}, "a kept answer holds nothing personal"
    other = await desk.customer("98200 54321")
    refused = await desk.told("PATCH", f"/{other}", 409, json={"phone": "98200 12345"})
    assert refused["code"] == "conflict"
    assert (await desk.told("PATCH", f"/{other}", json={"phone": "98200 54321", "name": ""}))["name"] is None


async def test_what_somebody_else_has_changed_is_not_overwritten(desk: Desk) -> None:
    customer_id = await desk.customer()
    seen = (await desk.ask("GET", f"/{customer_id}", 200)).headers["ETag"]
    await desk.ask("PATCH", f"/{customer_id}", 200, json={"upi_address": ""}, headers={"If-Match": seen})
    late = await desk.told("PATCH", f"/{customer_id}", 412, json={"name": "Eve"}, headers={"If-Match": seen})
    assert late["code"] == "precondition_failed"


async def test_orders_are_linked_that_are_there_and_unlinked_unless_noted(desk: Desk) -> None:
    customer_id, order_id, nobodys = await desk.customer(), await desk.order(), uuid4()
    await desk.ask("PUT", f"/{customer_id}/orders/{nobodys}", 404)
    wrong = await desk.told("POST", f"/{customer_id}/notes", 422, json={"text": "?", "order_id": str(nobodys)})
    assert wrong["errors"][0]["path"] == "order_id"
    await desk.ask("PUT", f"/{customer_id}/orders/{order_id}", 204)
    await desk.ask("PUT", f"/{customer_id}/orders/{order_id}", 204)
    await desk.ask("DELETE", f"/{customer_id}/orders/{order_id}", 204)
    await desk.ask("DELETE", f"/{customer_id}/orders/{order_id}", 404)
    await desk.ask("POST", f"/{customer_id}/notes", 201, json={"text": NOTE, "order_id": str(order_id)})
    await desk.ask("DELETE", f"/{customer_id}/orders/{order_id}", 409)


async def test_numbers_are_of_the_business_country(desk: Desk) -> None:
    assert await desk.told("GET", "/settings") == {"country": "IN", "keep_days": 365}
    await desk.ask("PUT", "/settings", 422, json={"country": "XX"})
    await desk.ask("PUT", "/settings", 200, json={"country": "DE", "keep_days": 30})
    await desk.customer("0171 1234567")
    (found,) = await desk.found("+49 171 1234567")
    assert found["phone"] == "+491711234567"


@pytest.mark.criterion("1.4")
async def test_another_tenant_never_finds_them(desk: Desk) -> None:
    customer_id = await desk.customer()
    rival = await rival_of(desk.world)
    answer = await desk.world.client.post("/v1/customers/search", json={"phone": PHONE}, headers=rival.headers)
    (theirs,) = (await answer.get_json())["customers"]
    assert (theirs["name"], theirs["customer_id"] == str(customer_id)) == ("Rival customer", False)
    (ours,) = await desk.found(PHONE)
    assert ours["customer_id"] == str(customer_id)
    await desk.ask("PUT", f"/{customer_id}/orders/{rival.order_id}", 404)
    note = {"text": "whose?", "order_id": str(rival.order_id)}
    await desk.ask("POST", f"/{customer_id}/notes", 422, json=note)
    rows = await desk.world.rows("SELECT tenant_id FROM customers")
    assert {row["tenant_id"] for row in rows} == {desk.world.tenant_id}


@pytest.mark.criterion("1.4")
async def test_who_sees_a_part_of_the_business_or_only_visits_it_sees_no_customers(
    desk: Desk,
    office: Office,  # noqa: F811
    platform: PersonAtCloud,  # noqa: F811
) -> None:
    await desk.customer()
    assert {Permission.CUSTOMERS_READ, Permission.CUSTOMERS_WRITE, Permission.CUSTOMERS_ERASE} <= OF_THE_WHOLE
    assert not [right for right in permissions_of(Role.TECHNICIAN) if right.startswith("customers")]
    scope = Scope(machines=frozenset({(await desk.world.slot()).machine_id}))
    limited = Operator(desk.world.tenant_id, Actor(ActorKind.USER, uuid4(), "x"), frozenset(Permission), scope)

    async def work(transaction: Transaction) -> int:
        found = await CustomerService(keyring(), Clock()).search(transaction, limited, PhoneSearch(phone=PHONE))
        return len(found.customers)

    assert await desk.world.database.unit("test", work, caller=limited) == 0
    pia = await office.identity.sessions.person(platform.cookie)
    await office.identity.visits.begin(pia, desk.world.tenant_id, "looks after the machines", 30)
    assert (await platform.ask("GET", "/v1/orders")).status_code == 200
    assert (await platform.ask("POST", "/v1/customers/search", json={"phone": PHONE})).status_code == 403
