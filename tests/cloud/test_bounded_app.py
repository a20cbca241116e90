"""Deadlines of requests, how many are worked on at once, and bodies that are too large or too slow."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from quart import Quart, Response

from cloud import web
from cloud.app import create_app
from cloud.bounded_app import BoundedApp, deadline
from cloud.clock import Clock
from cloud.database import Database, Transaction
from cloud.failpoints import Failpoints
from cloud.live import LiveSettings
from cloud.settings import Live
from tests.cloud.conftest import World
from tests.fakes.encryption_keys import keyring
from tests.fakes.mailbox import Mailbox
from tests.fakes.memory_objects import memory_objects
from tests.fakes.served import on_a_port
from tests.fakes.until import until

SHORT = 0.3
LOGIN = "POST /login HTTP/1.1\r\nHost: cloud\r\nContent-Type: application/x-www-form-urlencoded\r\n"


def slow_app(url: str, live: LiveSettings | None = None) -> Quart:
    """The cloud with a short deadline, and views that are slow in several ways."""
    app = create_app(
        url,
        clock=Clock(),
        failpoints=Failpoints(),
        draining=asyncio.Event(),
        keyring=keyring(),
        carrier=Mailbox(),
        objects=memory_objects(),
        pool_size=2,
        request_seconds=SHORT,
        live=live,
    )

    async def slow() -> str:
        await asyncio.sleep(3 * SHORT)
        return "at last"

    @deadline(None)
    async def patient() -> str:
        return await slow()

    async def faulty() -> str:
        raise TimeoutError("of its own")

    async def lines() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.sleep(3 * SHORT)
        yield b"last"

    async def stream() -> Response:
        return Response(lines(), mimetype="text/event-stream")

    app.add_url_rule("/slow", "slow", slow)
    app.add_url_rule("/patient", "patient", patient)
    app.add_url_rule("/faulty", "faulty", faulty)
    app.add_url_rule("/stream", "stream", stream)
    return app


async def test_a_late_request_is_answered_504(database_url: str) -> None:
    async with slow_app(database_url).test_app() as running:
        client = running.test_client()
        late = await client.get("/slow")
        assert (late.status_code, (await late.get_json())["code"]) == (504, "deadline_passed")
        assert late.headers["X-Request-Id"]
        assert await (await client.get("/patient")).get_data() == b"at last"
        assert await (await client.get("/stream")).get_data() == b"firstlast"
        assert (await client.get("/faulty")).status_code == 500, "a timeout of another kind is a fault"


async def test_a_unit_of_work_goes_on_after_its_request_was_late(world: World) -> None:
    app = slow_app(world.url)
    renamed = asyncio.Event()

    async def rename() -> str:
        async def work(transaction: Transaction) -> None:
            await transaction.execute("SELECT pg_sleep($1)", 2 * SHORT)
            await transaction.execute("UPDATE tenants SET name = 'Renamed late'")
            renamed.set()

        await world.database.unit("test", work, tenant_id=world.tenant_id)
        return "done"

    app.add_url_rule("/rename", "rename", rename)
    async with app.test_app() as running:
        assert (await running.test_client().get("/rename")).status_code == 504
        async with asyncio.timeout(5):
            await renamed.wait()
            rows = await world.rows("SELECT name FROM tenants FOR UPDATE")  # after its commit
    assert rows[0]["name"] == "Renamed late"


async def test_one_request_too_many_is_asked_to_come_again(database_url: str) -> None:
    app = slow_app(database_url, LiveSettings(Live(max_requests=3)))
    assert isinstance(app, BoundedApp)
    async with app.test_app() as running:
        client = running.test_client()
        answers = await asyncio.gather(*(client.get("/patient") for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 503, 503]
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert (refused.headers["Retry-After"], (await refused.get_json())["code"]) == ("2", "unavailable")
        assert (await client.get("/patient")).status_code == 200, "places are given back"
        assert app.in_progress == 0


async def test_clients_that_leave_give_their_place_back(database_url: str) -> None:
    app = slow_app(database_url)
    async with on_a_port(app) as port:
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /patient HTTP/1.1\r\nHost: cloud\r\n\r\n")
            await asyncio.sleep(0.02)
            writer.close()
        assert isinstance(app, BoundedApp)
        await until(lambda: not app.in_progress)


async def told(port: int, request: bytes, endless: bytes = b"") -> bytes:
    """The head of the answer to a request on a connection of its own, whose body perhaps never ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def go_on() -> None:
        while endless:
            writer.write(endless)
            await writer.drain()

    writing = asyncio.create_task(go_on())
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.readuntil(b"\r\n\r\n")
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        writer.close()


CHUNK = b"4000\r\n" + b"a" * 0x4000 + b"\r\n"


@pytest.mark.parametrize(
    "head",
    [
        "POST /login HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n",
        "POST /login HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\n",
        "POST /logout HTTP/1.1\r\n",
        "POST /v1/claim HTTP/1.1\r\nContent-Type: application/json\r\n",
        "POST /v1/sync/facts HTTP/1.1\r\nContent-Type: application/x-ndjson\r\n",
        "GET /v1/orders HTTP/1.1\r\n",
        "POST /nowhere HTTP/1.1\r\n",
    ],
)
async def test_no_route_takes_an_endless_chunked_body(world: World, head: str) -> None:
    async with on_a_port(world.app) as port:
        request = f"{head}Host: cloud\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        status = int((await told(port, request, CHUNK)).split()[1])
    assert 300 <= status < 500


async def test_forms_are_bounded(world: World) -> None:
    large = await world.client.post("/login", form={"api_key": "x" * (web.MAX_JSON_BYTES + 1)})
    assert large.status_code == 413
    many = "&".join(f"f{number}=" for number in range(web.MAX_FORM_FIELDS + 1))
    urlencoded = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await world.client.post("/login", data=many, headers=urlencoded)).status_code == 400
    assert (await world.client.post("/login", data=b"api_key=\xff", headers=urlencoded)).status_code == 400
    assert (await world.client.post("/login", data=b"api_key=%ff", headers=urlencoded)).status_code == 400


async def test_a_body_that_stalls_is_not_waited_for(database_url: str) -> None:
    """The deadline of the request is shorter here than that of a chunk."""
    async with on_a_port(slow_app(database_url)) as port:
        head = await told(port, f"{LOGIN}Content-Length: 100\r\n\r\napi_key=".encode())
        assert head.startswith(b"HTTP/1.1 504")


async def test_a_body_that_nobody_reads_does_not_keep_its_connection(database_url: str) -> None:
    async with on_a_port(slow_app(database_url)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /nowhere HTTP/1.1\r\nHost: cloud\r\nContent-Length: 1000000\r\n\r\nx")
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"HTTP/1.1 404"), "and then it closes"
        writer.close()


async def test_the_database_gives_up_before_the_request(database: Database) -> None:
    async def work(transaction: Transaction) -> str:
        row = await transaction.fetch_one("SELECT current_setting('statement_timeout') AS limit")
        assert row is not None
        return str(row["limit"])

    assert await database.unit("test", work) == "8s"
