"""The kiosk's HTTP API: what it sells, how it is ordered, and what it says to everything else."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import cast
from uuid import uuid4

import httpx
import pytest

from edge.kiosk.problems import Invalid
from shared.catalog import Catalogue, Machines
from shared.contract import Rail
from shared.errors import Code, Problem
from shared.inventory import Reason
from shared.orders import OrderView
from tests.fakes.kiosk_site import KioskSite, order_url, running_kiosk
from tests.fakes.until import until


@pytest.fixture
async def kiosk(tmp_path: Path) -> AsyncIterator[KioskSite]:
    async with running_kiosk(tmp_path) as site:
        yield site


def problem(response: httpx.Response, status: int, code: Code) -> Problem:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found = Problem.model_validate_json(response.content)
    assert (found.status, found.code) == (status, code)
    assert found.request_id == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    return found


async def test_what_is_on_sale(kiosk: KioskSite) -> None:
    machines = Machines.model_validate_json((await kiosk.http.get("/kiosk/v1/machines")).content)
    assert [(machine.machine_id, machine.online) for machine in machines.machines] == [(kiosk.site.machine_id, True)]
    catalogue = Catalogue.model_validate_json((await kiosk.http.get(kiosk.catalogue_url)).content)
    assert [(slot.slot, slot.state, slot.available) for slot in catalogue.slots] == [
        ("A1", "ok", 10),
        ("A2", "ok", 10),
        ("A3", "ok", 10),
    ]


async def test_a_slot_says_why_it_cannot_be_chosen(kiosk: KioskSite) -> None:
    await kiosk.site.move_stock("A1", -10, Reason.WASTE)
    catalogue = Catalogue.model_validate_json((await kiosk.http.get(kiosk.catalogue_url)).content)
    assert [slot.state for slot in catalogue.slots] == ["sold_out", "ok", "ok"]
    kiosk.site.disconnect()
    catalogue = Catalogue.model_validate_json((await kiosk.http.get(kiosk.catalogue_url)).content)
    assert [slot.state for slot in catalogue.slots] == ["offline"] * 3


@pytest.mark.criterion("8.2")
async def test_an_order_from_tap_to_drop(kiosk: KioskSite) -> None:
    placed = await kiosk.place(kiosk.wish("A1"), uuid4())
    assert placed.status_code == 201
    order_id = OrderView.model_validate_json(placed.content).order_id
    states = [body["state"] async for name, body in kiosk.events(f"{order_url(order_id)}/events") if name == "order"]
    assert states[-1] == "settled"
    view = OrderView.model_validate_json((await kiosk.http.get(order_url(order_id))).content)
    assert [vend.outcome for vend in view.vends] == ["dispensed"]
    assert await kiosk.site.stock("A1") == 9


async def test_a_repeat_has_one_effect(kiosk: KioskSite) -> None:
    key = uuid4()
    first = await kiosk.place(kiosk.wish("A1"), key)
    again = await kiosk.place(kiosk.wish("A1"), key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["order_id"] == again.json()["order_id"]
    problem(await kiosk.place(kiosk.wish("A2"), key), 422, Code.IDEMPOTENCY_KEY_REUSED)


async def test_cancel(tmp_path: Path) -> None:
    async with running_kiosk(tmp_path, Rail.CASH) as kiosk:
        order_id = (await kiosk.place(kiosk.wish("A1"), uuid4())).json()["order_id"]
        cancelled = await kiosk.http.post(f"{order_url(order_id)}/cancel")
        assert cancelled.json()["state"] == "cancelled"
        assert (await kiosk.http.post(f"{order_url(order_id)}/cancel")).json()["state"] == "cancelled"


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ({"lines": []}, 422, Code.VALIDATION_FAILED),
        ({"lines": [{"slot": "A1", "quantity": -1}]}, 422, Code.VALIDATION_FAILED),
        ({"lines": [{"slot": "A1", "quantity": 10**9}]}, 422, Code.VALIDATION_FAILED),
        ({"lines": [{"slot": "A1", "quantity": "1"}]}, 422, Code.VALIDATION_FAILED),
        ({"lines": [{"slot": "../etc", "quantity": 1}]}, 422, Code.VALIDATION_FAILED),
        ({"surprise": 1}, 422, Code.VALIDATION_FAILED),
        ({"machine_id": "x"}, 422, Code.VALIDATION_FAILED),
        ({"machine_id": str(uuid4())}, 404, Code.UNKNOWN_MACHINE),
        ({"planogram_version": 7}, 409, Code.PRICE_CHANGED),
        ({"lines": [{"slot": "Z9", "quantity": 1}]}, 422, Code.UNKNOWN_SLOT),
        ({"lines": [{"slot": "A1", "quantity": 10}, {"slot": "A1", "quantity": 1}]}, 409, Code.SOLD_OUT),
    ],
)
async def test_what_is_wrong_with_an_order_is_said(
    kiosk: KioskSite, wish: dict[str, object], status: int, code: Code
) -> None:
    found = problem(await kiosk.place({**kiosk.wish("A1"), **wish}, uuid4()), status, code)
    if code is Code.VALIDATION_FAILED:
        assert found.errors
        assert found.errors[0].path.startswith(next(iter(wish)))
    assert await kiosk.site.orders.count_by_state() == {}


async def test_what_is_no_order_is_refused(kiosk: KioskSite) -> None:
    headers = {"Idempotency-Key": str(uuid4()), "Content-Type": "application/json"}
    post = kiosk.http.post
    url = "/kiosk/v1/orders"
    problem(await post(url, content=b"{", headers=headers), 400, Code.MALFORMED_BODY)
    problem(await post(url, content=b"\xff\xfe", headers=headers), 400, Code.MALFORMED_BODY)
    problem(await post(url, content=b"[" * 9000, headers=headers), 400, Code.MALFORMED_BODY)
    problem(await post(url, content=b" " * 20_000, headers=headers), 413, Code.TOO_LARGE)
    problem(await post(url, json=kiosk.wish("A1")), 400, Code.IDEMPOTENCY_KEY_MISSING)
    problem(await kiosk.place(kiosk.wish("A1"), "not-a-uuid"), 422, Code.VALIDATION_FAILED)
    form = {**headers, "Content-Type": "text/plain"}
    problem(await post(url, content=b"{}", headers=form), 415, Code.UNSUPPORTED_MEDIA_TYPE)
    problem(await kiosk.http.get("/kiosk/v1/nothing"), 404, Code.NOT_FOUND)
    problem(await kiosk.http.delete(url), 405, Code.METHOD_NOT_ALLOWED)
    problem(await kiosk.http.get(order_url(uuid4())), 404, Code.UNKNOWN_ORDER)
    problem(await kiosk.http.get(f"/kiosk/v1/machines/{uuid4()}/catalogue"), 404, Code.UNKNOWN_MACHINE)
    problem(await kiosk.http.get(f"/kiosk/v1/machines/{uuid4()}/events"), 404, Code.UNKNOWN_MACHINE)


async def test_a_chunked_body_is_bounded_too(kiosk: KioskSite) -> None:
    """Refused as soon as it is too long, not when it ends: this one never does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", kiosk.port)
    head = f"POST /kiosk/v1/orders HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: {uuid4()}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    writer.write(b"4100\r\n" + b" " * 0x4100 + b"\r\n")
    async with asyncio.timeout(3):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()


