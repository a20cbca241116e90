"""The picture of a product: put, shown, replaced, removed; and whatever is none."""

import asyncio
import base64
import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import httpx
import pytest
from PIL import Image
from quart import Response
from quart.typing import TestClientProtocol as QuartClient

from cloud.clock import new_id
from cloud.database import Database, credentials
from cloud.object_store import NoObject, ObjectStore, path_of
from cloud.objects import Collector
from cloud.pictures.rules import UPLOADS_AT_ONCE, UPLOADS_OF_TENANT, Places
from cloud.pictures.service import PictureLimits
from tests.cloud.conftest import World
from tests.cloud.rival import rival_of
from tests.fakes.memory_objects import memory_objects
from tests.fakes.pictures import MARK, bomb, picture
from tests.fakes.postgres_cloud import cloud_app
from tests.fakes.served import on_a_port

JPEG = {"Content-Type": "image/jpeg"}
LIMITS = PictureLimits(picture_bytes=200_000, picture_pixels=1_000_000, tenant_bytes=500_000)


@dataclass
class Shop:
    """A cloud with small limits and a store that a test can look into."""

    world: World
    client: QuartClient
    store: ObjectStore
    product: str

    @property
    def path(self) -> str:
        return f"/v1/catalog/products/{self.product}/picture"

    async def put(self, content: bytes, headers: dict[str, str] = JPEG, path: str = "") -> Response:
        return await self.client.put(path or self.path, data=content, headers=self.world.operator | headers)

    async def get(self, path: str = "", headers: dict[str, str] | None = None) -> Response:
        return await self.client.get(path or self.path, headers=self.world.operator | (headers or {}))

    async def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        return await self.world.rows(sql, *values)

    async def names(self) -> dict[str, bool]:
        """All files that are known, and whether they are in use."""
        found = await self.rows("SELECT name, kept_until IS NULL AS used FROM stored_objects")
        return {row["name"]: row["used"] for row in found}

    async def is_there(self, name: str) -> bool:
        try:
            await self.store.get(path_of(self.world.tenant_id, name))
        except NoObject:
            return False
        return True


@pytest.fixture
async def shop(world: World) -> AsyncIterator[Shop]:
    store = memory_objects()
    app = cloud_app(world.url, asyncio.Event(), objects=store, picture_limits=LIMITS)
    async with app.test_app() as running:
        rows = await world.rows("SELECT id FROM products ORDER BY name LIMIT 1")
        yield Shop(world, running.test_client(), store, str(rows[0]["id"]))


