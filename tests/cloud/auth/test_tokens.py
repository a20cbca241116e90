"""What a gateway's token must be, and what nothing but it opens."""

import asyncio
import base64
import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from cloud.auth.rules import CLOCK_LEEWAY
from cloud.clock import new_id
from tests.cloud.conftest import World
from tests.fakes.gateway_client import GatewayClient

CHANGES = "/v1/sync/changes"
NOW = int(time.time())


async def status(world: World, token: str) -> int:
    """What a pull is answered with. A push, which may know the token from before, lets it in or refuses it alike."""
    headers = {"Authorization": f"Bearer {token}"}
    pushed = await world.client.post("/v1/sync/facts", headers=headers)
    pulled = await world.client.get(CHANGES, headers=headers)
    assert (pushed.status_code, pulled.status_code) in {(415, 200), (401, 401)}
    return pulled.status_code


async def test_a_good_token_opens(world: World) -> None:
    assert await status(world, world.gateway.token()) == 200


WRONG: tuple[dict[str, Any], ...] = (
    {"aud": "somebody-else"},
    {"aud": None},
    {"jti": None},
    {"jti": ""},
    {"kid": "another"},
    {"iss": str(new_id())},
    {"iss": "not an id"},
    {"tenant": str(new_id())},
    {"tenant": None},
    {"iat": 0, "exp": 300},
    {"iat": NOW - 1000, "exp": NOW - 700},
    {"iat": NOW + 1000, "exp": NOW + 1300},
    {"exp": NOW + 3600},
    {"exp": 1e300},
    {"exp": None},
    {"iat": None},
)


async def test_each_claim_counts(world: World) -> None:
    assert await status(world, world.gateway.token()) == 200
    for wrong in WRONG:
        assert await status(world, world.gateway.token(**wrong)) == 401, wrong


async def test_a_token_that_was_let_in_ends_with_its_time(world: World) -> None:
    end = time.time() + 2
    token = world.gateway.token(iat=int(end) - 300, exp=end - CLOCK_LEEWAY.total_seconds())
    assert await status(world, token) == 200
    await asyncio.sleep(end - time.time() + 0.1)
    assert await status(world, token) == 401
    assert await status(world, world.gateway.token()) == 200


async def test_another_key_a_changed_text_or_no_signature_open_nothing(world: World) -> None:
    stranger = GatewayClient(claimed=world.gateway.claimed)
    good = world.gateway.token()
    assert await status(world, good) == 200
    header, claims, signature = good.split(".")
    unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    tokens = [
        stranger.token(),
        stranger.token(kid=world.gateway.key.thumbprint()),
        f"{header}.{claims}.{signature[:-4]}AAAA",
        f"{header}.{claims}.",
        f"{unsigned}.{claims}.",
        "",
        "x",
        "a.b.c",
        world.seeded.api_key,
    ]
    for token in tokens:
        assert await status(world, token) == 401, token


async def test_a_gateway_lost_in_1970_learns_the_time(world: World) -> None:
    answer = await world.client.get(CHANGES, headers=world.gateway.authorisation(iat=60, exp=360))
    assert answer.status_code == 401
    told = datetime.fromisoformat((await answer.get_json())["server_time"])
    for moment in (told, parsedate_to_datetime(answer.headers["Date"])):
        assert abs(datetime.now(UTC) - moment) < timedelta(seconds=60)


async def test_operators_and_gateways_do_not_open_each_others_doors(world: World) -> None:
    assert (await world.client.get("/v1/orders", headers=world.gateway.authorisation())).status_code == 401
    assert (await world.client.get(CHANGES, headers=world.operator)).status_code == 401
    assert (await world.client.get("/v1/orders", headers={"Authorization": "Basic eDp5"})).status_code == 401


async def test_an_api_key_ends_with_its_time_or_by_revocation(world: World) -> None:
    assert (await world.client.get("/v1/orders", headers=world.operator)).status_code == 200
    for spoil in ("revoked_at = now()", "revoked_at = NULL, expires_at = now()"):
        await world.rows(f"UPDATE api_keys SET {spoil}")  # noqa: S608
        await world.refused("/v1/orders", world.operator)
