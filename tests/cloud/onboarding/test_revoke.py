"""Revoking by hand: the key and the open codes die at once; a fresh code lets the site in again."""

import asyncio

import pytest
from quart.testing.connections import WebsocketDisconnectError

from cloud.clock import new_id
from shared.inventory import Reason
from shared.sync import DOORBELL
from tests.cloud.conftest import JSON, World, claim
from tests.cloud.processes import gateway_command
from tests.fakes.gateway_client import GatewayClient

CHANGES = "/v1/sync/changes"


async def status(world: World, gateway: GatewayClient) -> int:
    return (await world.client.get(CHANGES, headers=gateway.authorisation())).status_code


async def test_a_revoked_gateway_is_let_in_again_with_a_fresh_code_only(world: World) -> None:
    _, open_code = await gateway_command(world, "issue-claim-code")
    assert (await gateway_command(world, "revoke-gateway"))[0] == 0
    assert await status(world, world.gateway) == 401
    for code in (open_code, world.seeded.gateway_claim_code):
        refused = await world.client.post("/v1/claim", data=world.gateway.wish(code).to_line(), headers=JSON)
        assert (refused.status_code, (await refused.get_json())["code"]) == (403, "claim_code_expired")
    _, fresh_code = await gateway_command(world, "issue-claim-code")
    await claim(world.client, world.gateway, fresh_code)
    assert await status(world, world.gateway) == 200


async def test_a_gateway_whose_token_is_known_cannot_push_once_it_is_revoked_or_replaced(world: World) -> None:
    known = world.gateway.headers()
    world.gateway.move(await world.slot(), 10, Reason.OPENING)
    taken = await world.client.post("/v1/sync/facts", data=world.gateway.packed(), headers=known)
    assert taken.status_code == 200
    await gateway_command(world, "revoke-gateway")
    assert await refusal(world, known) == (401, "gateway_revoked")
    heir = GatewayClient()
    await claim(world.client, heir, (await gateway_command(world, "issue-claim-code"))[1])
    assert await refusal(world, known) == (401, "unauthenticated")
    heir.move(await world.slot(), 5, Reason.RESTOCK)
    heir.epoch = 2
    taken = await world.client.post("/v1/sync/facts", data=heir.packed(), headers=heir.headers())
    assert taken.status_code == 200
    assert await refusal(world, known) == (401, "unauthenticated")
    assert await world.rows("SELECT epoch, seq FROM facts ORDER BY epoch") == [
        {"epoch": 1, "seq": 1},
        {"epoch": 2, "seq": 1},
    ]


async def refusal(world: World, known: dict[str, str]) -> tuple[int, str]:
    """What the gateway of old is answered when it pushes another fact with the token that was good."""
    world.gateway.move(await world.slot(), 1, Reason.RESTOCK)
    answer = await world.client.post("/v1/sync/facts", data=world.gateway.packed(2), headers=known)
    return answer.status_code, (await answer.get_json())["code"]


async def test_the_doorbell_of_a_replaced_key_is_hung_up(world: World) -> None:
    async with world.client.websocket("/v1/sync/doorbell", headers=world.gateway.authorisation()) as bell:
        assert await bell.receive() == DOORBELL
        await claim(world.client, GatewayClient(), (await gateway_command(world, "issue-claim-code"))[1])
        with pytest.raises(WebsocketDisconnectError):
            async with asyncio.timeout(10):
                await bell.receive()


@pytest.mark.parametrize("name", ["revoke-gateway", "issue-claim-code", "replay"])
async def test_an_unknown_gateway_is_told_in_one_line(world: World, name: str) -> None:
    assert await gateway_command(world, name, new_id()) == (1, "larder cloud: not_found: There is nothing here.")


async def test_of_twenty_keys_that_race_for_a_code_one_wins(world: World) -> None:
    _, code = await gateway_command(world, "issue-claim-code")
    rivals = [GatewayClient() for _ in range(20)]
    answers = await asyncio.gather(
        *(world.client.post("/v1/claim", data=rival.wish(code).to_line(), headers=JSON) for rival in rivals)
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, *[403] * 19]
    (winner,) = [rival for rival, answer in zip(rivals, answers, strict=True) if answer.status_code == 200]
    (row,) = await world.rows("SELECT public_key FROM gateways")
    assert row["public_key"] == winner.public_key
