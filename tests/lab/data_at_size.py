"""1,000,000 orders on 10,000 machines: no statement reads a big table whole, months are left out where they can be,
and pages stay quick.

python -m tests.lab.data_at_size [--orders N] [--machines N] [--full]
"""

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from quart.typing import TestClientProtocol as QuartClient

from cloud import schema
from cloud.auth.keys import create_key
from cloud.callers import system
from cloud.clock import Clock, new_id
from cloud.database import Database, Transaction, credentials
from cloud.failpoints import Failpoints
from cloud.health import service as health
from cloud.live import LiveSettings
from cloud.orders import models as orders_models
from cloud.orders import service as orders_service
from cloud.payments import service as payments
from cloud.permissions import Permission
from cloud.postgres import EmbeddedPostgres
from cloud.rates import Rate
from cloud.settings import Live
from cloud.sync.ingest import Ingest
from shared.inventory import Reason, SlotSensed
from shared.onboarding import GatewayClaimed
from shared.orders import VendOutcome
from tests.fakes.gateway_client import GatewayClient, Slot
from tests.fakes.postgres_cloud import cloud_app
from tests.lab.size_fill import fill
from tests.lab.size_plans import FREE, POOL, Plan, Recorder, explain

UNHEEDED = Rate(100_000, 1)
"""Pages are measured as fast as they come."""
PRUNED: dict[str, tuple[str, ...]] = {
    orders_models.ONE: ("orders",),
    orders_service._ORDER_STEPS: ("orders",),
    orders_service._VEND_STEPS: ("orders", "vends"),
    orders_service._STRANGERS: ("orders",),
    payments._STEPS: ("payments",),
    health.KNOWN: ("health_samples",),
    health.LIST: ("health_samples",),
}
"""Statements that name ids or times, and the tables of which they look into one month, or two."""


@dataclass
class Site:
    """One site of the largest tenant, its gateway and one of its orders."""

    tenant_id: UUID
    site_id: UUID
    gateway: GatewayClient
    slot: Slot
    order_id: UUID
    api_key: str

    @property
    def operator(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}


@dataclass
class Report:
    """What was found. Latencies in ms (p50, p99), through the real app, one request after the other."""

    orders: int
    machines: int
    fill_s: float
    plans: dict[str, list[Plan]] = field(default_factory=dict)
    latencies: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def faults(self) -> list[str]:
        """Big tables read whole, and months looked into for nothing."""
        whole = [
            f"{name}: {', '.join(plan.read_whole)} read whole: {_short(plan.sql)}"
            for name, plans in self.plans.items()
            for plan in plans
            if plan.read_whole
        ]
        wide = [
            f"{name}: {plan.touched[table]} months of {table}: {_short(plan.sql)}"
            for name, plans in self.plans.items()
            for plan in plans
            for table in PRUNED.get(plan.sql, ())
            if plan.touched.get(table, 0) > 2
        ]
        return whole + wide

    def __str__(self) -> str:
        explained = len(next(iter(self.plans.values())))
        lines = [
            f"{self.orders} orders, {self.machines} machines, filled in {self.fill_s:.0f} s; {explained} statements"
        ]
        for name, plans in self.plans.items():
            slow = sorted((plan for plan in plans if plan.ms), key=lambda plan: -(plan.ms or 0))[:5]
            lines += [f"slowest, {name}:", *(f"  {plan.ms:8.2f} ms  {_short(plan.sql)}" for plan in slow)]
        lines += [f"{name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms" for name, (p50, p99) in self.latencies.items()]
        return "\n".join(lines + [f"FAULT {fault}" for fault in self.faults])


def _short(sql: str) -> str:
    return " ".join(sql.split())[:110]


async def run(orders: int, machines: int, requests: int, folder: Path) -> Report:
    """Fill, ask everything once, explain all that was sent, then measure pages."""
    postgres = EmbeddedPostgres(folder, durable=False)
    owner_url = await postgres.start()
    try:
        await schema.migrate(owner_url)
        superuser = await asyncpg.connect(**credentials(postgres.url("postgres", "larder")))
        begun = time.perf_counter()
        await fill(superuser, orders, machines)
        report = Report(orders, machines, time.perf_counter() - begun)
        site = await _site(superuser, postgres.app_url)
        sent = await _ask_everything(superuser, postgres.app_url, site)
        for name, settings in (("as the pool", POOL), ("as Postgres likes", FREE)):
            report.plans[name] = await explain(postgres.app_url, site.tenant_id, sent, settings)
        report.latencies = await _measure(postgres.app_url, site, requests)
        await superuser.close()
        return report
    finally:
        await postgres.stop()