async def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    async with running_kiosk(tmp_path, body_timeout_s=0.2) as kiosk:
        reader, writer = await asyncio.open_connection("127.0.0.1", kiosk.port)
        head = f"POST /kiosk/v1/orders HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: {uuid4()}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
        async with asyncio.timeout(3):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        writer.close()


async def test_nobody_is_served_when_the_device_is_away(kiosk: KioskSite) -> None:
    kiosk.site.disconnect()
    response = await kiosk.place(kiosk.wish("A1"), uuid4())
    problem(response, 503, Code.MACHINE_OFFLINE)
    assert response.headers["retry-after"] == "2"


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "[", ""])
async def test_foreign_names_are_refused(kiosk: KioskSite, host: str) -> None:
    """DNS rebinding: a foreign page that has its own name resolve to the gateway's address."""
    problem(await kiosk.http.get("/kiosk/v1/machines", headers={"Host": host}), 403, Code.FORBIDDEN)


@pytest.mark.parametrize("host", ["kiosk.lan", "KIOSK.LAN:8080", "localhost", "127.0.0.1:1", "192.0.2.1", "[::1]:80"])
async def test_own_names_and_addresses_are_served(kiosk: KioskSite, host: str) -> None:
    assert (await kiosk.http.get("/kiosk/v1/machines", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil.example"}],
)
async def test_foreign_pages_cannot_order(kiosk: KioskSite, headers: dict[str, str]) -> None:
    sent = {"Idempotency-Key": str(uuid4()), **headers}
    problem(await kiosk.http.post("/kiosk/v1/orders", json=kiosk.wish("A1"), headers=sent), 403, Code.FORBIDDEN)
    own = {"Idempotency-Key": str(uuid4()), "Origin": f"http://127.0.0.1:{kiosk.port}"}
    assert (await kiosk.http.post("/kiosk/v1/orders", json=kiosk.wish("A1"), headers=own)).status_code == 201


async def test_the_page_may_load_nothing_foreign(kiosk: KioskSite) -> None:
    for url in ("/", f"/machines/{kiosk.site.machine_id}"):
        page = await kiosk.http.get(url)
        assert page.status_code == 200
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert page.headers["x-content-type-options"] == "nosniff"
    api = await kiosk.http.get("/kiosk/v1/machines")
    assert api.headers["cache-control"] == "no-store"


async def test_a_catalogue_is_followed(kiosk: KioskSite) -> None:
    events = kiosk.events(f"/kiosk/v1/machines/{kiosk.site.machine_id}/events")
    name, first = await anext(events)
    assert (name, first["slots"][0]["available"]) == ("catalogue", 10)
    await kiosk.site.move_stock("A1", -3, Reason.COUNT)
    body = first
    while body["slots"][0]["available"] == 10:
        name, later = await anext(events)
        body = later if name == "catalogue" else body
    assert body["slots"][0]["available"] == 7
    while name != ":":
        name, _ = await anext(events)
    await cast(AsyncGenerator[object, None], events).aclose()
    await until(lambda: kiosk.streams.open == 0)


async def test_a_burst_passes_no_bound(kiosk: KioskSite) -> None:
    """Streams count from when they are asked for, not from when they begin to send."""

    async def never() -> Machines:
        raise AssertionError

    asked = [kiosk.streams.follow("machines", ("none",), never) for _ in range(8)]
    with pytest.raises(Invalid):
        kiosk.streams.follow("machines", ("none",), never)
    asked.clear()
    assert kiosk.streams.open == 0


async def test_streams_are_bounded_and_end_when_the_gateway_stops(kiosk: KioskSite) -> None:
    url = f"/kiosk/v1/machines/{kiosk.site.machine_id}/events"
    async with httpx.AsyncClient(base_url=kiosk.http.base_url, timeout=10, limits=httpx.Limits()) as many:
        readers = [asyncio.create_task(many.get(url)) for _ in range(8)]
        await until(lambda: kiosk.streams.open == 8)
        problem(await kiosk.http.get(url), 429, Code.TOO_MANY_REQUESTS)
        kiosk.streams.stop()
        for response in await asyncio.gather(*readers):
            assert response.text.startswith("event: catalogue\n")
    assert kiosk.streams.open == 0


@pytest.mark.criterion("3.4")
async def test_health(kiosk: KioskSite) -> None:
    assert (await kiosk.http.get("/health/live")).json() == {"live": True}
    ready = await kiosk.http.get("/health/ready")
    assert ready.status_code == 200
    found = ready.json()
    assert (found["ready"], found["broker"], found["ledger"], found["claimed"]) == (True, True, True, False)
    assert found["facts"]["waiting"] == len(await kiosk.site.facts())


@pytest.mark.criterion("3.4")
async def test_a_gateway_that_cannot_sell_is_not_ready(kiosk: KioskSite) -> None:
    kiosk.broker_running = False
    response = await kiosk.http.get("/health/ready")
    assert (response.status_code, response.json()["ready"]) == (503, False)
    kiosk.broker_running = True
    await kiosk.site.database.close()
    response = await kiosk.http.get("/health/ready")
    assert (response.status_code, response.json()["ledger"]) == (503, False)
    assert (await kiosk.http.get("/health/live")).status_code == 200
    problem(await kiosk.http.get("/kiosk/v1/machines"), 500, Code.INTERNAL)


async def test_status_tells_the_ledger_in_figures(kiosk: KioskSite) -> None:
    placed = await kiosk.place(kiosk.wish("A1"), uuid4())
    events = kiosk.events(f"{order_url(placed.json()['order_id'])}/events")
    assert [name async for name, _ in events]
    status = (await kiosk.http.get("/kiosk/v1/status")).json()
    assert status["orders"] == {"settled": 1}
    assert status["stock"][str(kiosk.site.machine_id)]["A1"] == 9
    facts = await kiosk.site.facts()
    assert status["facts"]["seq"] == facts[-1].seq
    assert len(bytes.fromhex(status["facts"]["chain"])) == 32
    assert json.dumps(status)
