"""What nobody in good faith would send is refused, and is no fault of ours."""

import base64
import json

import pytest

from cloud import cursors
from tests.cloud.conftest import World

DEEP = b"[" * 6000
ANY_ID = "00000000-0000-0000-0000-000000000000"


def packed(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode()


def forged(name: str, sort: str, *position: str) -> str:
    """A cursor that knows all but what a position is."""
    return packed(json.dumps([cursors.VERSION, cursors.mark_of(name, sort, []), *position]).encode())


QUERIES = [
    *(f"/v1/orders?limit={limit}" for limit in ("0000019999", "9" * 31, "9" * 5000, "1e2", "%D9%A1", "", "null")),
    *(f"/v1/orders?{query}" for query in ("limit=1&limit=2", "state=sold", "placed_from=2026-01-01", "nothing=1")),
    *(f"/v1/orders?{query}" for query in ("machine_id=%00", "fields=lines,secret", "fields=", "sort=rail", "%00=1")),
    f"/v1/orders?cursor={packed(DEEP)}",
    *(f"/v1/orders?cursor={packed(text)}" for text in (b"", b"[]", b"{}", b"7", b"[1]", b"\xff", b'[1,"x",{}]')),
    "/v1/orders?cursor=" + "A" * 100_000,
    "/v1/orders?cursor=" + forged("orders", "-placed_at", "0001-01-01T00:00:00+14:00", ANY_ID),
    "/v1/orders?cursor=" + forged("orders", "-placed_at", "9999-12-31T23:59:59-14:00", ANY_ID),
    "/v1/orders?cursor=" + forged("orders", "-placed_at", "2026-01-01T00:00:00Z", "\0"),
    "/v1/orders?cursor=" + forged("orders", "-placed_at", "2026-01-01T00:00:00Z"),
    "/v1/catalog/products?cursor=" + forged("products", "name", "\0", ANY_ID),
    "/v1/catalog/products?cursor=" + forged("products", "name", "\ud800", ANY_ID),
    "/v1/inventory?cursor=" + forged("stock", "machine_id", ANY_ID, "\0"),
    "/v1/inventory?cursor=" + forged("stock", "machine_id", ANY_ID, "\udfff"),
    "/v1/devices?cursor=" + forged("devices", "device_id", "\0"),
]


@pytest.mark.criterion("1.5", "5.5")
async def test_nonsense_in_a_query_is_refused(world: World) -> None:
    for query in QUERIES:
        answer = await world.client.get(query, headers=world.operator)
        assert (answer.status_code, (await answer.get_json())["code"]) == (422, "validation_failed"), query[:80]


async def test_nonsense_for_a_token_opens_nothing(world: World) -> None:
    head, _, signature = world.gateway.token().split(".")
    texts = (DEEP, b"null", b"[]", b"1", b'{"a":' * 2000, b"\xff", json.dumps({"iss": 1}).encode())
    tokens = [f"{head}.{packed(text).rstrip('=')}.{signature}" for text in texts]
    tokens += [f"{packed(text).rstrip('=')}.e30.{signature}" for text in texts]
    tokens += [world.gateway.token(iat=-62135596800), world.gateway.token(exp=253402300799)]
    for token in tokens:
        answer = await world.client.get("/v1/sync/changes", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, token[:80]


async def test_nonsense_for_a_body_is_refused(world: World) -> None:
    gzipped = {"Content-Encoding": "gzip"}
    for path, kind in (("facts", "application/x-ndjson"), ("telemetry", "application/json")):
        headers = world.gateway.authorisation() | {"Content-Type": kind}
        for body, more in ((b"no gzip", gzipped), (b"", gzipped), (DEEP, {}), (b"\xff", {}), (b"", {})):
            answer = await world.client.post(f"/v1/sync/{path}", data=body, headers=headers | more)
            assert (answer.status_code, (await answer.get_json())["code"]) == (400, "malformed_body"), (path, body[:9])


async def test_a_field_that_is_given_twice_is_refused(world: World) -> None:
    headers = world.operator | {"Content-Type": "application/json", "Idempotency-Key": "twice"}
    answer = await world.client.post("/v1/catalog/products", data=b'{"name":"Nuts","name":"Bolts"}', headers=headers)
    assert (await answer.get_json())["errors"] == [{"path": "name", "message": "is given more than once"}]
    assert await world.rows("SELECT 1 FROM products WHERE name = ANY($1)", ["Nuts", "Bolts"]) == []


async def test_a_body_of_another_type_is_not_read(world: World) -> None:
    for path in ("facts", "telemetry"):
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            headers = world.gateway.authorisation() | {"Content-Type": kind}
            answer = await world.client.post(f"/v1/sync/{path}", data=b"{}", headers=headers)
            assert answer.status_code == 415, (path, kind)
