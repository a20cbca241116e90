"""Known secrets and card numbers are sent to every route in every way; none is logged, none is kept in plain."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from werkzeug.routing import Rule

from cloud.database import credentials
from shared.upkeep import SettingsReported, SettingsState
from tests.cloud.configuration.test_settings import wanted
from tests.cloud.conftest import Server, World
from tests.cloud.processes import serving

SECRETS = {
    "password": "correct-horse-battery-1",
    "token": "tok-5b1f0c6e9d7a",
    "secret": "shh-77aa19c0d2e4",
    "api_key": "larder_" + "Zx9" * 14 + "Q",
    "authorization": "Bearer bear-31415926535",
    "cookie": "__Host-larder=cook-27182818284",
    "pin": "90817263",
    "code": "claim-16180339887498948",
    "totp": "otp-141421356237",
}
CARDS = ("4111111111111111", "5555 5555 5555 4444", "3782-822463-10005")
PLAIN = [*(secret.removeprefix("Bearer ").removeprefix("__Host-larder=") for secret in SECRETS.values()), *CARDS]

ROWS = """
    SELECT c.table_name AS "table", c.column_name AS "column", c.data_type = 'bytea' AS is_bytes
    FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
    WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'
"""


def ways(rule: Rule, world: World) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Requests to a route: method, path, and what goes with it."""
    known = {"tenant_id": world.seeded.tenant_id, "site_id": world.seeded.site_id}
    known |= {"device_id": world.seeded.machines[0].device_id, "gateway_id": world.seeded.gateway_id}
    for method in sorted((rule.methods or {"GET"}) - {"OPTIONS", "HEAD"}):
        path = rule.rule
        for name in rule.arguments:
            path = path.replace(f"<uuid:{name}>", known.get(name, str(uuid4()))).replace(f"<{name}>", SECRETS["token"])
            path = path.replace(f"<path:{name}>", SECRETS["secret"])
        yield method, path, {"params": SECRETS | {f"q{n}": card for n, card in enumerate(CARDS)}}
        yield method, path, {"headers": {name.replace("_", "-"): value for name, value in SECRETS.items()}}
        yield method, f"{path}/{SECRETS['secret']}/{CARDS[0]}", {}
        for authorisation in (world.operator, world.gateway.authorisation()):
            key = {"Idempotency-Key": str(uuid4())}
            # Whoever has no business there is refused whatever they send: one of it is enough.
            read = method in {"POST", "PUT"} and path.startswith("/v1/sync/") == (authorisation != world.operator)
            for body in [*bodies()][: None if read else 1]:
                yield method, path, {"json": body, "headers": authorisation | key}
            yield method, path, {"data": SECRETS | {"n": CARDS[0]}, "headers": authorisation}
            yield method, path, {"headers": authorisation | {"Idempotency-Key": SECRETS["token"]}, "json": SECRETS}
            yield method, path, {"headers": authorisation | {"Content-Type": "application/json"}, "content": CARDS[1]}


def bodies() -> Iterator[Mapping[str, Any]]:
    """Nonsense, and what each route would take if it did not hold a card's number."""
    yield SECRETS
    yield {name: card for name in ("name", "reason", "digest", "slot", "settings") for card in CARDS}
    yield {"action": "jog", "slot": "A1", "pin": SECRETS["pin"], "expires_in_s": 60}
    yield {"action": "release_zone", "zone": "top"}
    yield {"v": 1, "code": SECRETS["code"], "public_key": "ab" * 32, "software": "0.1.0"}
    for card in CARDS:
        yield {"v": 1, "code": SECRETS["code"], "public_key": "ab" * 32, "software": card}
        yield {"v": 1, "samples": [{"device_id": str(uuid4()), "machine_id": str(uuid4()), "firmware": card}]}


LONG_ANSWERS = ("/openapi.json", "/docs", "/docs/larder-client.zip")


def _client(url: str) -> httpx.AsyncClient:
    """One connection a request: what is refused unread, also closes it."""
    return httpx.AsyncClient(base_url=url, timeout=20, limits=httpx.Limits(max_keepalive_connections=0))


