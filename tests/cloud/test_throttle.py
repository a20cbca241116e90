"""The limits as clients meet them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as QuartClient

from cloud.app import create_app
from cloud.callers import Actor, ActorKind, Operator
from cloud.clock import Clock, new_id
from cloud.database import Database
from cloud.errors import TooManyRequests, Unavailable
from cloud.failpoints import Failpoints
from cloud.limits import Limits
from cloud.live import LiveSettings
from cloud.rates import Rate
from cloud.settings import Feature, Live
from cloud.throttle import Throttle
from shared.onboarding import ClaimGateway
from tests.cloud.conftest import World
from tests.fakes.encryption_keys import keyring
from tests.fakes.mailbox import Mailbox
from tests.fakes.memory_objects import memory_objects

FAKES: dict[str, Any] = {"keyring": keyring(), "carrier": Mailbox(), "objects": memory_objects()}
FEW = Rate(4, 86_400)
NOWHERE = "postgresql://larder_app@127.0.0.1:9/larder"


@asynccontextmanager
async def serving(url: str, live: LiveSettings, **more: Any) -> AsyncIterator[QuartClient]:
    app: Quart = create_app(
        url, clock=Clock(), failpoints=Failpoints(), draining=asyncio.Event(), pool_size=2, live=live, **FAKES | more
    )
    async with app.test_app() as running:
        yield running.test_client()


async def statuses(client: QuartClient, count: int, path: str = "/v1/orders", **headers: str) -> list[int]:
    return [(await client.get(path, headers=headers)).status_code for _ in range(count)]


@pytest.mark.criterion("5.3")
async def test_an_address_that_asks_too_often_is_told_when_to_come_again(database_url: str) -> None:
    async with serving(database_url, LiveSettings(Live(rate_address=FEW))) as client:
        first = await client.get("/v1/orders")
        assert first.status_code == 401
        assert (first.headers["RateLimit-Limit"], first.headers["RateLimit-Remaining"]) == ("4", "3")
        assert first.headers["RateLimit-Policy"] == '"address";q=4;w=86400'
        assert first.headers["RateLimit"] == f'"address";r=3;t={first.headers["RateLimit-Reset"]}'
        assert await statuses(client, 4) == [401, 401, 401, 429]
        refused = await client.get("/v1/orders")
        assert (refused.status_code, (await refused.get_json())["code"]) == (429, "too_many_requests")
        assert refused.mimetype == "application/problem+json"
        assert 1 <= int(refused.headers["Retry-After"]) <= 86_400
        assert refused.headers["RateLimit-Remaining"] == "0"
        assert await statuses(client, 2, "/health/live") == [200, 200]
        assert await statuses(client, 2, "/assets/none.css") == [404, 404]


async def test_what_a_client_writes_about_its_address_gains_it_nothing(database_url: str) -> None:
    spoofs = [{"X-Forwarded-For": f"198.51.100.{number}", "Remote-Addr": f"{number}.0.0.1"} for number in range(1, 6)]
    async with serving(database_url, LiveSettings(Live(rate_address=FEW))) as client:
        assert [(await statuses(client, 1, **spoof))[0] for spoof in spoofs] == [401] * 4 + [429]


async def test_behind_a_trusted_proxy_each_client_has_its_own_bucket(database_url: str) -> None:
    proxies = (ip_network("127.0.0.0/8"),)
    async with serving(database_url, LiveSettings(Live(rate_address=FEW)), trusted_proxies=proxies) as client:
        scope = {"client": ("127.0.0.1", 4711)}

        async def ask(forwarded_for: str) -> int:
            headers = {"X-Forwarded-For": forwarded_for}
            return (await client.get("/v1/orders", headers=headers, scope_base=scope)).status_code

        assert [await ask("198.51.100.1") for _ in range(5)] == [401] * 4 + [429]
        assert await ask("198.51.100.2") == 401
        assert await ask("192.0.2.1, 198.51.100.1") == 429, "what the client itself wrote stands further left"


async def test_gateways_have_buckets_of_their_own(world: World) -> None:
    live = LiveSettings(Live(rate_address=Rate(1, 86_400), rate_gateway=FEW))
    async with serving(world.url, live) as client:
        assert await statuses(client, 2) == [401, 429]
        headers = world.gateway.authorisation()
        assert await statuses(client, 5, "/v1/sync/changes", **headers) == [200] * 4 + [429]
        answer = await client.get("/v1/sync/changes", headers=headers)
        assert '"gateways_address";q=30000;w=60, "gateway";q=4;w=86400' in answer.headers["RateLimit-Policy"]


async def test_users_keys_and_tenants_are_counted_apart(database: Database) -> None:
    app = Quart("asked")
    throttle = Throttle(Limits(database), LiveSettings(Live(rate_actor=Rate(2, 86_400), rate_tenant=Rate(3, 86_400))))
    tenant = new_id()

    async def granted(operator: Operator) -> bool:
        async with app.test_request_context("/"):
            try:
                await throttle.operator(operator)
            except TooManyRequests:
                return False
            return True

    user, key = (
        Operator(tenant, Actor(kind, new_id(), "Somebody"), frozenset()) for kind in (ActorKind.USER, ActorKind.API_KEY)
    )
    assert [await granted(user) for _ in range(3)] == [True, True, False]
    assert [await granted(key) for _ in range(2)] == [True, False], "the tenant had one left"


@pytest.mark.criterion("1.7")
async def test_attempts_to_sign_in_are_counted_by_account_and_by_address(database: Database) -> None:
    app = Quart("asked")
    live = Live(rate_attempts=Rate(3, 86_400), rate_attempts_address=Rate(5, 86_400))
    throttle = Throttle(Limits(database), LiveSettings(live))

    async def tried(account: str, address: str) -> bool:
        async with app.test_request_context("/", scope_base={"client": (address, 1)}):
            try:
                await throttle.attempt(account)
            except TooManyRequests:
                return False
            return True

    spread = [await tried(account, f"203.0.113.{n}") for n, account in enumerate(["a@x.example", " A@X.example "] * 2)]
    assert spread == [True, True, True, False], "one account from many addresses"
    assert [await tried(f"{n}@x.example", "198.51.100.1") for n in range(6)] == [True] * 5 + [False], "many from one"


@pytest.mark.criterion("1.7")
async def test_without_postgres_nobody_gets_to_try_a_secret() -> None:
    async with serving(NOWHERE, LiveSettings(Live())) as client:
        answer = await client.post("/login", form={"api_key": new_id().hex})
        assert (answer.status_code, (await answer.get_json())["code"]) == (503, "unavailable")
    database = Database(NOWHERE, Failpoints())
    await database.open()
    async with Quart("asked").test_request_context("/"):
        with pytest.raises(Unavailable):
            await Throttle(Limits(database), LiveSettings(Live())).attempt("a@x.example")
    await database.close()


async def test_a_changed_rate_is_in_force_at_once(database_url: str) -> None:
    live = LiveSettings(Live(rate_address=Rate(1, 86_400)))
    async with serving(database_url, live) as client:
        assert await statuses(client, 2) == [401, 429]
        live.swap(Live(rate_address=Rate(1_000, 1)))
        await asyncio.sleep(0.01)
        assert await statuses(client, 2) == [401, 401]
        live.swap(Live(features_off=frozenset({Feature.CLAIMS})))
        wish = ClaimGateway(code="x" * 27, public_key="0" * 64, software="1").to_line()
        refused = await client.post("/v1/claim", data=wish, headers={"Content-Type": "application/json"})
        assert refused.status_code == 503
