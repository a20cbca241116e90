"""The guard in front of a real embedded broker, over real TLS on loopback."""

import asyncio
import gc
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.guard import GuardLimits
from tests.fakes import raw_mqtt
from tests.fakes.mqtt_site import WRONG, MqttSite, device_id, mqtt_site, token, topic
from tests.fakes.raw_mqtt import RawMqtt, connect_packet, publish_packet, subscribe_packet, unsubscribe_packet


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[MqttSite]:
    limits = GuardLimits(connect_within=0.4, authenticate_within=0.4, stall=0.5, slowest_refusal=0.1)
    async with mqtt_site(tmp_path, limits) as found:
        yield found


@pytest.mark.criterion("8.1")
@pytest.mark.criterion("8.2")
async def test_a_device_gets_its_commands_and_is_heard(site: MqttSite) -> None:
    device = await site.device(1)
    site.local.publish(topic(1, "cmd"), b"dispense")
    assert (await device.receive(3)).message() == (topic(1, "cmd"), b"dispense")
    await device.send(publish_packet(topic(1, "hello"), b"here"))
    message = await site.message()
    assert (message.topic, message.payload) == (topic(1, "hello"), b"here")
    await device.ping()
    assert site.events == [("connected", device_id(1), "")]


async def test_commands_reach_their_device_only(site: MqttSite) -> None:
    one, two = await site.device(1), await site.device(2)
    site.local.publish(topic(1, "cmd"), b"for one")
    site.local.publish(topic(2, "cmd"), b"for two")
    assert (await one.receive(3)).message()[1] == b"for one"
    assert (await two.receive(3)).message()[1] == b"for two"


async def test_qos_1_is_acknowledged_and_qos_2_is_not_spoken(site: MqttSite) -> None:
    device = await site.device(1)
    await device.send(publish_packet(topic(1, "outcome"), b"done", qos=1, packet_id=77))
    assert (await device.receive(4)).body == b"\0\x4d"
    assert (await site.message()).payload == b"done"
    await device.send(publish_packet(topic(1, "outcome"), b"done", qos=2, packet_id=78))
    assert await device.is_closed()


async def test_pipelined_qos_1_is_neither_lost_nor_reordered(site: MqttSite) -> None:
    device = await site.device(1)
    packets = [publish_packet(topic(1, "sensor"), b"%d" % n, qos=1, packet_id=n) for n in range(1, 1001)]
    await device.send(b"".join(packets))
    received = [int((await site.message()).payload) for _ in packets]
    acknowledged = [int.from_bytes((await device.receive(4)).body, "big") for _ in packets]
    assert received == acknowledged == list(range(1, 1001))


async def test_what_was_published_before_a_disconnect_arrives(site: MqttSite) -> None:
    for attempt in range(20):
        device = await site.device(1)
        burst = b"".join(publish_packet(topic(1, "log"), b"%d" % n) for n in range(50))
        await device.send(burst + raw_mqtt.DISCONNECT)
        await site.until(2 * attempt + 2)
        assert [int((await site.message()).payload) for _ in range(50)] == list(range(50))
    assert site.events[-1] == ("disconnected", device_id(1), "disconnected")


async def test_a_claiming_device_may_claim_and_no_more(site: MqttSite) -> None:
    device = await site.open()
    assert await device.log_in(str(device_id(1)), b"claim:code") == 0
    assert await device.subscribe(topic(1, "cmd")) == b"\0"
    await device.send(publish_packet(topic(1, "claim"), b"keys"))
    assert (await site.message()).payload == b"keys"
    await device.send(publish_packet(topic(1, "hello"), b"no"))
    assert await device.is_closed()


DENIED = {
    "another device's topic": publish_packet(topic(2, "hello"), b""),
    "a command": publish_packet(topic(1, "cmd"), b""),
    "a retained message": publish_packet(topic(1, "hello"), b"", retain=True),
    "a topic of the system": publish_packet("$SYS/x", b""),
    "a second CONNECT": connect_packet(str(device_id(1)), str(device_id(1)), token(1)),
    "a malformed packet": b"\xf0\x00",
    "a giant": b"\x30\xff\xff\xff\x7f",
    "a subscription with a used packet id": subscribe_packet(9, topic(1, "cmd")) * 2,
}


