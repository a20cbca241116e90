"""However facts come in, the sums that charts are made of equal a recount of the books."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from cloud.callers import system
from cloud.sync.ingest import Ingest
from shared.contract import Rail
from shared.orders import VendOutcome
from shared.sync import FACT
from tests.cloud.conftest import World
from tests.cloud.sync.test_replay import elsewhere
from tests.cloud.sync.test_splits import spoiled
from tests.fakes.gateway_client import GatewayClient, Slot

UNITS = ", ".join(f"count(*) FILTER (WHERE v.outcome = '{outcome}')" for outcome in VendOutcome)
RECOUNT = {
    "sales_hours": f"""
        WITH units AS (
            SELECT o.machine_id, date_trunc('hour', o.placed_at, 'UTC') AS hour, o.currency, {UNITS}
            FROM orders o LEFT JOIN vends v ON v.order_id = o.id GROUP BY 1, 2, 3
        ), money AS (
            SELECT machine_id, date_trunc('hour', placed_at, 'UTC') AS hour, currency, count(*) AS orders,
                   sum(captured_minor)::bigint, sum(given_back_minor)::bigint FROM orders GROUP BY 1, 2, 3
        )
        SELECT * FROM units JOIN money USING (machine_id, hour, currency) ORDER BY 1, 2, 3
    """,  # noqa: S608  no outsider's words
    "product_days": f"""
        SELECT o.machine_id, v.product_id, (o.placed_at AT TIME ZONE 'UTC')::date, o.currency, {UNITS},
               coalesce(sum(v.price_minor) FILTER (WHERE v.outcome = 'dispensed'), 0)::bigint
        FROM orders o JOIN vends v ON v.order_id = o.id WHERE v.outcome IS NOT NULL
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    """,  # noqa: S608  no outsider's words
}
KEPT = {
    "sales_hours": """
        SELECT machine_id, hour, currency, dispensed, not_started, no_drop, cancelled, ambiguous, orders,
               captured_minor, given_back_minor FROM sales_hours ORDER BY 1, 2, 3
    """,
    "product_days": """
        SELECT machine_id, product_id, day, currency, dispensed, not_started, no_drop, cancelled, ambiguous, sold_minor
        FROM product_days ORDER BY 1, 2, 3, 4
    """,
}
DAYS = """
    SELECT machine_id, day, currency, orders, dispensed, not_started, no_drop, cancelled, ambiguous, captured_minor,
           given_back_minor FROM sales_days ORDER BY 1, 2, 3
"""
DAYS_OF_HOURS = """
    SELECT machine_id, (hour AT TIME ZONE 'UTC')::date, currency, sum(orders), sum(dispensed), sum(not_started),
           sum(no_drop), sum(cancelled), sum(ambiguous), sum(captured_minor), sum(given_back_minor)
    FROM sales_hours GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


async def table(world: World, sql: str) -> list[tuple[Any, ...]]:
    """Rows as tuples, whatever their columns are called."""

    async def work(transaction: Any) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in await transaction.fetch(sql)]

    return await world.do(work)


async def check_sums(world: World) -> int:
    """The sums equal the books. How many rows of them there are."""
    for name, recount in RECOUNT.items():
        assert await table(world, KEPT[name]) == await table(world, recount), name
    assert await table(world, DAYS) == await table(world, DAYS_OF_HOURS)
    return len(await table(world, KEPT["sales_hours"]))


def history(rng: random.Random, slots: list[Slot]) -> list[bytes]:
    """Lines of a few sales in some hours of some days, in two currencies, some of them contradicting one another."""
    source = GatewayClient()
    lines: list[bytes] = []
    for _ in range(rng.randrange(2, 5)):
        source.now = datetime(2026, 3, 31, 22, tzinfo=UTC) + timedelta(minutes=rng.randrange(4000))
        before = len(source.lines)
        source.sell(
            rng.choice(slots), rng.choices(list(VendOutcome), k=rng.randrange(1, 4)), rng.choice(list(Rail)[:2])
        )
        currency = rng.choice((b"INR", b"EUR"))
        lines += [line.replace(b'"INR"', b'"' + currency + b'"') for line in source.lines[before:]]
    return lines


@pytest.mark.criterion("2.5")
async def test_sums_equal_a_recount_after_any_history(world: World) -> None:
    seed = random.randrange(10**6)
    print("seed", seed)
    rng, gateway = random.Random(seed), world.gateway
    assert gateway.claimed is not None
    slots = [await world.slot(machine, code) for machine in (0, 1) for code in ("A1", "A2")]
    away, home, dead = await elsewhere(world), gateway.claimed.site_id, 0
    for _ in range(8):
        facts = [FACT.validate_json(line) for line in history(rng, slots)]
        bodies = spoiled(rng, [fact.body for fact in facts]) if rng.random() < 0.5 else [fact.body for fact in facts]
        first = len(gateway.lines) + 1
        gateway.add(*bodies)
        is_away = rng.random() < 0.4
        if is_away:
            await move(world, slots[0].machine_id, away)
        cuts = sorted(rng.sample(range(first + 1, len(gateway.lines)), rng.randrange(4)))
        for begin, end in zip([first, *cuts], [*cuts, len(gateway.lines) + 1], strict=True):
            await world.acknowledged(begin, end - begin)
            if rng.random() < 0.3:
                repeated = rng.randrange(max(1, begin - 20), begin + 1)
                await world.acknowledged(repeated, end - repeated)
        await check_sums(world)
        if is_away:
            await move(world, slots[0].machine_id, home)
            dead += await Ingest(world.database).replay(system("test"), world.tenant_id, gateway.claimed.gateway_id)
            await check_sums(world)
    assert await check_sums(world) > 4
    print("replayed", dead)


async def move(world: World, machine_id: UUID, site_id: object) -> None:
    await world.rows("UPDATE machines SET site_id = $2 WHERE id = $1", machine_id, site_id)
