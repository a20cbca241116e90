"""The device's MQTT client at the real guard, and at servers that mean no good."""

import asyncio
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.vending import mqtt, packets
from firmware.vending.clock import Clock
from firmware.vending.handshake import CONNACK_S
from firmware.vending.mqtt import MqttClient, MqttError, Refused
from tests.fakes.hostile_broker import CONNACK, Script, hostile_broker, packet
from tests.fakes.mqtt_site import MqttSite, device_id, mqtt_site, token, topic

DEVICE = str(device_id(1))
TOKEN = token(1).decode()


class FastClock(Clock):
    """A clock that a test puts forward."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_ms = 0

    def ms(self) -> int:
        return super().ms() + self.ahead_ms


async def dial(site: MqttSite, clock: Clock | None = None) -> MqttClient:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", site.guard.port, ssl=site.client_tls, server_hostname="gateway.larder"
    )
    return MqttClient(reader, writer, clock or Clock())


async def test_it_logs_in_hears_and_speaks(tmp_path: Path) -> None:
    async with mqtt_site(tmp_path) as site:
        client = await dial(site)
        await client.connect(DEVICE, TOKEN)
        await client.subscribe(topic(1, "cmd"))
        for qos in (0, 1):
            await client.publish(topic(1, "hello"), b"hi %d" % qos, qos)
            message = await site.message()
            assert (message.topic, message.payload) == (topic(1, "hello"), b"hi %d" % qos)
        site.local.publish(topic(1, "cmd"), b"do")
        assert await client.receive(5000) == (topic(1, "cmd"), b"do")
        await client.close()
        await site.until(2)


class BrokenWriter(asyncio.StreamWriter):
    """MicroPython's stream over a connection that was reset: `write` sends at once, and fails at once."""

    def __init__(self) -> None:
        self.is_freed = False

    def write(self, data: object) -> None:
        raise ConnectionResetError

    def close(self) -> None:
        """`wait_closed` does it."""

    async def wait_closed(self) -> None:
        self.is_freed = True

    def __del__(self, warnings: object = None) -> None:
        """Without a transport there is nothing to warn of."""


async def test_a_socket_that_takes_no_goodbye_is_freed_all_the_same() -> None:
    writer = BrokenWriter()
    await MqttClient(asyncio.StreamReader(), writer, Clock()).close()
    assert writer.is_freed


async def test_a_wrong_token_is_refused(tmp_path: Path) -> None:
    async with mqtt_site(tmp_path) as site:
        client = await dial(site)
        with pytest.raises(Refused):
            await client.connect(DEVICE, "0" * 64)
        await client.close()


async def test_another_devices_topic_is_not_granted(tmp_path: Path) -> None:
    async with mqtt_site(tmp_path) as site:
        client = await dial(site)
        await client.connect(DEVICE, TOKEN)
        with pytest.raises(MqttError):
            await client.subscribe(topic(2, "cmd"))
        await client.close()


async def test_receive_ends_in_time_or_when_woken(tmp_path: Path) -> None:
    async with mqtt_site(tmp_path) as site:
        client = await dial(site)
        await client.connect(DEVICE, TOKEN)
        assert await client.receive(20) is None
        client.wake()
        assert await client.receive(60_000) is None
        asyncio.get_running_loop().call_later(0.02, client.wake)
        assert await client.receive(60_000) is None
        await client.close()


async def test_a_quiet_connection_is_pinged_and_a_ping_unanswered_ends_it(tmp_path: Path) -> None:
    pinged = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(CONNACK)
        assert await packet(reader) == packets.PINGREQ_PACKET
        writer.write(b"\xd0\x00")
        assert await packet(reader) == packets.PINGREQ_PACKET
        pinged.set()
        await reader.read()

    clock = FastClock()
    async with hostile_broker(tmp_path, script) as (reader, writer):
        client = MqttClient(reader, writer, clock)
        await client.connect("d", "p")
        clock.ahead_ms += mqtt.PING_EVERY_MS
        assert await client.receive(200) is None
        clock.ahead_ms += mqtt.PING_EVERY_MS
        assert await client.receive(200) is None
        await pinged.wait()
        clock.ahead_ms += mqtt.PING_DEADLINE_MS
        with pytest.raises(MqttError, match="ping unanswered"):
            await client.receive(1000)
        await client.close()


async def hear_all(client: MqttClient) -> None:
    for _ in range(mqtt.MAX_INBOX + 2):
        await client.receive(2000)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x30\x80\x80\x80\x80\x01",
        b"\x30\xff\xff\x03",
        b"\x00\x00",
        b"\x10\x02\x00\x00",
        b"\x30\x01\x00",
        b"\x30\x03\x00\x09x",
        b"\x30\x04\x00\x02\xff\xfe",
        b"\x32\x05\x00\x01x\x00\x01",
        b"\x40\x00",
        b"\x30\x03\x00\x01x" * (mqtt.MAX_INBOX + 1),
        b"".join(b"\x40\x02" + number.to_bytes(2, "big") for number in range(mqtt.MAX_INBOX + 1)),
    ],
    ids=lambda said: said[:8].hex() or "closed",
)
async def test_nonsense_ends_the_connection_and_nothing_else(tmp_path: Path, said: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(CONNACK + said)
        await writer.drain()
        if said:
            await reader.read()

    async with hostile_broker(tmp_path, script) as (reader, writer):
        client = MqttClient(reader, writer, Clock())
        await client.connect("d", "p")
        with pytest.raises(MqttError):
            await hear_all(client)
        await client.close()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def mute_after_login(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await packet(reader)
    writer.write(CONNACK)
    await reader.read()


@pytest.mark.parametrize(("script", "connects"), [(silent, False), (mute_after_login, True)])
async def test_no_answer_is_waited_for_for_ever(tmp_path: Path, script: Script, connects: bool) -> None:
    clock = FastClock()
    async with hostile_broker(tmp_path, script) as (reader, writer):
        client = MqttClient(reader, writer, clock)
        if connects:
            await client.connect("d", "p")
        waiting = asyncio.create_task(client.publish("t", b"x", 1) if connects else client.connect("d", "p"))
        await asyncio.sleep(0.05)
        clock.ahead_ms += CONNACK_S * 1000
        began = time.monotonic()
        client.wake()
        with pytest.raises(MqttError, match="no answer in time"):
            await waiting
        assert time.monotonic() - began < CONNACK_S
        await client.close()


async def test_a_retained_message_is_dropped(tmp_path: Path) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(CONNACK + b"\x31\x04\x00\x01tA" + b"\x30\x04\x00\x01tB")
        await reader.read()

    async with hostile_broker(tmp_path, script) as (reader, writer):
        client = MqttClient(reader, writer, Clock())
        await client.connect("d", "p")
        assert await client.receive(2000) == ("t", b"B")
        await client.close()


@given(st.integers(0, 20_000))
def test_lengths_are_encoded_as_the_standard_says(size: int) -> None:
    packet_bytes = packets.publish("t", bytes(size))
    length, shift, position = 0, 0, 1
    while True:
        digit = packet_bytes[position]
        length |= (digit & 0x7F) << shift
        shift, position = shift + 7, position + 1
        if digit < 0x80:
            break
    assert length == len(packet_bytes) - position == size + 3
