"""The orders page: behind a login, with everything on it, and told when to look again."""

import asyncio
import re
from datetime import datetime
from pathlib import Path

import pytest

from cloud.dashboard import wording
from shared.inventory import Reason
from shared.orders import VendOutcome
from tests.cloud.conftest import World

STREAM = {"Accept": "text/event-stream"}
"""As every EventSource says."""

FOLDER = Path(wording.__file__).parent


async def log_in(world: World, **headers: str) -> int:
    answer = await world.client.post("/login", form=world.credentials, headers=headers)
    for cookie in answer.headers.getlist("Set-Cookie"):
        assert cookie.startswith("__Host-larder=")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}
        secret = re.match(r"__Host-larder=([^;]+)", cookie)
        assert secret is not None
        world.client.set_cookie("localhost", "__Host-larder", secret[1])
    return answer.status_code


async def page(world: World, path: str = "/orders") -> str:
    answer = await world.client.get(path)
    assert answer.status_code == 200
    return str(await answer.get_data(as_text=True))


def words(page: str) -> str:
    """What a page says, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))


async def test_without_a_session_there_is_only_the_login(world: World) -> None:
    for path in ("/", "/orders"):
        answer = await world.client.get(path, follow_redirects=True)
        assert "Password" in await answer.get_data(as_text=True)
    assert (await world.client.get("/orders/events")).status_code == 401


async def test_an_empty_page_says_so(world: World) -> None:
    await log_in(world)
    shown = await page(world)
    assert "No orders yet" in shown
    assert "has not been heard yet" in shown


async def test_an_order_is_shown_with_all_that_became_of_it(world: World) -> None:
    slot = await world.slot(1)
    world.gateway.move(slot, 10, Reason.OPENING)
    world.gateway.sell(slot, [VendOutcome.DISPENSED, VendOutcome.AMBIGUOUS])
    await world.acknowledged()
    await log_in(world)
    shown = words(await page(world))
    for part in (
        "settled",
        "Drinks",
        "2 × Salted Peanuts",
        "dispensed",
        "unclear",
        "INR 40.00",
        "given back INR 20.00",
    ):
        assert part in shown, part
    assert f"cloud = gateway up to fact {len(world.gateway.lines)}" in shown


async def test_of_many_gateways_those_with_doubts_are_shown_first(world: World) -> None:
    await world.rows("""
        WITH places AS (
            INSERT INTO sites (tenant_id, id, name, currency)
            SELECT current_setting('app.tenant')::uuid, gen_random_uuid(), 'Place', 'INR' FROM generate_series(1, 30)
            RETURNING tenant_id, id
        ), gateways AS (
            INSERT INTO gateways (tenant_id, id, site_id, name)
            SELECT tenant_id, id, id, 'Gateway ' || row_number() OVER () FROM places RETURNING tenant_id, id, name
        )
        INSERT INTO fact_conflicts (tenant_id, id, gateway_id, epoch, seq, hash, line)
        SELECT tenant_id, id, id, 1, 1, '', '' FROM gateways WHERE name = 'Gateway 30'
    """)
    await log_in(world)
    shown = words((await page(world)).partition("Sync proof")[2])
    assert "25 of 31 gateways" in shown
    assert re.findall(r"Gateway \d+", shown)[0] == "Gateway 30"
    assert "1 contradicted" in shown


async def test_older_orders_are_a_page_away(world: World) -> None:
    slot = await world.slot()
    for _ in range(30):
        world.gateway.sell(slot)
    await world.acknowledged()
    await log_in(world)
    first = await page(world)
    older = re.search(r'href="(/orders\?cursor=[^"]+)"', first)
    assert older is not None
    second = await page(world, older[1])
    assert (first.count('class="lines"'), second.count('class="lines"')) == (25, 5)


async def test_a_wrong_key_or_another_sites_form_opens_nothing(world: World) -> None:
    answer = await world.client.post("/login", form=world.credentials | {"password": world.seeded.tenant_id})
    assert answer.status_code == 401
    assert "do not belong together" in await answer.get_data(as_text=True)
    assert await log_in(world, Origin="https://evil.example") == 403
    assert await log_in(world, Origin="null") == 403
    assert await log_in(world, Origin="null", **{"Sec-Fetch-Site": "same-origin"}) == 303
    assert await log_in(world, **{"Sec-Fetch-Site": "cross-site"}) == 403


async def test_a_session_ends(world: World) -> None:
    for spoil in (
        "UPDATE sessions SET last_seen_at = now() - interval '31 minutes'",
        "UPDATE sessions SET expires_at = now()",
        "DELETE FROM sessions",
        "UPDATE sessions SET secret_sha256 = 'another'",
    ):
        await log_in(world)
        await page(world)
        await world.rows(spoil)
        assert (await world.client.get("/orders")).status_code == 302, spoil


async def test_logging_out_ends_the_session_on_the_server(world: World) -> None:
    await log_in(world)
    assert (await world.client.post("/logout")).status_code == 303
    assert await world.rows("SELECT * FROM sessions") == []


async def test_logging_out_of_a_session_that_has_ended_leads_to_the_login(world: World) -> None:
    await log_in(world)
    await world.rows("DELETE FROM sessions")
    answer = await world.client.post("/logout")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")


async def test_the_stream_tells_when_orders_move(world: World) -> None:
    await log_in(world)
    slot = await world.slot()
    async with asyncio.timeout(20), world.client.request("/orders/events", headers=STREAM) as stream:
        await stream.send_complete()
        assert b"retry" in await stream.receive()
        world.gateway.sell(slot)
        await world.acknowledged()
        while b"event: orders" not in await stream.receive():
            pass
        world.draining.set()


async def idle(world: World, minutes: int) -> datetime:
    rows = await world.rows(
        f"UPDATE sessions SET last_seen_at = now() - interval '{minutes} minutes' RETURNING last_seen_at"  # noqa: S608
    )
    seen: datetime = rows[0]["last_seen_at"]
    return seen


async def test_a_page_left_open_keeps_no_session_alive(world: World) -> None:
    await log_in(world)
    last_seen = await idle(world, 29)
    slot = await world.slot()
    async with asyncio.timeout(20), world.client.request("/orders/events", headers=STREAM) as stream:
        await stream.send_complete()
        assert b"retry" in await stream.receive()
        world.gateway.sell(slot)
        await world.acknowledged()
        while b"event: orders" not in await stream.receive():
            pass
        assert (await world.client.get("/orders", headers={"Larder-By-Itself": "1"})).status_code == 200
        assert await world.rows("SELECT last_seen_at FROM sessions") == [{"last_seen_at": last_seen}]
        await idle(world, 31)
        world.gateway.sell(slot)
        await world.acknowledged()
        while await stream.receive():  # nothing more at its end
            pass
    assert (await world.client.get("/orders")).status_code == 302


async def test_somebody_at_the_page_keeps_the_session_alive(world: World) -> None:
    await log_in(world)
    last_seen = await idle(world, 29)
    await page(world)
    assert (await world.rows("SELECT last_seen_at FROM sessions"))[0]["last_seen_at"] > last_seen


def test_pages_hold_no_inline_script_or_style_and_nothing_from_elsewhere() -> None:
    for template in FOLDER.glob("templates/*.html"):
        text = template.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", text), template
        assert "//" not in text.replace("<!doctype html>", ""), template


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(3050, "INR", "INR 30.50"), (5, "EUR", "EUR 0.05"), (1234567, "INR", "INR 12,345.67"), (500, "JPY", "JPY 500")],
)
def test_money_is_put_into_words(minor: int, currency: str, text: str) -> None:
    assert wording.money(minor, currency) == text
