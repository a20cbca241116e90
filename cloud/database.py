"""The one unit of work on Postgres: a tenant, a transaction, and a shield against clients that leave."""

import asyncio
import contextvars
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

import asyncpg
import structlog
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.context import TortoiseContext

from cloud.callers import Caller
from cloud.errors import LarderError, Unavailable
from cloud.failpoints import Failpoints
from cloud.origin import bind_origin, current_origin

log = structlog.get_logger()

T = TypeVar("T")
Row = Mapping[str, Any]

APP_ROLE = "larder_app"
MODELS = ("cloud.auth.models", "cloud.onboarding.models", "cloud.catalog.models", "cloud.devices.models")
UNIT_SECONDS = 20.0
STREAM_SECONDS = 900.0
STREAM_ROWS = 500
"""So many rows are read at once; about three times as many are in memory."""
ACQUIRE_SECONDS = 5.0
CLOSE_SECONDS = 5.0
_LAST_SECONDS = 1.0
_TRIES = 4
_ALIAS = "default"
_SET = "SELECT set_config(name, value, true) FROM unnest($1::text[], $2::text[]) AS s (name, value)"
_READ_ONLY = {"transaction_read_only": "on"}
_STREAM = _READ_ONLY | {
    "statement_timeout": "60000",
    "idle_in_transaction_session_timeout": "60000",  # of a client that reads nothing
}
_IN_UNIT: contextvars.ContextVar[bool] = contextvars.ContextVar("larder_in_unit", default=False)

_AGAIN = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
_TRANSIENT = (
    *_AGAIN,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)


def credentials(url: str) -> dict[str, Any]:
    """What asyncpg needs to reach a `postgresql://` URL (?host= for a socket)."""
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    found = {
        "host": query.get("host", parts.hostname or "localhost"),
        "port": int(query.get("port", parts.port or 5432)),
        "user": unquote(parts.username or "postgres"),
        "password": unquote(parts.password) if parts.password else None,
        "database": parts.path.lstrip("/"),
    }
    return found | ({"ssl": query["sslmode"]} if "sslmode" in query else {})


def tortoise_config(connection: dict[str, Any]) -> dict[str, Any]:
    """Tortoise's configuration: one connection, one app."""
    return {
        "connections": {_ALIAS: {"engine": "tortoise.backends.asyncpg", "credentials": connection}},
        "apps": {"cloud": {"models": list(MODELS), "migrations": "cloud.migrations", "default_connection": _ALIAS}},
        "use_tz": True,
        "timezone": "UTC",
    }


async def _keep(_connection: object) -> None:
    """Instead of asyncpg's reset: a unit sets nothing that outlives its transaction, so there is nothing to undo."""