async def _site(superuser: asyncpg.Connection, url: str) -> Site:
    gateway = GatewayClient()
    row = await superuser.fetchrow("""
        SELECT g.tenant_id, g.site_id, g.id AS gateway_id, m.id AS machine_id, o.id AS order_id, d.id AS device_id,
               (SELECT p.id FROM products p WHERE p.tenant_id = g.tenant_id LIMIT 1) AS product_id
        FROM gateways g JOIN machines m USING (tenant_id, site_id) JOIN devices d ON d.machine_id = m.id
        JOIN orders o ON o.machine_id = m.id
        WHERE g.tenant_id = (SELECT tenant_id FROM machines GROUP BY 1 ORDER BY count(*) DESC LIMIT 1)
        ORDER BY o.placed_at DESC LIMIT 1
    """)
    assert row is not None
    await superuser.execute("UPDATE gateways SET public_key = $2 WHERE id = $1", row["gateway_id"], gateway.public_key)
    who = {"gateway_id": row["gateway_id"], "tenant_id": row["tenant_id"], "site_id": row["site_id"]}
    gateway.claimed = GatewayClaimed(**who, site_name="S", currency="INR", server_time=datetime.now(UTC))
    gateway.begin_epoch(2)
    database = Database(url, Failpoints(), pool_size=1)
    await database.open()

    async def key(transaction: Transaction) -> str:
        now, scopes = Clock().now(), sorted(Permission)
        made = await create_key(transaction, row["tenant_id"], system("lab"), "lab", scopes, now, timedelta(days=1))
        return made.secret

    api_key = await database.unit("lab", key, tenant_id=row["tenant_id"])
    await database.close()
    slot = Slot(row["machine_id"], row["device_id"], row["product_id"])
    return Site(row["tenant_id"], row["site_id"], gateway, slot, row["order_id"], api_key)


async def _ask_everything(superuser: asyncpg.Connection, url: str, site: Site) -> dict[str, tuple[object, ...]]:
    """Whatever operators and gateways can ask, once: the statements that went to Postgres for it."""
    database = Recorder(url)
    app = cloud_app(url, asyncio.Event(), database=database)
    async with app.test_app() as running:
        client = running.test_client()
        await _as_operator(client, site)
        await _as_gateway(client, site)
        await _replay(superuser, client, database, site)
    return database.sent


async def _as_operator(client: QuartClient, site: Site) -> None:
    page = await _get(client, "/v1/orders?limit=50", site.operator)
    span = {
        days: f"from={(datetime.now(UTC) - timedelta(days=days)).strftime('%Y-%m-%dT00:00:00Z')}"
        f"&to={datetime.now(UTC).strftime('%Y-%m-%dT00:00:00Z')}"
        for days in (30, 90, 360)
    }
    machine, device = f"machine_id={site.slot.machine_id}", f"/v1/devices/{site.slot.device_id}"
    assert site.gateway.claimed is not None
    for path in (
        f"/v1/orders?cursor={page['next_cursor']}",
        f"/v1/orders?{machine}",
        f"/v1/orders/{site.order_id}",
        "/v1/search?q=m",
        "/v1/search?q=product+1",
        f"/v1/search?q={site.order_id}",
        "/v1/inventory",
        f"/v1/inventory?{machine}",
        "/v1/catalog/products",
        "/v1/devices",
        f"{device}/instructions",
        f"{device}/health?{span[30]}",
        "/v1/releases",
        f"/v1/gateways/{site.gateway.claimed.gateway_id}/sync",
        f"/v1/sales?by=hour&{span[30]}",
        f"/v1/sales?by=hour&{span[30]}&{machine}",
        f"/v1/sales?by=day&{span[90]}",
        f"/v1/sales?by=day&{span[360]}&{machine}",
        f"/v1/sales/products?{span[30]}",
        f"/v1/sales/products?{span[30]}&{machine}",
    ):
        await _get(client, path, site.operator)