def digest_of(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


@pytest.mark.criterion("6.4")
async def test_a_picture_is_put_and_shown_in_every_size(shop: Shop) -> None:
    sent = picture(turned=True)
    assert (await shop.get()).status_code == 404
    answer = await shop.put(sent, JPEG | {"Content-Digest": digest_of(sent)})
    told = await answer.get_json()
    assert answer.status_code == 201
    assert (told["sha256"], told["bytes"]) == (hashlib.sha256(sent).hexdigest(), len(sent))
    assert (told["width"], told["height"], told["media_type"]) == (300, 400, "image/jpeg")
    assert [size["size"] for size in told["sizes"]] == ["96", "320", "1024", "full"]
    assert await (await shop.get(f"{shop.path}/description")).get_json() == told
    for size in told["sizes"]:
        shown = await shop.get(size["url"])
        content = await shown.get_data(as_text=False)
        assert (shown.status_code, shown.mimetype) == (200, "image/webp")
        assert (shown.headers["X-Content-Type-Options"], len(content)) == ("nosniff", size["bytes"])
        assert shown.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        assert shown.headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
        assert MARK not in content
        with Image.open(io.BytesIO(content)) as image:
            assert image.size == (size["width"], size["height"])
        seen = await shop.get(size["url"], {"If-None-Match": shown.headers["ETag"]})
        assert (seen.status_code, await seen.get_data(as_text=False)) == (304, b"")
        assert seen.headers["ETag"] == shown.headers["ETag"]
    whole = await shop.get()
    assert whole.headers["Cache-Control"] == "private, no-cache"
    assert not [name for name in await shop.names() if name.startswith("incoming")]


async def test_another_picture_takes_its_place_and_the_files_go_after_a_while(
    shop: Shop, owner_url: str, database: Database
) -> None:
    first = await (await shop.put(picture())).get_json()
    other_product = (await shop.rows("SELECT id FROM products ORDER BY name DESC LIMIT 1"))[0]["id"]
    shared = await shop.put(picture(), path=f"/v1/catalog/products/{other_product}/picture")
    assert (shared.status_code, len(await shop.names())) == (201, 3), "both sizes above 400 pixels are one"
    assert (await shop.put(picture())).status_code == 200
    second = await shop.put(picture("PNG", (40, 40)), {"Content-Type": "image/png"})
    assert second.status_code == 200
    assert (await shop.get(first["sizes"][0]["url"])).status_code == 404
    assert all((await shop.names()).values()), "the other product has it still"
    gone = await shop.client.delete(f"/v1/catalog/products/{other_product}/picture", headers=shop.world.operator)
    assert gone.status_code == 204
    unused = [name for name, used in (await shop.names()).items() if not used]
    assert set(unused) == {size["sha256"] for size in first["sizes"]}
    collector = Collector(database, shop.store)
    assert await collector.collect() == 0
    await _let_pass(owner_url)
    assert await collector.collect() == 3
    assert not [name for name in unused if await shop.is_there(name)]
    assert list((await shop.names()).values()) == [True]
    assert (await shop.get()).status_code == 200
    deeds = await shop.rows("SELECT action FROM audit_entries WHERE action LIKE 'picture%' ORDER BY number")
    assert [row["action"] for row in deeds] == ["picture_put", "picture_put", "picture_put", "picture_removed"]


async def _let_pass(owner_url: str) -> None:
    """An hour."""
    connection = await asyncpg.connect(**credentials(owner_url))
    await connection.execute("ALTER TABLE stored_objects NO FORCE ROW LEVEL SECURITY")
    await connection.execute("UPDATE stored_objects SET kept_until = kept_until - interval '2 hours'")
    await connection.execute("ALTER TABLE stored_objects FORCE ROW LEVEL SECURITY")
    await connection.close()


@pytest.mark.criterion("6.4", "5.2")
async def test_what_is_no_picture_or_one_too_many_is_refused_and_leaves_nothing(shop: Shop) -> None:
    jpeg, png = picture(), {"Content-Type": "image/png"}
    cases: list[tuple[bytes, dict[str, str], int, str]] = [
        (b"", JPEG, 422, "body"),
        (b"\xff\xd8\xff", JPEG, 422, "body"),
        (b"%PDF-1.7 and more", JPEG, 422, "body"),
        (b"<svg xmlns='x'/>....", JPEG, 422, "body"),
        (jpeg, png, 422, "Content-Type"),
        (jpeg[:2000], JPEG, 422, "body"),
        (bomb(20_000, 20_000), png, 422, "body"),
        (jpeg, JPEG | {"Content-Digest": "sha-256=:AAAA:"}, 422, "Content-Digest"),
        (jpeg, JPEG | {"Content-Digest": digest_of(b"else")}, 422, "Content-Digest"),
        (jpeg, {"Content-Type": "image/gif"}, 415, ""),
        (jpeg, {"Content-Type": "application/json"}, 415, ""),
        (jpeg + bytes(LIMITS.picture_bytes), JPEG, 413, ""),
    ]
    for content, headers, status, path in cases:
        answer = await shop.put(content, headers)
        problem = await answer.get_json()
        assert (answer.status_code, answer.mimetype) == (status, "application/problem+json"), problem
        assert [error["path"] for error in problem["errors"]] == ([path] if path else []), problem
    unknown = f"/v1/catalog/products/{shop.world.tenant_id}/picture"
    assert (await shop.put(jpeg, path=unknown)).status_code == 404
    assert await shop.names() == {}
    for query in ("size=97", "size=full&size=96", "sha256=x", "sha256=" + "0" * 64, "more=1"):
        assert (await shop.get(f"{shop.path}?{query}")).status_code in {404, 422}
    assert (await shop.client.delete(shop.path, headers=shop.world.operator)).status_code == 404
    await shop.world.rows(
        "INSERT INTO stored_objects (tenant_id, name, bytes, kept_until) VALUES ($1, $2, $3, NULL)",
        shop.world.tenant_id,
        "f" * 64,
        LIMITS.tenant_bytes - 1000,
    )
    answer = await shop.put(picture())
    assert (answer.status_code, (await answer.get_json())["code"]) == (409, "quota_exceeded")
    assert list(await shop.names()) == ["f" * 64]


@pytest.mark.criterion("1.4")
async def test_nobody_sees_or_moves_another_tenants_picture_nor_a_damaged_one(shop: Shop) -> None:
    rival = await rival_of(shop.world)
    told = await (await shop.put(picture())).get_json()
    paths = [shop.path, f"{shop.path}/description", told["sizes"][0]["url"]]
    for path in paths:
        assert (await shop.client.get(path, headers=rival.headers)).status_code == 404
    mine = await shop.client.put(shop.path, data=picture(), headers=rival.headers | JPEG)
    assert mine.status_code == 404
    assert (await shop.client.delete(shop.path, headers=rival.headers)).status_code == 404
    assert (await shop.get()).status_code == 200
    lost = path_of(shop.world.tenant_id, told["sizes"][0]["sha256"])
    await shop.store.put(lost, b"something else")
    assert (await shop.get(f"{shop.path}?size=96")).status_code == 404
    await shop.store.delete([lost])
    assert (await shop.get(f"{shop.path}?size=96")).status_code == 404


@asynccontextmanager
async def line(shop: Shop, length: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A line to a cloud with the same store, on which the head of an upload has been said."""
    head = (
        f"PUT {shop.path} HTTP/1.1",
        "Host: cloud",
        f"Authorization: {shop.world.operator['Authorization']}",
        "Content-Type: image/jpeg",
        length,
    )
    app = cloud_app(shop.world.url, asyncio.Event(), objects=shop.store, picture_limits=LIMITS)
    async with on_a_port(app) as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n")
        try:
            yield reader, writer
        finally:
            writer.close()


async def known(shop: Shop, *, something: bool) -> None:
    """Wait until there is some file, or none."""
    for _ in range(1000):
        if bool(await shop.names()) is something:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within 10 s")


@pytest.mark.criterion("6.4")
async def test_of_a_client_that_leaves_or_never_ends_nothing_stays(shop: Shop) -> None:
    """In chunks nothing says how much comes; the client hears where it ends, though it has not stopped."""
    async with line(shop, "Content-Length: 100000") as (_, writer):
        writer.write(picture())
        await known(shop, something=True)
        writer.close()
        await known(shop, something=False)
    async with line(shop, "Transfer-Encoding: chunked") as (reader, writer):
        chunk = picture().ljust(50_000, b"\0")
        for _ in range(2 * LIMITS.picture_bytes // len(chunk)):
            writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        await writer.drain()
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
        await known(shop, something=False)


@pytest.mark.criterion("6.4")
async def test_slow_senders_leave_room_for_others(shop: Shop) -> None:
    app = cloud_app(
        shop.world.url, asyncio.Event(), objects=shop.store, picture_limits=replace(LIMITS, tenant_bytes=2_000_000)
    )
    async with on_a_port(app) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as other:
        headers = shop.world.operator | JPEG
        slow = [
            asyncio.create_task(other.put(shop.path, content=stalled(), headers=headers))
            for _ in range(UPLOADS_OF_TENANT)
        ]
        await until_names(shop, UPLOADS_OF_TENANT)
        answer = await other.put(shop.path, content=picture(), headers=headers)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
        for task in slow:
            task.cancel()
        await known(shop, something=False)
        assert (await other.put(shop.path, content=picture(), headers=headers)).status_code == 201


async def stalled() -> AsyncIterator[bytes]:
    """A picture that begins and never ends."""
    yield picture()[:100]
    await asyncio.Event().wait()


async def until_names(shop: Shop, count: int) -> None:
    for _ in range(1000):
        if len(await shop.names()) == count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within 10 s")


def test_places_are_few_for_one_tenant_and_for_all() -> None:
    places, tenants = Places(), [new_id() for _ in range(UPLOADS_AT_ONCE // UPLOADS_OF_TENANT + 1)]
    with ExitStack() as taken:
        for tenant in tenants[:-1]:
            assert all(taken.enter_context(places.one(tenant)) for _ in range(UPLOADS_OF_TENANT))
            assert not taken.enter_context(places.one(tenant))
        assert not taken.enter_context(places.one(tenants[-1]))
    with places.one(tenants[0]) as has_place:
        assert has_place
