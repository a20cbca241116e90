"""What charts are drawn from."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from quart import Response

from shared.orders import VendOutcome
from tests.cloud.conftest import World

DAY = datetime(2026, 4, 1, tzinfo=UTC)


async def ask(world: World, path: str = "", **query: object) -> Response:
    spread: dict[str, object] = {"from": DAY.isoformat(), "to": (DAY + timedelta(days=3)).isoformat()} | query
    return await world.client.get(f"/v1/sales{path}", query_string=spread, headers=world.operator)


async def told(world: World, path: str = "", **query: object) -> dict[str, Any]:
    answer = await ask(world, path, **query)
    assert answer.status_code == 200, await answer.get_data()
    body: dict[str, Any] = await answer.get_json()
    return body


async def sell(world: World) -> None:
    """Two orders in one hour, one in the next, one on the next day at another machine."""
    slot, other = await world.slot(), await world.slot(1)
    gateway = world.gateway
    gateway.now = DAY + timedelta(hours=5, minutes=59)
    gateway.sell(slot)
    gateway.now = DAY + timedelta(hours=5, minutes=1)
    gateway.sell(slot, [VendOutcome.DISPENSED, VendOutcome.NO_DROP, VendOutcome.AMBIGUOUS])
    gateway.now = DAY + timedelta(hours=6)
    gateway.sell(slot, [VendOutcome.CANCELLED])
    gateway.now = DAY + timedelta(hours=24)
    gateway.sell(other)
    await world.acknowledged()


async def test_sales_by_the_hour_and_the_day(world: World) -> None:
    await sell(world)
    hours = await told(world, by="hour")
    assert [(row["at"], row["orders"], row["dispensed"]) for row in hours["sales"]] == [
        ("2026-04-01T05:00:00Z", 2, 2),
        ("2026-04-01T06:00:00Z", 1, 0),
        ("2026-04-02T00:00:00Z", 1, 1),
    ]
    first = hours["sales"][0]
    assert (first["no_drop"], first["ambiguous"], first["currency"]) == (1, 1, "INR")
    assert (first["captured_minor"], first["given_back_minor"]) == (5_000, 5_000)
    days = await told(world)
    assert [(row["at"], row["orders"], row["cancelled"]) for row in days["sales"]] == [
        ("2026-04-01T00:00:00Z", 3, 1),
        ("2026-04-02T00:00:00Z", 1, 0),
    ]


async def test_sales_of_one_machine_in_a_part_of_the_time(world: World) -> None:
    await sell(world)
    machine_id = (await world.slot(1)).machine_id
    for by in ("hour", "day"):
        assert [row["orders"] for row in (await told(world, by=by, machine_id=machine_id))["sales"]] == [1]
    short = {"from": DAY.isoformat(), "to": (DAY + timedelta(hours=6)).isoformat()}
    assert [row["orders"] for row in (await told(world, by="hour", **short))["sales"]] == [2]


async def test_products_day_by_day_in_pages(world: World) -> None:
    await sell(world)
    page = await told(world, "/products", limit=1)
    assert [(row["day"], row["dispensed"], row["sold_minor"]) for row in page["products"]] == [("2026-04-01", 2, 5_000)]
    rest = await told(world, "/products", cursor=page["next_cursor"])
    assert [(row["day"], row["dispensed"]) for row in rest["products"]] == [("2026-04-02", 1)]
    assert rest["next_cursor"] is None
    machine_id = (await world.slot(1)).machine_id
    assert [row["day"] for row in (await told(world, "/products", machine_id=machine_id))["products"]] == ["2026-04-02"]


@pytest.mark.criterion("5.5")
async def test_a_wrong_question_is_told_which_field_is_wrong(world: World) -> None:
    late = (DAY + timedelta(days=32)).isoformat()
    wrong: tuple[tuple[str, str, dict[str, object]], ...] = (
        ("", "from", {"from": "yesterday"}),
        ("", "from", {"from": "2026-04-01T00:00:00"}),
        ("", "from", {"from": "0001-01-01T00:00:00+14:00"}),
        ("", "to", {"to": DAY.isoformat()}),
        ("", "to", {"to": late, "by": "hour"}),
        ("", "by", {"by": "week"}),
        ("", "machine_id", {"machine_id": "all"}),
        ("/products", "cursor", {"cursor": "AAAA"}),
        ("/products", "limit", {"limit": 201}),
    )
    for path, field, query in wrong:
        answer = await ask(world, path, **query)
        assert answer.status_code == 422, query
        assert [error["path"] for error in (await answer.get_json())["errors"]] == [field]
    assert (await ask(world, to=late)).status_code == 200
    assert (await world.client.get("/v1/sales")).status_code == 401
