"""The shell over HTTP: what it serves, keeps and tells, and what it believes of what it is sent."""

import base64
import json
import re
from collections.abc import AsyncIterator

import pytest
from quart.typing import TestClientProtocol as QuartClient

from cloud.dashboard import flash
from cloud.dashboard.assets import FOREVER, Assets
from cloud.dashboard.links import local
from tests.fakes.gallery_app import Gallery


@pytest.fixture
async def client() -> AsyncIterator[QuartClient]:
    async with Gallery().app().test_app() as running:
        yield running.test_client()


async def text(client: QuartClient, path: str) -> str:
    return str(await (await client.get(path)).get_data(as_text=True))


async def test_what_was_built_is_kept_for_ever_and_pages_never(client: QuartClient) -> None:
    page = await text(client, "/tables")
    named = re.findall(r'"(/assets/[^"]+)"', page)
    assert {name.rpartition(".")[2] for name in named} == {"js", "css", "svg"}
    for name in named:
        answer = await client.get(name)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, FOREVER), name
        assert re.search(r"-[\w-]{8}\.\w+$", name), "its name tells its content"
    assert (await client.get("/tables")).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["manifest.json", "nothing.js", "../shell.py", "..%2Fshell.py"])
async def test_nothing_but_what_was_built_is_served(client: QuartClient, name: str) -> None:
    answer = await client.get(f"/assets/{name}")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "no-store")


def test_what_was_not_built_has_no_address() -> None:
    with pytest.raises(KeyError):
        Assets().url("src/orders.ts")


async def test_a_theme_is_kept(client: QuartClient) -> None:
    answer = await client.post("/theme", form={"theme": "dark", "back": "/tables?sort=-name"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/tables?sort=-name")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-larder-theme=dark;")
    client.set_cookie("localhost", "__Host-larder-theme", "dark")
    assert 'data-theme="dark"' in await text(client, "/login")


async def test_no_theme_is_kept_that_there_is_not_or_that_another_site_chose(client: QuartClient) -> None:
    answer = await client.post("/theme", form={"theme": '"><script>', "back": "//evil.example"})
    assert (answer.headers["Location"], answer.headers.getlist("Set-Cookie")) == ("/", [])
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert "Set-Cookie" not in (await client.post("/theme", form={"theme": "dark"}, headers=headers)).headers
    client.set_cookie("localhost", "__Host-larder-theme", '"><script>')
    assert 'data-theme="system"' in await text(client, "/login")


async def test_what_was_done_is_told_once(client: QuartClient) -> None:
    answer = await client.post("/gallery", form={"email": "<b>@example.com"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/tables")
    cookie = answer.headers["Set-Cookie"]
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}
    client.set_cookie("localhost", flash.COOKIE, cookie.partition("=")[2].partition(";")[0])
    nobody_there = await client.get("/tables", headers={"Larder-By-Itself": "1"})
    assert "is invited" not in await nobody_there.get_data(as_text=True)
    assert "Set-Cookie" not in nobody_there.headers
    told = await client.get("/tables")
    assert "&lt;b&gt;@example.com is invited." in await told.get_data(as_text=True)
    assert f"{flash.COOKIE}=;" in told.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "value", [b"x", b"[]", b'"text"', b'{"text": 1, "tone": "good"}', b'{"text": "a", "tone": []}']
)
async def test_what_nobody_told_is_not_shown(client: QuartClient, value: bytes) -> None:
    client.set_cookie("localhost", flash.COOKIE, base64.urlsafe_b64encode(value).decode())
    page = await client.get("/login")
    assert page.status_code == 200
    assert 'class="toast ' not in await page.get_data(as_text=True)


async def test_a_flash_of_any_length_fits_into_its_cookie(client: QuartClient) -> None:
    answer = await client.post("/gallery", form={"email": "@" + "☃" * 5_000})
    value = answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    assert len(value) < 4000
    assert len(json.loads(base64.urlsafe_b64decode(value))["text"]) == flash.LONGEST


async def test_sorting_keeps_the_rest_of_the_query_and_begins_anew(client: QuartClient) -> None:
    page = await text(client, "/tables?q=a%26b&cursor=x&sort=name")
    assert 'href="/tables?q=a%26b&amp;sort=-name"' in page
    assert 'href="/tables?q=a%26b&amp;sort=sales"' in page
    assert 'href="/tables?q=a%26b&amp;cursor=next&amp;sort=name"' in page


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("/orders?a=b", "/orders?a=b"),
        ("", "/"),
        ("orders", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("https://evil.example", "/"),
    ],
)
def test_a_redirect_stays_on_our_own_pages(address: str, where: str) -> None:
    assert local(address) == where
