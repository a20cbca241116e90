"""The claim: single use, within its life, safe to repeat, and all that a code can do."""

from datetime import timedelta

from cloud.auth.service import revoke_gateway
from cloud.callers import system
from cloud.clock import Clock
from cloud.database import Transaction
from cloud.onboarding import service as onboarding
from tests.cloud.conftest import JSON, World, claim
from tests.fakes.gateway_client import GatewayClient

NEWER = b'{"v": 2, "code": "%s", "public_key": "%s", "software": "1"}' % (b"A" * 27, b"0" * 64)


async def refusal(world: World, gateway: GatewayClient, code: str) -> tuple[int, str, str]:
    answer = await world.client.post("/v1/claim", data=gateway.wish(code).to_line(), headers=JSON)
    problem = await answer.get_json()
    return answer.status_code, problem["code"], problem["detail"]


async def test_the_same_key_gets_the_same_answer_again(world: World) -> None:
    before = world.gateway.claimed
    await claim(world.client, world.gateway, world.seeded.gateway_claim_code)
    assert before is not None
    assert world.gateway.claimed is not None
    assert world.gateway.claimed.gateway_id == before.gateway_id


async def test_refusals_differ_by_code_alone(world: World) -> None:
    other = GatewayClient()
    used = await refusal(world, other, world.seeded.gateway_claim_code)
    unknown = await refusal(world, other, "A" * 27)
    await world.rows("UPDATE claim_codes SET used_by = NULL, expires_at = now() - interval '1 second'")
    expired = await refusal(world, other, world.seeded.gateway_claim_code)
    assert [found[:2] for found in (used, unknown, expired)] == [
        (403, "claim_code_used"),
        (403, "claim_code_unknown"),
        (403, "claim_code_expired"),
    ]
    assert used[2] == unknown[2] == expired[2]


async def test_an_old_code_cannot_take_back_a_gateway_claimed_anew(world: World) -> None:
    assert world.gateway.claimed is not None
    gateway_id = world.gateway.claimed.gateway_id

    async def issue(transaction: Transaction) -> str:
        return await onboarding.issue_claim_code(
            transaction, system("test"), world.tenant_id, gateway_id, Clock().now()
        )

    fresh = GatewayClient()
    await claim(world.client, fresh, await world.do(issue))
    assert (await refusal(world, world.gateway, world.seeded.gateway_claim_code))[1] == "claim_code_used"
    changes = "/v1/sync/changes"
    assert (await world.client.get(changes, headers=fresh.authorisation())).status_code == 200
    assert (await world.client.get(changes, headers=world.gateway.authorisation())).status_code == 401


async def test_codes_are_kept_hashed_and_live_a_day_at_most(world: World) -> None:
    (row,) = await world.rows("SELECT secret_sha256, expires_at - created_at AS life FROM claim_codes")
    assert world.seeded.gateway_claim_code not in str(row)
    assert len(world.seeded.gateway_claim_code) * 6 >= 128
    assert row["life"] <= timedelta(hours=24)


async def test_bad_claims_are_told_what_is_wrong(world: World) -> None:
    cases: list[tuple[bytes, int, str, list[str] | None]] = [
        (b"{", 400, "malformed_body", []),
        (b"{}", 422, "validation_failed", ["code", "public_key", "software"]),
        (NEWER, 422, "unknown_version", ["v"]),
        (b'{"code": 7, "public_key": "x", "software": "1", "extra": 1}', 422, "validation_failed", None),
        (b" " * 70_000, 413, "too_large", []),
    ]
    for body, status, code, paths in cases:
        answer = await world.client.post("/v1/claim", data=body, headers=JSON)
        problem = await answer.get_json()
        assert (answer.status_code, problem["code"]) == (status, code)
        assert answer.mimetype == "application/problem+json"
        assert problem["request_id"] == answer.headers["X-Request-Id"]
        assert paths is None or [error["path"] for error in problem["errors"]] == paths


async def test_a_revoked_gateway_is_refused_at_once(world: World) -> None:
    assert world.gateway.claimed is not None
    gateway_id = world.gateway.claimed.gateway_id

    async def revoke(transaction: Transaction) -> None:
        await revoke_gateway(transaction, gateway_id, Clock().now())

    assert (await world.client.get("/v1/sync/changes", headers=world.gateway.authorisation())).status_code == 200
    await world.do(revoke)
    problem = await world.refused("/v1/sync/changes", world.gateway.authorisation())
    assert problem["code"] == "gateway_revoked"