@pytest.mark.parametrize("data", DENIED.values(), ids=DENIED.keys())
async def test_misbehaviour_after_login_ends_the_connection(site: MqttSite, data: bytes) -> None:
    device = await site.device(1)
    await device.send(data)
    assert await device.is_closed()
    await site.until(2)
    assert site.events[-1][2] in {"denied", "malformed"}


@pytest.mark.parametrize("pattern", ["#", "+/+/+/+/cmd", topic(2, "cmd"), topic(1, "hello"), "$SYS/#"])
async def test_a_foreign_subscription_is_refused_and_delivers_nothing(site: MqttSite, pattern: str) -> None:
    device, other = await site.device(1, subscribe=False), await site.device(2)
    assert await device.subscribe(pattern) == b"\x80"
    site.local.publish(topic(2, "cmd"), b"secret")
    await other.receive(3)
    await device.ping()


async def test_of_several_filters_only_the_own_one_is_granted(site: MqttSite) -> None:
    device = await site.device(1, subscribe=False)
    assert await device.subscribe("#", topic(1, "cmd"), topic(2, "cmd")) == b"\x80\0\x80"
    site.local.publish(topic(1, "cmd"), b"once")
    await device.receive(3)
    await device.ping()


async def test_after_an_unsubscribe_nothing_comes(site: MqttSite) -> None:
    device = await site.device(1)
    for packet_id, pattern in ((5, topic(1, "cmd")), (6, "#")):
        await device.send(unsubscribe_packet(packet_id, pattern))
        assert (await device.receive(11)).body == bytes((0, packet_id))
    site.local.publish(topic(1, "cmd"), b"x")
    await device.ping()


ME = str(device_id(1))
REFUSED = {
    "wrong password": (connect_packet(ME, ME, WRONG), 5),
    "unknown device": (connect_packet("x", "x", token(1)), 5),
    "no credentials": (connect_packet(ME), 4),
    "no password": (connect_packet(ME, ME), 4),
    "client id of another": (connect_packet(str(device_id(2)), ME, token(1)), 2),
    "no client id": (connect_packet("", ME, token(1)), 2),
    "protocol level 3": (connect_packet(ME, ME, token(1), level=3), 1),
    "protocol level 5": (connect_packet(ME, ME, token(1), level=5), 1),
    "will elsewhere": (connect_packet(ME, ME, token(1), will=(topic(2, "offline"), b"")), 5),
    "will on another channel": (connect_packet(ME, ME, token(1), will=(topic(1, "state"), b"")), 5),
    "retained will": (connect_packet(ME, ME, token(1), will=(topic(1, "offline"), b""), will_retain=True), 5),
}