async def _as_gateway(client: QuartClient, site: Site) -> None:
    gateway = site.gateway
    gateway.sell(site.slot, [VendOutcome.DISPENSED, VendOutcome.NO_DROP])
    gateway.move(site.slot, 5, Reason.RESTOCK)
    await _push(client, site, 1, 3)
    await _push(client, site, 4)
    await _push(client, site, 1)
    await _get(client, "/v1/sync/facts?epoch=0&after=0&before_epoch=2&limit=500", gateway.authorisation())
    await _get(client, "/v1/sync/changes?cursor=10&limit=50", gateway.authorisation())
    await _get(client, "/v1/sync/changes", gateway.authorisation())
    whose = f'"device_id":"{site.slot.device_id}","machine_id":"{site.slot.machine_id}","firmware":"1.0.0"'
    sample = f'{{{whose},"at":"{datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}","uptime_s":1}}'
    headers = gateway.authorisation() | {"Content-Type": "application/json"}
    answer = await client.post("/v1/sync/telemetry", data=f'{{"v":1,"samples":[{sample}]}}', headers=headers)
    assert answer.status_code == 204, await answer.get_data()


async def _replay(superuser: asyncpg.Connection, client: QuartClient, database: Database, site: Site) -> None:
    """A fact that is dead at first, and rises: its machine was elsewhere for a moment."""
    move = "UPDATE machines SET site_id = $2 WHERE id = $1"
    other = new_id()
    await superuser.execute(
        "INSERT INTO sites (tenant_id, id, name, currency) VALUES ($1, $2, 'Elsewhere', 'INR')", site.tenant_id, other
    )
    await superuser.execute(move, site.slot.machine_id, other)
    first = len(site.gateway.lines) + 1
    site.gateway.add(SlotSensed(machine_id=site.slot.machine_id, slot="A1", empty=True))
    await _push(client, site, first)
    await superuser.execute(move, site.slot.machine_id, site.site_id)
    assert site.gateway.claimed is not None
    assert await Ingest(database).replay(system("lab"), site.tenant_id, site.gateway.claimed.gateway_id) == 1


async def _get(client: QuartClient, path: str, headers: dict[str, str]) -> Any:
    answer = await client.get(path, headers=headers)
    assert answer.status_code == 200, (path, await answer.get_data())
    return await answer.get_json() if answer.mimetype == "application/json" else None


async def _push(client: QuartClient, site: Site, first: int, count: int | None = None) -> None:
    headers = site.gateway.headers()
    answer = await client.post("/v1/sync/facts", data=site.gateway.packed(first, count), headers=headers)
    assert answer.status_code == 200, await answer.get_data()


async def _measure(url: str, site: Site, requests: int) -> dict[str, tuple[float, float]]:
    """List pages one after the other into the past, of all and of one machine, and the orders on them."""
    app = cloud_app(url, asyncio.Event(), live=LiveSettings(Live(rate_actor=UNHEEDED, rate_address=UNHEEDED)))
    times: dict[str, list[float]] = {"order list page": [], "page of one machine": [], "order": []}
    async with app.test_app() as running:
        client = running.test_client()
        cursor = ""
        while len(times["order list page"]) < requests:
            page = await _timed(client, f"/v1/orders?limit=50{cursor}", site, times["order list page"])
            await _timed(client, f"/v1/orders?machine_id={site.slot.machine_id}", site, times["page of one machine"])
            for order in page["orders"][::25]:
                await _timed(client, f"/v1/orders/{order['order_id']}", site, times["order"])
            cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    return {name: _percentiles(seconds[3:]) for name, seconds in times.items()}


async def _timed(client: QuartClient, path: str, site: Site, times: list[float]) -> Any:
    begun = time.perf_counter()
    page = await _get(client, path, site.operator)
    times.append(time.perf_counter() - begun)
    return page


def _percentiles(seconds: list[float]) -> tuple[float, float]:
    ordered = sorted(second * 1000 for second in seconds)
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Plans and pages at size.")
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--machines", type=int, default=3_000)
    parser.add_argument("--full", action="store_true", help="1,000,000 orders on 10,000 machines")
    chosen = parser.parse_args()
    orders, machines = (1_000_000, 10_000) if chosen.full else (chosen.orders, chosen.machines)
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(orders, machines, 500, Path(folder)))
    print(report)
    sys.exit(bool(report.faults))


if __name__ == "__main__":
    main()
