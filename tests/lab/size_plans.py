"""How Postgres answers what the cloud asks: every statement as it was sent, explained under the wall."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg
from asyncpg.connection import LoggedQuery

from cloud.database import APP_ROLE, Database, credentials
from cloud.failpoints import Failpoints

BIG = 2_000
"""A table or partition of so many rows must not be read whole."""
POOL = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}
"""As Database.open has it."""
FREE = {"plan_cache_mode": "force_custom_plan", "enable_seqscan": "on", "jit": "off"}
"""Postgres chooses: what it takes an index for then is worth one."""
_DONE = (asyncpg.IntegrityConstraintViolationError, asyncpg.ObjectNotInPrerequisiteStateError)
"""Its rows are there already; the mark stands higher: it cannot be run a second time."""
_OURS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "MERGE")
_NOT_OURS = ("set_config", "typeinfo_tree")
"""The unit's own settings; asyncpg's question what a type is."""


class Recorder(Database):
    """A database that remembers the statements sent through it, each with the values of its first time."""

    def __init__(self, url: str) -> None:
        super().__init__(url, Failpoints(), pool_size=2)
        self.sent: dict[str, tuple[object, ...]] = {}

    @asynccontextmanager
    async def _line(self, client: Any, deadline: float) -> AsyncIterator[Any]:
        async with super()._line(client, deadline) as connection:
            with connection.query_logger(self._heard):
                yield connection

    def _heard(self, query: LoggedQuery) -> None:
        if query.query.strip().startswith(_OURS) and not any(word in query.query for word in _NOT_OURS):
            self.sent.setdefault(query.query, tuple(query.args))


@dataclass
class Plan:
    """What one statement costs under some settings."""

    sql: str
    read_whole: list[str] = field(default_factory=list)
    """Big tables and partitions of which every row is looked at."""
    touched: dict[str, int] = field(default_factory=dict)
    """How many partitions of a table are looked into; only where it could be run."""
    ms: float | None = None
    checks: dict[str, float] = field(default_factory=dict)
    """Milliseconds in each foreign key's check."""


async def explain(
    url: str, tenant_id: UUID, sent: Mapping[str, tuple[object, ...]], settings: Mapping[str, str]
) -> list[Plan]:
    """Each statement's plan, as the application's role in a tenant. Changes nothing."""
    connection = await asyncpg.connect(**credentials(url), server_settings={"role": APP_ROLE} | dict(settings))
    try:
        rows = await connection.fetch("SELECT oid::regclass::text AS name, reltuples FROM pg_class WHERE relkind = 'r'")
        sizes = {row["name"]: row["reltuples"] for row in rows}
        await connection.execute("SELECT set_config('app.tenant', $1, false)", str(tenant_id))
        return [await _explain(connection, sql, values, sizes) for sql, values in sent.items()]
    finally:
        await connection.close()


async def _explain(connection: Any, sql: str, values: tuple[object, ...], sizes: Mapping[str, float]) -> Plan:
    await connection.execute(f"PREPARE asked AS {sql}")
    given = f"({', '.join(map(literal, values))})" if values else ""
    transaction = connection.transaction()
    await transaction.start()
    try:
        try:
            async with connection.transaction():
                text = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked{given}")
        except _DONE:
            text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE asked{given}")
    finally:
        await transaction.rollback()
        await connection.execute("DEALLOCATE asked")
    return _read(sql, json.loads(text)[0], sizes)


def _read(sql: str, told: Mapping[str, Any], sizes: Mapping[str, float]) -> Plan:
    plan = Plan(sql, ms=told.get("Execution Time"))
    for trigger in told.get("Triggers", ()):
        name = trigger.get("Constraint Name", trigger["Trigger Name"])
        plan.checks[name] = plan.checks.get(name, 0) + trigger.get("Time", 0)
    looked_into: set[str] = set()
    for node in _nodes(told["Plan"]):
        name = node.get("Relation Name")
        if name is None or node["Node Type"] == "ModifyTable":
            continue
        if node["Node Type"] == "Seq Scan" and sizes.get(name, 0) >= BIG and node.get("Actual Loops", 1):
            plan.read_whole.append(name)
        if node.get("Actual Loops"):
            looked_into.add(name)
    for name in looked_into:
        table = name[:-8] if name[-7:].replace("_", "").isdigit() else name.removesuffix("_other")
        if table != name:
            plan.touched[table] = plan.touched.get(table, 0) + 1
    return plan


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def literal(value: object) -> str:
    """A value as SQL text of unknown type, for the statement's own parameter to take."""
    if value is None:
        return "NULL"
    if isinstance(value, list | tuple):
        return _quoted("{" + ",".join(map(_element, value)) + "}")
    return _quoted(_text(value))


def _element(value: object) -> str:
    return "NULL" if value is None else '"' + _text(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat().replace("9999-12-31T23:59:59.999999+00:00", "infinity")
    return str(value)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