def _drop(connection: Any) -> None:
    """Free the pool's place without a word to the server; nothing if the line is gone already."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


class Transaction:
    """What work inside a unit may do. Models of Tortoise join the same transaction by themselves."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._sent: asyncio.Task[Any] | None = None
        self.rung: list[tuple[str, UUID]] = []

    async def fetch(self, sql: str, *values: object) -> Sequence[Row]:
        """All rows of one statement."""
        rows: Sequence[Row] = await (await self._idle()).fetch(sql, *values)
        return rows

    async def fetch_one(self, sql: str, *values: object) -> Row | None:
        """The first row of one statement."""
        row: Row | None = await (await self._idle()).fetchrow(sql, *values)
        return row

    async def execute(self, sql: str, *values: object) -> int:
        """Runs one statement; how many rows it touched."""
        status: str = await (await self._idle()).execute(sql, *values)
        last = status.rsplit(" ", 1)[-1]
        return int(last) if last.isdigit() else 0

    async def chunks(self, sql: str, *values: object) -> AsyncIterator[Sequence[Row]]:
        """The rows of one statement through a server-side cursor, STREAM_ROWS at a time."""
        cursor = await (await self._idle()).cursor(sql, *values)
        while rows := await cursor.fetch(STREAM_ROWS):
            yield rows

    async def send(self, sql: str, *values: object) -> None:
        """Sends one statement and comes back: the caller thinks on while the server works.

        The next use of this transaction, or its end, waits for it and raises what it raised. No model until then.
        """
        connection = await self._idle()
        self._sent = asyncio.create_task(connection.execute(sql, *values), name="statement sent")
        await asyncio.sleep(0)  # now it is on its way

    async def _idle(self) -> Any:
        """The connection, once the statement sent has ended. Raises what that raised."""
        sent, self._sent = self._sent, None
        if sent is not None:
            await sent
        return self._connection

    @asynccontextmanager
    async def settled(self) -> AsyncIterator[None]:
        """When this ends, so has the last statement sent in it. What that raised is told first: it came first."""
        try:
            yield
        finally:
            await self._idle()

    async def become(self, tenant_id: UUID) -> None:
        """Work for this tenant from here to the end of the transaction."""
        await self.execute("SELECT set_config('app.tenant', $1, true)", str(tenant_id))

    async def become_person(self, user_id: UUID) -> None:
        """See this person's own rows from here to the end of the transaction."""
        await self.execute("SELECT set_config('app.user', $1, true)", str(user_id))

    async def show_address(self, folded: str) -> None:
        """See the person of this e-mail address from here to the end of the transaction."""
        await self.execute("SELECT set_config('app.email', $1, true)", folded)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What fails inside is undone alone."""
        async with (await self._idle()).transaction(), self.settled():
            yield

    async def ring(self, kind: str, key: UUID) -> None:
        """Tell all processes that something of `kind` moved. Heard after the commit, ids only."""
        await self.execute("SELECT pg_notify('larder', $1)", f"{kind} {key}")
        self.rung.append((kind, key))


def columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    """Rows turned into one array a column, as `unnest` takes them."""
    return [list(column) for column in zip(*rows, strict=True)]


def values(step: object) -> Iterable[object]:
    """The fields of a dataclass or a message in their order. Unlike `astuple` it copies nothing."""
    return vars(step).values()


Work = Callable[[Transaction], Awaitable[T]]


def _settings(
    caller: Caller | None, tenant_id: UUID | None = None, user_id: UUID | None = None, secret_sha256: str | None = None
) -> dict[str, str]:
    """What Postgres is told of whom a unit is for."""
    return {
        "app.tenant": str(tenant_id or (caller.tenant_id if caller else "")),
        "app.scope": caller.scope.setting() if caller else "",
        "app.user": str(user_id or ""),
        "app.secret_sha256": secret_sha256 or "",
    }


class Database:
    """A pool of connections that work as the application's role, which the user of `url` is or may become.

    Open and close it on the loop that uses it.
    """

    def __init__(
        self, url: str, failpoints: Failpoints, *, pool_size: int = 8, unit_seconds: float = UNIT_SECONDS
    ) -> None:
        self._url = url
        self._failpoints = failpoints
        self._pool_size = pool_size
        self._unit_seconds = unit_seconds
        self._tortoise = TortoiseContext()
        # Entered once, here; each unit runs in a copy, so that no request's context leaks into a transaction or back.
        self._context = contextvars.Context()
        self._running: set[asyncio.Task[Any]] = set()
        self._borrowed, self._streaming = set[Any](), 0
        self._hearers: list[Callable[[str, UUID], None]] = []

    def on_ring(self, hear: Callable[[str, UUID], None]) -> None:
        """Call it with what a unit has rung, as soon as that has ended and before anybody is told so."""
        self._hearers.append(hear)

    async def open(self) -> None:
        """Connect lazily. Raises nothing when Postgres is away: units will."""
        server_settings = {
            "role": APP_ROLE,
            "application_name": "larder-cloud",
            "timezone": "UTC",
            "jit": "off",
            # Statements are planned once, perhaps on a table that is still empty: let no whole-table scan stick.
            "plan_cache_mode": "force_generic_plan",
            "enable_seqscan": "off",
            "statement_timeout": "8000",  # below the deadline of a request, as is the wait for a connection
            "lock_timeout": "5000",
            "idle_in_transaction_session_timeout": "15000",
        }
        pool = {"minsize": 1, "maxsize": self._pool_size, "timeout": 5, "server_settings": server_settings}
        pool |= {"reset": _keep, "max_cached_statement_lifetime": 0}  # else a plan in use is made anew each 300 s
        self._context.run(self._tortoise.__enter__)
        opening = self._tortoise.init(config=tortoise_config(credentials(self._url) | pool))
        await asyncio.get_running_loop().create_task(opening, name="database open", context=self._context)

    async def close(self) -> None:
        """Let running units end, for CLOSE_SECONDS at most, then close the pool; lines that are dead are dropped."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
            for connection in self._borrowed:
                _drop(connection)
            if late:
                await asyncio.wait(late, timeout=_LAST_SECONDS)
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await self._tortoise.close_connections()  # cancelled, it drops what is still open
        except TimeoutError:
            log.warning("database_left_open")
        self._context.run(self._tortoise.__exit__, None, None, None)

    async def unit(
        self,
        name: str,
        work: Work[T],
        *,
        caller: Caller | None = None,
        tenant_id: UUID | None = None,
        user_id: UUID | None = None,
        secret_sha256: str | None = None,
        read_only: bool = False,
    ) -> T:
        """Run `work` in one transaction, for a `caller` and the part of a tenant that they see.

        Where nobody of a tenant calls it is for all of `tenant_id`; with neither it sees only the rows that are
        `user_id`'s own or that `secret_sha256` opens.

        The caller may be cancelled; the work goes on to its commit or rollback. It is repeated when Postgres asks for
        that (serialisation failure, deadlock), so it must change nothing but the database; if `read_only`, Postgres
        lets it change nothing at all. Raises Unavailable when the database is in trouble that will pass.
        """
        settings = _settings(caller, tenant_id, user_id, secret_sha256) | (_READ_ONLY if read_only else {})
        return await asyncio.shield(self._start(name, work, settings, self._unit_seconds, _TRIES))

    async def stream(
        self, name: str, sql: str, values: Sequence[object], *, caller: Caller, seconds: float = STREAM_SECONDS
    ) -> AsyncGenerator[Sequence[Row], None]:
        """The rows of one statement as they are at its begin, some at a time, read-only, within the caller's walls.

        It holds a connection until it is read to the end or closed, for `seconds` at most; so only a quarter of the
        pool may be at this at once. Raises Unavailable, also in the middle.
        """
        if self._streaming >= max(1, self._pool_size // 4):
            raise Unavailable
        read: asyncio.Queue[Sequence[Row]] = asyncio.Queue()
        room = asyncio.Semaphore(1)

        async def work(transaction: Transaction) -> None:
            async for rows in transaction.chunks(sql, *values):
                await room.acquire()
                read.put_nowait(rows)

        self._streaming += 1
        task = self._start(name, work, _settings(caller) | _STREAM, seconds, 1)
        task.add_done_callback(lambda _: read.put_nowait(()))
        try:
            while rows := await read.get():
                yield rows
                room.release()
            await task
        finally:
            self._streaming -= 1
            task.cancel()

    def _start(self, name: str, work: Work[T], settings: dict[str, str], seconds: float, tries: int) -> asyncio.Task[T]:
        """The unit, in a task of its own that nobody's leaving ends."""
        if _IN_UNIT.get():
            raise RuntimeError(f"unit {name!r} inside another unit")
        context = self._context.copy()
        context.run(structlog.contextvars.bind_contextvars, **structlog.contextvars.get_contextvars())
        context.run(bind_origin, current_origin())
        task = asyncio.get_running_loop().create_task(
            self._tried(name, work, settings, seconds, tries), name=f"unit {name}", context=context
        )
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """Forget the task; an error nobody waits for any more is told in one line."""
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, LarderError):
            log.info("unit_failed", unit=task.get_name(), error=repr(error))

    async def _tried(self, name: str, work: Work[T], settings: dict[str, str], seconds: float, tries: int) -> T:
        _IN_UNIT.set(True)
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            # Later than the line's own end: work that waits for the line ends by that, any other by this.
            async with asyncio.timeout_at(deadline + _LAST_SECONDS):
                for _ in range(tries - 1):
                    try:
                        return await self._once(name, work, settings, deadline)
                    except _AGAIN as error:
                        log.info("unit_repeated", unit=name, error=type(error).__name__)
                        await asyncio.sleep(random.uniform(0.005, 0.05))  # noqa: S311  jitter, no secret
                return await self._once(name, work, settings, deadline)
        except _TRANSIENT as error:
            if isinstance(error, ValueError):  # asyncpg's word for an argument of the wrong type
                raise
            log.warning("database_unavailable", unit=name, error=repr(error))
            raise Unavailable from error

    @asynccontextmanager
    async def _line(self, client: AsyncpgDBClient, deadline: float) -> AsyncIterator[Any]:
        """A connection of the pool, dropped at `deadline`: on a dead line even rollback and release wait for ever.

        Released whatever happens, unlike Tortoise's own transaction when its BEGIN fails.
        """
        pooled = client.acquire_connection()
        async with asyncio.timeout(ACQUIRE_SECONDS):
            connection: Any = await pooled.__aenter__()
        self._borrowed.add(connection)
        end = asyncio.get_running_loop().call_at(deadline, _drop, connection)
        try:
            yield connection
        finally:
            try:
                await pooled.__aexit__(None, None, None)
            finally:
                end.cancel()
                self._borrowed.discard(connection)

    @asynccontextmanager
    async def _told(self, begun: Transaction) -> AsyncIterator[None]:
        """When this ends, hearers know what was rung in it: also if it seems to have failed, for who knows."""
        try:
            yield
        finally:
            for kind, key in begun.rung:
                for hear in self._hearers:
                    hear(kind, key)

    async def _once(self, name: str, work: Work[T], settings: dict[str, str], deadline: float) -> T:
        client = self._tortoise.db(_ALIAS)
        assert isinstance(client, AsyncpgDBClient)  # noqa: S101  configured above
        async with self._line(client, deadline) as connection:
            transaction = TransactionWrapper(client)
            transaction._connection = connection
            token = self._tortoise.connections.set(_ALIAS, transaction)
            try:
                begun = Transaction(connection)
                async with self._told(begun), connection.transaction():
                    await connection.execute(_SET, list(settings), list(settings.values()))
                    async with begun.settled():
                        result = await work(begun)
                    self._failpoints.hit(f"{name}.before_commit")
                self._failpoints.hit(f"{name}.after_commit")
                return result
            finally:
                self._tortoise.connections.reset(token)
