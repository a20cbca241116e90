"""The table of what is done by the clock: months are added, and what has outlived its time is let go.

The application owns no table: each job calls a function of the owner's that can do this and nothing else
(migrations/*_keeping.sql); but for customers, which it erases tenant by tenant like anybody. All of them may be done
twice.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta

from cloud.clock import Clock
from cloud.database import Database, Transaction
from cloud.erasure.service import Eraser
from cloud.object_store import ObjectStore
from cloud.objects import Collector
from cloud.scheduler import Job

MONTHS_AHEAD = 2
ORDERS_AT_ONCE = 2_000
"""In one unit of work: a second or two."""
EVENTS_AT_ONCE = 5_000


@dataclass(frozen=True)
class Retention:
    """After how many days what is let go; None: never. Sums of sales stay in any case."""

    health_days: int = 400
    facts_days: int | None = None
    orders_days: int | None = None
    webhooks_days: int = 30


def jobs(database: Database, clock: Clock, retention: Retention, objects: ObjectStore) -> tuple[Job, ...]:
    """All jobs of an instance."""
    keeper = Keeper(database, clock)
    return (
        Job("months", timedelta(minutes=10), keeper.add_months),
        Job("expired", timedelta(hours=1), keeper.forget_expired),
        Job("customers", timedelta(hours=1), Eraser(database, clock).erase_outlived),
        Job("former people", timedelta(hours=1), keeper.forget_former_people),
        Job("objects", timedelta(minutes=10), Collector(database, objects).collect),
        *_old("webhooks", retention.webhooks_days, keeper.forget_webhooks),
        *_old("health", retention.health_days, keeper.forget_health),
        *_old("facts", retention.facts_days, keeper.forget_facts),
        *_old("orders", retention.orders_days, keeper.forget_orders),
    )


def _old(name: str, days: int | None, forget: Callable[[int], Awaitable[int]]) -> tuple[Job, ...]:
    if days is None:
        return ()

    async def work() -> int:
        return await forget(days)

    return (Job(name, timedelta(hours=6), work),)


class Keeper:
    """Looks after the data of all tenants. Every method tells how much it changed, and may raise Unavailable."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add_months(self) -> int:
        """This month's and the next ones' partitions, where they are missing."""
        return await self._call("SELECT keep_months($1) AS changed", MONTHS_AHEAD)

    async def forget_expired(self) -> int:
        """Sessions, links, tokens, claim codes, PINs, kept answers and changes of which nobody has any use."""
        return await self._call(
            "SELECT forget_expired() + forget_expired_identity() + forget_kept_answers() AS changed"
        )

    async def forget_former_people(self) -> int:
        """Who has belonged to no tenant for 30 days, and invitations that have been over for as long."""
        return await self._call("SELECT forget_former_people() AS changed")

    async def forget_health(self, days: int) -> int:
        """Whole months of health samples."""
        return await self._call("SELECT forget_health($1) AS changed", self._before(days))

    async def forget_facts(self, days: int) -> int:
        """Whole months of facts; one with a dead letter that waits for its replay stays."""
        return await self._call("SELECT forget_facts($1) AS changed", self._before(days))

    async def forget_orders(self, days: int) -> int:
        """Orders with all that belongs to them, then the months they leave empty."""
        before, forgotten = self._before(days), 0
        while found := await self._call("SELECT forget_orders($1, $2) AS changed", before, ORDERS_AT_ONCE):
            forgotten += found
        return forgotten + await self._call("SELECT drop_sold_months($1) AS changed", before)

    async def forget_webhooks(self, days: int) -> int:
        """What was told to webhooks, or should have been."""
        before, forgotten = self._before(days), 0
        while found := await self._call("SELECT forget_webhooks($1, $2) AS changed", before, EVENTS_AT_ONCE):
            forgotten += found
        return forgotten

    def _before(self, days: int) -> date:
        return self._clock.now().date() - timedelta(days=days)

    async def _call(self, sql: str, *values: object) -> int:
        async def work(transaction: Transaction) -> int:
            row = await transaction.fetch_one(sql, *values)
            return 0 if row is None else int(row["changed"])

        return await self._database.unit("jobs", work)
