"""What the client does when the line or the server fails, on real sockets."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from itertools import count
from typing import Any

import httpx
import pytest

from cloud.reference.client.runtime.calls import Call
from cloud.reference.client.runtime.errors import NoAnswerInTime, UnexpectedAnswer
from cloud.reference.client.runtime.model import Answer
from cloud.reference.client.runtime.transport import Transport
from tests.fakes.scripted_server import ScriptedServer, answer, scripted

LIVE = answer("200 OK", b'{"status":"live"}')
CUT = b""
HALF = answer("200 OK", b'{"status"', length=100)
BUSY = answer(
    "503 Busy",
    json.dumps({"code": "unavailable", "detail": "Later.", "request_id": "r1", "errors": []}).encode(),
    Content_Type="application/problem+json",
    Retry_After="7",
)
GATEWAY_ERROR = answer("502 Bad Gateway", b"<html>")


async def told(
    larder: Any, script: Sequence[bytes], ask: str, *arguments: object
) -> tuple[Any, ScriptedServer, list[float]]:
    """What a call ends in, what came to the server, and how long the client has waited in between."""
    waited: list[float] = []
    group, method = ask.split(".")
    async with scripted(script) as server:
        with larder.Client(server.url, "key", sleep=waited.append) as client:
            try:
                ended = await asyncio.to_thread(getattr(getattr(client, group), method), *arguments)
            except larder.LarderError as error:
                ended = error
    return ended, server, waited


@pytest.mark.criterion("5.5")
async def test_a_read_is_repeated_when_the_line_breaks_or_the_server_is_busy(larder: Any) -> None:
    ended, server, waited = await told(larder, [CUT, HALF, BUSY, GATEWAY_ERROR, LIVE], "health.is_it_alive")
    assert ended.status == "live"
    assert len(server.heads) == 5
    assert [0.5 <= waited[0] <= 0.6, 1 <= waited[1] <= 1.2, 7 <= waited[2] <= 8.4, 4 <= waited[3] <= 4.8] == [True] * 4


async def test_it_gives_up_after_five_times(larder: Any) -> None:
    ended, server, _ = await told(larder, [BUSY] * 9, "health.is_it_alive")
    assert isinstance(ended, larder.problems.Unavailable)
    assert (ended.retry_after_s, ended.request_id, len(server.heads)) == (7, "r1", 5)


@pytest.mark.criterion("5.1")
async def test_what_creates_something_is_repeated_under_its_key(larder: Any) -> None:
    product = {"product_id": "0190a000-0000-7000-8000-0000000000f1", "name": "Tea", "version": 1}
    script = [HALF, answer("201 Created", json.dumps(product).encode())]
    wish = larder.models.ProductWish(name="Tea")
    ended, server, _ = await told(larder, script, "catalog.create_product", wish)
    assert ended.name == "Tea"
    keys = [line for head in server.heads for line in head.splitlines() if line.startswith("Idempotency-Key: ")]
    assert len(keys) == 2
    assert len(set(keys)) == 1


@pytest.mark.parametrize("first", [CUT, HALF, BUSY, GATEWAY_ERROR], ids=["cut", "half", "busy", "gateway"])
async def test_what_might_be_done_twice_is_not_repeated(larder: Any, first: bytes) -> None:
    ended, server, waited = await told(larder, [first], "sync.push_facts", b"{}")
    assert isinstance(ended, larder.Unreachable | larder.Problem)
    assert (len(server.heads), waited) == (1, [])


async def test_a_wait_beyond_the_deadline_is_not_begun(larder: Any) -> None:
    day = BUSY.replace(b"Retry-After: 7", b"Retry-After: 86400")
    ended, server, waited = await told(larder, [day, LIVE], "health.is_it_alive")
    assert isinstance(ended, larder.problems.Unavailable)
    assert (ended.retry_after_s, len(server.heads), waited) == (86_400, 1, [])


async def test_however_slowly_an_answer_comes_the_deadline_holds() -> None:
    """The clock goes a second whenever it is read."""
    clock = count().__next__
    async with scripted([LIVE]) as server:
        with httpx.Client() as http:
            slow = Transport(server.url, None, {}, http, deadline_s=2, stall_s=9, clock=clock)
            with pytest.raises(NoAnswerInTime):
                await asyncio.to_thread(slow.send, Call("GET", "/health/live"), Answer)


async def test_an_answer_of_another_api_is_no_answer() -> None:
    class Other(Answer):
        number: int

    async with scripted([LIVE]) as server:
        with httpx.Client() as http:
            transport = Transport(server.url, None, {}, http, deadline_s=9, stall_s=9)
            with pytest.raises(UnexpectedAnswer, match="number"):
                await asyncio.to_thread(transport.send, Call("GET", "/health/live"), Other)


async def test_a_file_that_ends_early_is_not_taken_for_whole(larder: Any, tmp_path: Any) -> None:
    def save(url: str) -> None:
        with larder.Client(url) as client, client.orders.export(format=larder.models.ExportFormat.CSV) as file:
            file.save(tmp_path / "orders.csv")

    async with scripted([HALF]) as server:
        with pytest.raises(larder.Unreachable):
            await asyncio.to_thread(save, server.url)
    assert not (tmp_path / "orders.csv").exists()


async def test_words_and_fields_of_a_newer_server_do_not_hurt(larder: Any) -> None:
    level = larder.models.OrderState("teleported")
    assert (level, level.value, isinstance(level, larder.models.OrderState)) == ("teleported", "teleported", True)
    assert "teleported" not in {state.value for state in larder.models.OrderState}
    newer = larder.models.ProductRow.model_validate_json(
        '{"product_id": "0190a000-0000-7000-8000-0000000000f1", "name": "Tea", "version": 1, "colour": "green"}'
    )
    assert newer.name == "Tea"


async def test_a_time_without_a_zone_is_not_sent(larder: Any) -> None:
    with larder.Client("http://127.0.0.1:9") as client, pytest.raises(ValueError, match="time zone"):
        list(client.orders.list(placed_from=datetime(2026, 1, 1)))  # noqa: DTZ001
