"""Whatever a device says: one log line, no harm, no wait."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from edge.access import Identity, IdentityKind
from edge.catalog.service import CatalogService
from edge.climate.service import ClimateService
from edge.clock import Clock, new_id
from edge.database import Database, Transaction
from edge.devices.rules import EPOCH_LIMIT
from edge.errors import StorageFull
from edge.failpoints import Failpoints
from edge.links import Links
from edge.mqtt import Inbox, LocalMqtt, Message
from edge.mqtt_routes import MqttRoutes
from edge.outbox import Outbox
from edge.payments.service import PaymentService
from edge.watch import Watch
from shared.devices import VendReport, VendResult
from shared.topics import UP, Channel, Topic
from tests.fakes.site import Site, running_site

T = TypeVar("T")
BOOT_ID, NONCE = new_id(), "0123456789abcdef"

GOOD: dict[Channel, dict[str, Any]] = {
    Channel.CLAIM: {"v": 1, "token_sha256": "a" * 64, "command_key": bytes(range(32)).hex()},
    Channel.HELLO: {
        "v": 1,
        "boot_id": str(BOOT_ID),
        "firmware": "1",
        "journal_id": str(uuid4()),
        "epoch": 0,
        "seq": 0,
        "nonce": NONCE,
        "open": [],
    },
    Channel.HEARTBEAT: {"v": 1, "boot_id": str(BOOT_ID), "nonce": NONCE, "uptime_s": 1},
    Channel.STATE: {
        "v": 1,
        "boot_id": str(BOOT_ID),
        "epoch": 1,
        "seq": 1,
        "vend_id": str(uuid4()),
        "state": "unseen",
        "nonce": NONCE,
    },
    Channel.DROP: {"v": 1, "boot_id": str(BOOT_ID), "epoch": 1, "seq": 1, "vend_id": str(uuid4())},
    Channel.OUTCOME: {
        "v": 1,
        "boot_id": str(BOOT_ID),
        "epoch": 1,
        "seq": 1,
        "vend_id": str(uuid4()),
        "slot": None,
        "result": "cancelled",
        "evidence": None,
    },
    Channel.CREDIT: {
        "v": 1,
        "boot_id": str(BOOT_ID),
        "credit_id": str(uuid4()),
        "amount_minor": 100,
        "currency": "INR",
    },
    Channel.STOCK: {"v": 1, "boot_id": str(BOOT_ID), "slot": "A1", "empty": True},
    Channel.SENSOR: {
        "v": 1,
        "boot_id": str(BOOT_ID),
        "zone": "top",
        "condition": "locked",
        "centi_celsius": None,
        "slots": ["A1"],
    },
    Channel.LOG: {
        "v": 1,
        "boot_id": str(BOOT_ID),
        "lines": [{"number": 0, "uptime_ms": 5, "level": "error", "event": "journal_failed", "fields": "{}"}],
    },
    Channel.ANSWER: {"v": 1, "boot_id": str(BOOT_ID), "request_id": str(uuid4()), "state": "done"},
    Channel.SETTINGS: {"v": 1, "boot_id": str(BOOT_ID), "digest": None, "state": "kept"},
    Channel.OTA: {
        "v": 1,
        "boot_id": str(BOOT_ID),
        "running": {"slot": "a", "digest": None, "version": "1.0.0"},
        "state": "valid",
    },
    Channel.ASK: {"v": 1, "boot_id": str(BOOT_ID), "digest": "ab" * 32, "offset": 0, "size": 1536},
}
IDS = {"boot_id", "journal_id", "vend_id", "credit_id", "request_id"}


def spoilt(channel: Channel) -> dict[str, bytes]:
    """Everything that is wrong with a message, by what it is."""
    good = GOOD[channel]
    field = next(name for name in good if name != "v")
    return {
        "empty": b"",
        "not JSON": b"{",
        "not UTF-8": b"\xff\xfe" + json.dumps(good).encode(),
        "not an object": b"[]",
        "null": b"null",
        "unknown field": json.dumps({**good, "extra": 1}).encode(),
        "missing field": json.dumps({name: value for name, value in good.items() if name != field}).encode(),
        "wrong type": json.dumps({**good, field: {"a": []}}).encode(),
        "newer version": json.dumps({**good, "v": 2}).encode(),
        "version as text": json.dumps({**good, "v": "1"}).encode(),
        "not a number": json.dumps({**good, field: float("nan")}).encode(),
        "deep": b'{"v":' * 400,
        "huge": json.dumps({**good, field: "x" * 16_000}).encode(),
    }


FAULTS = [(channel, fault) for channel in GOOD for fault in spoilt(channel)]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as site:
        await site.settle()
        yield site


async def contents(site: Site) -> list[str]:
    """All rows of the ledger."""

    def work(tx: Transaction) -> list[str]:
        tables = [row["name"] for row in tx.all("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        return [f"{table} {tuple(row)}" for table in tables for row in tx.all(f"SELECT * FROM {table}")]  # noqa: S608 - names from the schema

    return await site.database.read(work)


async def say(site: Site, topic: str, payload: bytes) -> list[dict[str, Any]]:
    """Let the gateway hear this; its log lines."""
    with capture_logs() as lines:
        async with asyncio.timeout(2):
            await site.routes.handle(Message(topic, payload, site.clock.monotonic()))
    return [dict(line) for line in lines]


def topic_of(site: Site, channel: Channel) -> str:
    return str(Topic(site.machine_id, site.device_id, channel))


async def test_each_good_message_is_taken(site: Site) -> None:
    site.device.deaf = True
    for channel, good in GOOD.items():
        lines = await say(site, topic_of(site, channel), json.dumps(good).encode())
        assert not [line for line in lines if line["event"] in ("message_refused", "message_not_handled")], channel


async def test_whatever_is_wrong_costs_one_line_and_changes_nothing(site: Site) -> None:
    before, sent = await contents(site), len(site.sent)
    link = site.links.of(Topic(site.machine_id, site.device_id, Channel.HELLO))
    known = (link.nonce, link.key, link.connected)
    for channel, fault in FAULTS:
        topic, payload = topic_of(site, channel), spoilt(channel)[fault]
        lines = await say(site, topic, payload)
        assert [line["event"] for line in lines] == ["message_refused"], (channel, fault)
        assert (lines[0]["topic"], lines[0]["bytes"]) == (topic, len(payload))
        assert len(lines[0]["reason"]) < 400
    assert await contents(site) == before
    assert len(site.sent) == sent
    assert (link.nonce, link.key, link.connected) == known


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "#",
        "larder",
        "larder/v2/{machine}/{device}/hello",
        "larder/v1/{machine}/{device}",
        "larder/v1/{machine}/{device}/hello/more",
        "larder/v1/{machine}/{device}/unheard-of",
        "larder/v1/{MACHINE}/{device}/hello",
        "larder/v1/x/y/hello",
        "larder/v1/+/{device}/hello",
        "$SYS/broker/uptime",
    ],
)
async def test_an_unknown_topic_costs_one_line(site: Site, topic: str) -> None:
    names = {"machine": site.machine_id, "MACHINE": str(site.machine_id).upper(), "device": site.device_id}
    lines = await say(site, topic.format(**names), json.dumps(GOOD[Channel.HELLO]).encode())
    assert [line["event"] for line in lines] == ["message_refused"]


async def test_a_channel_nobody_uses_yet_costs_one_line(site: Site) -> None:
    for channel in UP - GOOD.keys():
        assert [line["event"] for line in await say(site, topic_of(site, channel), b"{}")] == ["message_without_use"]


async def test_no_secret_reaches_the_log(site: Site) -> None:
    hidden = "5ec2e7" * 11
    for field in ("token_sha256", "command_key"):
        payload = json.dumps({**GOOD[Channel.CLAIM], field: hidden}).encode()
        assert hidden not in str(await say(site, topic_of(site, Channel.CLAIM), payload))


async def test_messages_of_a_device_nobody_knows_change_nothing_that_is_sold(site: Site) -> None:
    """The guard lets no such identity through; if one came, it still could not touch stock, vends or devices."""
    stranger = {channel: str(Topic(site.machine_id, uuid4(), channel)) for channel in GOOD}
    kept = ("devices", "dispenses", "orders", "vends", "stock ", "stock_movements")
    before = [row for row in await contents(site) if row.startswith(kept)]
    for channel in GOOD.keys() - {Channel.STOCK, Channel.SENSOR}:
        await say(site, stranger[channel], json.dumps(GOOD[channel]).encode())
    assert [row for row in await contents(site) if row.startswith(kept)] == before


async def test_a_report_of_another_devices_vend_has_no_effect_and_no_answer(site: Site) -> None:
    site.device.slow = True
    view = await site.order("A1")
    await site.settle()
    before, sent = await contents(site), len(site.sent)
    foreign = VendReport(
        boot_id=BOOT_ID,
        epoch=1,
        seq=1,
        vend_id=view.vends[0].vend_id,
        slot="A1",
        result=VendResult.DONE,
        evidence=None,
    )
    await say(site, str(Topic(site.machine_id, uuid4(), Channel.OUTCOME)), foreign.to_line())
    assert await contents(site) == before
    assert [topic for topic, _ in site.sent[sent:] if str(site.device_id) not in topic] == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
changed = st.tuples(st.sampled_from(sorted(GOOD)), st.integers(0, 9), json_values)


async def test_nothing_a_device_can_say_raises(site: Site) -> None:
    heard: list[tuple[str, bytes]] = []

    @settings(max_examples=300, deadline=None, database=None)
    @given(changed)
    def collect(change: tuple[Channel, int, object]) -> None:
        channel, number, value = change
        message = dict(GOOD[channel])
        message[sorted(message)[number % len(message)]] = value
        heard.append((topic_of(site, channel), json.dumps(message).encode()))

    collect()
    site.device.deaf = True
    for topic, payload in heard:
        lines = await say(site, topic, payload)
        assert len([line for line in lines if line["event"] == "message_refused"]) <= 1
    view = await site.orders.count_by_state()
    assert view == {}


class FullDatabase(Database):
    """A ledger on a disk without any room left."""

    async def unit(self, name: str, work: Callable[[Transaction], T]) -> T:
        raise StorageFull


async def test_without_room_nothing_is_acknowledged_and_one_line_says_why(site: Site, tmp_path: Path) -> None:
    sent: list[bytes] = []

    def send(topic: str, payload: bytes) -> None:
        sent.append(payload)

    mqtt = LocalMqtt(send, Inbox(site.clock.monotonic))
    links = Links(mqtt, site.clock, Watch())
    links.connected(Identity(IdentityKind.DEVICE, site.machine_id, site.device_id), print)
    links.of(Topic(site.machine_id, site.device_id, Channel.HELLO)).key = bytes(32)
    full = FullDatabase(tmp_path / "full", Watch(), Failpoints())
    payments = PaymentService(full, CatalogService(Clock(), Outbox(Clock())), Outbox(Clock()), links, Failpoints())
    heard_by = (site.devices, site.dispenses, site.inventory, payments, site.orders, site.parcels, site.upkeep)
    routes = MqttRoutes(mqtt, *heard_by, site.releases, site.climate, links)
    with capture_logs() as lines:
        payload = json.dumps(GOOD[Channel.CREDIT]).encode()
        await routes.handle(Message(topic_of(site, Channel.CREDIT), payload, 0.0))
    assert [(line["event"], line["code"]) for line in lines] == [("message_not_handled", "storage_full")]
    assert sent == []


async def test_what_is_said_once_a_connection_and_was_not_taken_is_asked_for_again(site: Site, tmp_path: Path) -> None:
    """The device tells it with the hello of its next connection."""
    ended: list[str] = []
    link = site.links.of(Topic(site.machine_id, site.device_id, Channel.SENSOR))
    link.hang_up = ended.append
    full = FullDatabase(tmp_path / "full", Watch(), Failpoints())
    mqtt = LocalMqtt(lambda topic, payload: None, Inbox(site.clock.monotonic))
    heard_by = (site.devices, site.dispenses, site.inventory, site.payments, site.orders, site.parcels, site.upkeep)
    climate = ClimateService(full, site.inventory, Outbox(Clock()))
    routes = MqttRoutes(mqtt, *heard_by, site.releases, climate, site.links)
    for channel in (Channel.HEARTBEAT, Channel.SENSOR, Channel.HEARTBEAT):
        assert ended == []
        payload = json.dumps({**GOOD[channel], "boot_id": str(link.boot_id)}).encode()
        await routes.handle(Message(topic_of(site, channel), payload, site.clock.monotonic()))
    assert ended == ["report_unheard"]


async def test_a_hello_of_a_connection_that_was_replaced_opens_nothing(site: Site) -> None:
    """It waited behind a slow ledger; the new connection has not even subscribed yet."""
    site.disconnect()
    site.log_in()
    late = Message(topic_of(site, Channel.HELLO), site.device.hello_line(), site.clock.monotonic())
    site.clock.step(1)
    site.log_in()
    with capture_logs() as lines:
        await site.routes.handle(late)
    assert [line["event"] for line in lines] == ["message_overtaken"]
    assert not site.links.online(site.device_id)


async def test_a_hello_that_was_not_heard_costs_one_more_connection(site: Site) -> None:
    site.disconnect()
    site.log_in()
    beat = json.dumps(GOOD[Channel.HEARTBEAT]).encode()
    await site.routes.handle(Message(topic_of(site, Channel.HEARTBEAT), beat, site.clock.monotonic()))
    assert not site.links.of(Topic(site.machine_id, site.device_id, Channel.HELLO)).connected
    await site.connect()
    await site.settle()
    await site.routes.handle(Message(topic_of(site, Channel.HEARTBEAT), beat, site.clock.monotonic()))
    assert site.links.online(site.device_id)


async def test_a_device_whose_hello_is_refused_is_left_alone(site: Site) -> None:
    site.disconnect()
    site.log_in()
    mad = json.dumps(GOOD[Channel.HELLO] | {"epoch": EPOCH_LIMIT, "seq": 1}).encode()
    await site.routes.handle(Message(topic_of(site, Channel.HELLO), mad, site.clock.monotonic()))
    beat = json.dumps(GOOD[Channel.HEARTBEAT]).encode()
    await site.routes.handle(Message(topic_of(site, Channel.HEARTBEAT), beat, site.clock.monotonic()))
    link = site.links.of(Topic(site.machine_id, site.device_id, Channel.HELLO))
    assert link.connected
    assert not site.links.online(site.device_id)
