"""Which pages of other origins get to read answers."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from quart.typing import TestClientProtocol as QuartClient
from werkzeug.datastructures import Headers

from cloud.live import LiveSettings
from cloud.settings import Live
from tests.fakes.postgres_cloud import cloud_app

OURS, WITH_COOKIES = "https://app.example", "https://desk.example:8443"
LIVE = Live(cors_origins=(OURS, WITH_COOKIES), cors_credentials_origins=(WITH_COOKIES,))
STRANGERS = ["https://evil.example", "https://app.example.evil.example", "http://app.example", "null", "https://x"]


def allowed(headers: Headers) -> dict[str, str]:
    return {name.title(): value for name, value in headers.items() if name.lower().startswith("access-control")}


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[QuartClient]:
    app = cloud_app(database_url, asyncio.Event(), live=LiveSettings(LIVE))
    async with app.test_app() as running:
        yield running.test_client()


async def preflight(client: QuartClient, origin: str, path: str = "/v1/orders") -> tuple[int, dict[str, str]]:
    headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    answer = await client.options(path, headers=headers)
    return answer.status_code, allowed(answer.headers)


@pytest.mark.criterion("3.5")
async def test_a_listed_page_may_read_the_api_and_sends_no_cookies(client: QuartClient) -> None:
    status, told = await preflight(client, OURS)
    assert (status, told["Access-Control-Allow-Origin"]) == (204, OURS)
    assert "PUT" in told["Access-Control-Allow-Methods"]
    assert "Idempotency-Key" in told["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in told
    answer = await client.get("/v1/orders", headers={"Origin": OURS})
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == OURS
    assert "RateLimit" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.criterion("3.5")
async def test_cookies_only_from_pages_that_are_listed_for_them(client: QuartClient) -> None:
    assert (await preflight(client, WITH_COOKIES))[1]["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.criterion("3.5")
@pytest.mark.parametrize("origin", STRANGERS)
async def test_strangers_read_nothing(client: QuartClient, origin: str) -> None:
    assert await preflight(client, origin) == (204, {})
    answer = await client.get("/v1/orders", headers={"Origin": origin})
    assert allowed(answer.headers) == {}
    assert "Origin" in answer.headers["Vary"], "what a cache keeps is for that page alone"


@pytest.mark.criterion("3.5")
async def test_pages_are_for_no_other_origin(client: QuartClient) -> None:
    assert allowed((await client.get("/login", headers={"Origin": OURS})).headers) == {}
    assert (await preflight(client, OURS, "/login"))[1] == {}


@pytest.mark.criterion("3.5")
async def test_nobody_is_listed_unless_somebody_lists_them(database_url: str) -> None:
    app = cloud_app(database_url, asyncio.Event())
    async with app.test_app() as running:
        assert (await preflight(running.test_client(), OURS))[1] == {}