@pytest.mark.parametrize(("data", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_refused_logins(site: MqttSite, data: bytes, code: int) -> None:
    client = await site.open()
    await client.send(data)
    assert (await client.receive(2)).body == bytes((0, code))
    assert await client.is_closed()
    assert site.events == []


async def test_a_slow_authenticator_is_answered_by_server_unavailable(site: MqttSite) -> None:
    site.logins.delay = 10
    client = await site.open()
    assert await client.log_in(ME, token(1)) == 3


async def test_a_refused_login_does_not_disturb_the_device_that_is_in(site: MqttSite) -> None:
    device = await site.device(1)
    client = await site.open()
    assert await client.log_in(ME, WRONG) == 5
    await device.ping()
    assert site.events == [("connected", device_id(1), "")]


async def test_failed_logins_are_answered_later_and_later_but_good_ones_at_once(tmp_path: Path) -> None:
    async with mqtt_site(tmp_path, GuardLimits(slowest_refusal=30)) as site:
        failing = [await site.open() for _ in range(6)]
        answers = [asyncio.create_task(client.log_in(ME, WRONG)) for client in failing]
        honest = await site.device(1)
        await honest.ping()
        assert not any(answer.done() for answer in answers[1:])
        assert await answers[0] == 5
        for answer in answers:
            answer.cancel()


@pytest.mark.parametrize("data", [b"", b"\x10", raw_mqtt.connect_packet(ME, ME, token(1))[:-1]])
async def test_no_whole_connect_in_time(site: MqttSite, data: bytes) -> None:
    client = await site.open()
    await client.send(data)
    assert await client.is_closed()


@pytest.mark.parametrize("data", [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n", raw_mqtt.PINGREQ])
async def test_no_tls_in_time(site: MqttSite, data: bytes) -> None:
    client = await site.open(tls=False)
    await client.send(data)
    assert await client.is_closed()


async def test_a_first_packet_that_is_no_connect(site: MqttSite) -> None:
    client = await site.open()
    await client.send(raw_mqtt.PINGREQ)
    assert await client.is_closed()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_tls_1_1_is_refused(site: MqttSite) -> None:
    site.client_tls.minimum_version = ssl.TLSVersion.TLSv1_1
    site.client_tls.maximum_version = ssl.TLSVersion.TLSv1_1
    site.client_tls.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await site.open()
    site.client_tls.maximum_version = ssl.TLSVersion.TLSv1_2
    await site.device(1)


async def test_a_new_login_takes_over(site: MqttSite) -> None:
    old = await site.device(1)
    new = await site.device(1)
    assert await old.is_closed()
    site.local.publish(topic(1, "cmd"), b"x")
    assert (await new.receive(3)).message()[1] == b"x"
    me = device_id(1)
    assert site.events == [("connected", me, ""), ("disconnected", me, "taken_over"), ("connected", me, "")]


async def test_a_storm_of_take_overs_ends_with_one_that_works(site: MqttSite) -> None:
    async def log_in() -> RawMqtt | None:
        try:
            return await site.device(1)
        except (OSError, asyncio.IncompleteReadError):
            return None

    for _ in range(5):
        clients = [client for client in await asyncio.gather(*(log_in() for _ in range(12))) if client]
        site.local.publish(topic(1, "cmd"), b"x")
        alive = [client for client in clients if not client.reader.at_eof()]
        got = await asyncio.gather(*(client.receive(3) for client in alive), return_exceptions=True)
        assert sum(isinstance(found, raw_mqtt.Received) for found in got) == 1
    kinds = [kind for kind, _, _ in site.events]
    assert kinds == ["connected", "disconnected"] * (len(kinds) // 2) + ["connected"]


async def test_callbacks_stay_in_turn_when_one_that_waits_is_itself_taken_over(site: MqttSite) -> None:
    site.pipes.delay = 0.2
    await site.device(1)
    waiting = [asyncio.create_task(site.device(1)) for _ in range(2)]
    done, _ = await asyncio.wait(waiting)
    assert sum(task.exception() is None for task in done) == 1
    me = device_id(1)
    assert site.events == [("connected", me, ""), ("disconnected", me, "taken_over"), ("connected", me, "")]


async def test_a_delivery_the_access_list_forbids_is_dropped(site: MqttSite) -> None:
    device, other = await site.device(1), await site.device(2)
    amqtt = site.broker._amqtt
    assert amqtt is not None
    for session, _ in list(amqtt.sessions.values()):
        await amqtt.add_subscription((topic(2, "cmd"), 0), session)
    site.local.publish(topic(2, "cmd"), b"secret")
    await other.receive(3)
    await device.ping()


async def test_the_will_is_heard_when_the_connection_breaks(site: MqttSite) -> None:
    device = await site.device(1, will=(topic(1, "offline"), b"gone"))
    await device.close()
    message = await site.message()
    assert (message.topic, message.payload) == (topic(1, "offline"), b"gone")
    await site.until(2)
    assert site.events[-1] == ("disconnected", device_id(1), "connection_lost")


async def test_no_will_after_disconnect_or_take_over(site: MqttSite) -> None:
    device = await site.device(1, will=(topic(1, "offline"), b"gone"))
    await site.device(1, will=(topic(1, "offline"), b"gone"))
    assert await device.is_closed()
    device = await site.device(1, will=(topic(1, "offline"), b"gone"))
    await device.send(raw_mqtt.DISCONNECT)
    await site.until(6)
    await (await site.device(1)).send(publish_packet(topic(1, "hello"), b"next"))
    assert (await site.message()).payload == b"next"


async def test_a_silent_device_is_cut_after_one_and_a_half_keep_alives(site: MqttSite) -> None:
    device = await site.device(1, keep_alive=1)
    begin = asyncio.get_running_loop().time()
    await site.until(2)
    assert site.events[-1] == ("disconnected", device_id(1), "silent")
    assert asyncio.get_running_loop().time() - begin < 1.5
    assert await device.is_closed()


async def test_a_device_that_pings_stays(site: MqttSite) -> None:
    device = await site.device(1, keep_alive=1)
    for _ in range(3):
        await asyncio.sleep(0.9)
        await device.ping()
    assert len(site.events) == 1


async def test_half_a_packet_is_no_sign_of_life(site: MqttSite) -> None:
    device = await site.device(1, keep_alive=1)
    for byte in publish_packet(topic(1, "log"), b"x" * 50)[:6]:
        await device.send(bytes([byte]))
        await asyncio.sleep(0.25)
    assert await device.is_closed()
    assert site.events[-1][2] == "silent"


async def test_a_device_that_never_reads_is_cut_and_others_go_on(site: MqttSite) -> None:
    deaf, other = await site.device(1), await site.device(2)
    deaf.stop_reading()
    for _ in range(1000):
        site.local.publish(topic(1, "cmd"), b"x" * 4000)
        if len(site.events) > 2:
            break
    await site.until(3)
    assert site.events[-1][:2] == ("disconnected", device_id(1))
    assert site.events[-1][2] in {"stalled", "overflow"}
    await other.ping()
    await deaf.close()


async def test_a_dropped_device_is_out(site: MqttSite) -> None:
    device, other = await site.device(1), await site.device(2)
    await site.guard.drop(device_id(1), "revoked")
    assert site.events[-1] == ("disconnected", device_id(1), "revoked")
    assert await device.is_closed()
    await other.ping()


async def test_a_device_that_is_just_logging_in_is_dropped_too(site: MqttSite) -> None:
    site.logins.delay = 0.2
    client = await site.open()
    await client.send(connect_packet(ME, ME, token(1)))
    await asyncio.sleep(0.1)
    await site.guard.drop(device_id(1), "revoked")
    assert await client.is_closed()
    assert site.events == []


async def test_stop_tells_everyone_and_leaves_nothing(tmp_path: Path) -> None:
    async with mqtt_site(tmp_path) as site:
        devices = [await site.device(number) for number in range(5)]
        waiting = await site.open(tls=False)
        await site.guard.stop()
        assert [kind for kind, _, _ in site.events] == ["connected"] * 5 + ["disconnected"] * 5
        assert {reason for _, _, reason in site.events[5:]} == {"stopping"}
        for client in [*devices, waiting]:
            assert await client.is_closed()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_the_address_limit_spares_those_who_are_in(tmp_path: Path) -> None:
    async with mqtt_site(tmp_path, GuardLimits(connections_per_address=4)) as site:
        devices = [await site.device(number) for number in range(3)]
        idle = [socket.create_connection(("127.0.0.1", site.guard.port)) for _ in range(20)]
        late = await site.device(4)
        for device in [*devices, late]:
            await device.ping()
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await site.device(5)
        for sock in idle:
            sock.close()


async def test_closed_connections_are_freed_without_the_collector(site: MqttSite) -> None:
    gc.collect()
    gc.disable()
    try:
        for number in range(3):
            await (await site.device(number)).close()
            await (await site.open()).close()
            await (await site.open(tls=False)).close()
        for data in (b"", b"no TLS"):
            client = await site.open(tls=False)
            await client.send(data)
            assert await client.is_closed()
        await site.until(6)
        await asyncio.sleep(0.1)
        left = [found for found in gc.get_objects() if isinstance(found, SSLProtocol) and found._server_side]
        assert left == []
    finally:
        gc.enable()


async def test_a_flood_of_packets_lets_others_have_their_turn(site: MqttSite) -> None:
    device = await site.device(1)
    device.writer.write(raw_mqtt.PINGREQ * 50_000)
    turns = answered = 0
    reading = asyncio.create_task(device.reader.read(100_000))
    while answered < 100_000:
        await asyncio.sleep(0)
        turns += 1
        if reading.done():
            answered += len(reading.result())
            reading = asyncio.create_task(device.reader.read(100_000))
    reading.cancel()
    assert turns > 2_000