async def send_everything(world: World, client: httpx.AsyncClient) -> set[int]:
    statuses = set()
    for rule in world.app.url_map.iter_rules():
        for method, path, more in ways(rule, world):
            try:
                statuses.add((await client.request(method, path, **more)).status_code)
            except httpx.ReadError:
                # Of a GET nobody reads a body: the server hangs up over it, if need be in the middle of a long answer.
                assert (method, path) in {("GET", long) for long in LONG_ANSWERS}
    return statuses


async def assign_settings(world: World, client: httpx.AsyncClient) -> set[int]:
    """As a device would take them, and once with a card's number."""
    slot = await world.slot()
    secrets = {"wifi": {"ssid": "shop", "password": SECRETS["password"]}, "claim_code": SECRETS["code"]}
    statuses = set()
    for changed in (secrets, secrets | {"wifi": {"ssid": CARDS[0], "password": CARDS[1]}}):
        body = {"settings": wanted(slot, **changed)}
        answer = await client.put(f"/v1/devices/{slot.device_id}/settings", json=body, headers=world.operator)
        statuses.add(answer.status_code)
    assert statuses == {201, 422}
    await client.get("/v1/sync/changes", headers=world.gateway.authorisation())
    return statuses


def told(world: World) -> SettingsReported:
    """A fact with cards' numbers in a text that a device words."""
    machine = world.seeded.machines[0]
    return SettingsReported(
        device_id=UUID(machine.device_id),
        machine_id=UUID(machine.machine_id),
        digest=None,
        state=SettingsState.REFUSED,
        offered="ab" * 32,
        reason=" ".join(CARDS),
    )


async def kept_in_plain(server: Server, url: str) -> dict[str, set[str]]:
    """By column, what of PLAIN stands in it. As a superuser, so all rows of all tables."""
    name = str(credentials(url)["database"])
    connection = await asyncpg.connect(**credentials(server.postgres.url("postgres", name)))
    found: dict[str, set[str]] = {}
    for table, column, is_bytes in await connection.fetch(ROWS):
        text = f"encode({column}, 'escape')" if is_bytes else f"{column}::text"
        holds = f"SELECT FROM {table} WHERE position(plain IN {text}) > 0"
        rows = await connection.fetch(f"SELECT plain FROM unnest($1::text[]) plain WHERE EXISTS ({holds})", PLAIN)  # noqa: S608
        if rows:
            found[f"{table}.{column}"] = {row["plain"] for row in rows}
    await connection.close()
    return found


@pytest.mark.lab
@pytest.mark.criterion("1.3")
@pytest.mark.criterion("4.1")
async def test_nothing_secret_is_logged_or_kept_in_plain(world: World, server: Server, tmp_path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (key := tmp_path / "settings.pem").write_bytes(pem)
    more = {"LARDER_CLOUD_LOG_LEVEL": "debug", "LARDER_CLOUD_SETTINGS_KEY_FILE": str(key)}
    more |= {f"LARDER_CLOUD_RATE_{of}": "100000/1" for of in ("ADDRESS", "ACTOR", "TENANT", "GATEWAY")}
    async with serving(world.url, **more) as cloud, _client(cloud.url) as client:
        statuses = await send_everything(world, client)
        statuses |= await assign_settings(world, client)
        world.gateway.add(told(world))
        pushed = await client.post("/v1/sync/facts", content=world.gateway.packed(), headers=world.gateway.headers())
        assert pushed.status_code == 200
        assert cloud.process.returncode is None
    assert not [status for status in statuses if status >= 500], statuses
    assert {200, 201, 401, 404, 422} <= statuses
    log = "".join(cloud.log)
    assert log.count("\n") > 100
    assert [plain for plain in PLAIN if plain in log] == []
    # A fact's line is kept byte for byte, as it was hashed: to refuse it would stop its gateway from selling.
    month = f"facts_{datetime.now(UTC):%Y_%m}.line"
    assert await kept_in_plain(server, world.url) == {"facts.line": set(CARDS), month: set(CARDS)}
    (report,) = await world.rows("SELECT reason FROM device_settings_reports")
    assert report["reason"] == "*** *** ***"
