"""amqtt behind its pipes, without sockets."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from amqtt.broker import Broker

from edge import broker as under_test
from edge.broker import BrokerDied, BrokerUnavailable, EmbeddedBroker, Pipe
from tests.fakes import raw_mqtt


class Client:
    """The guard's side of a pipe."""

    def __init__(self) -> None:
        self.packets: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def receive(self) -> bytes:
        async with asyncio.timeout(2):
            return await self.packets.get()


@pytest.fixture
def inbox() -> list[tuple[str, bytes]]:
    return []


@pytest.fixture
async def broker(inbox: list[tuple[str, bytes]]) -> AsyncIterator[EmbeddedBroker]:
    found = EmbeddedBroker(lambda topic, payload: inbox.append((topic, payload)))
    await found.start()
    yield found
    await found.stop()


async def open_pipe(broker: EmbeddedBroker) -> tuple[Client, Pipe]:
    client = Client()
    return client, await broker.open_pipe(client.packets.put_nowait, client.closed.set)


def inside(broker: EmbeddedBroker) -> Broker:
    assert broker._amqtt is not None
    return broker._amqtt


async def test_a_subscriber_gets_what_the_gateway_publishes(broker: EmbeddedBroker) -> None:
    client, pipe = await open_pipe(broker)
    pipe.subscribe(7, ["a/b"])
    assert await client.receive() == b"\x90\x03\x00\x07\x00"
    broker.publish("a/b", b"x")
    assert await client.receive() == raw_mqtt.publish_packet("a/b", b"x")


async def test_what_the_gateway_publishes_has_reached_every_subscriber_and_no_other_at_once(
    broker: EmbeddedBroker,
) -> None:
    readers = [await open_pipe(broker) for _ in range(2)]
    other, elsewhere = await open_pipe(broker)
    for client, pipe in (*readers, (other, elsewhere)):
        pipe.subscribe(1, ["a/c" if pipe is elsewhere else "a/b"])
        await client.receive()
    broker.publish("a/b", b"x")
    for client, _ in readers:
        assert client.packets.get_nowait() == raw_mqtt.publish_packet("a/b", b"x")
    assert other.packets.empty()


async def test_a_session_that_has_ended_gets_nothing_more(broker: EmbeddedBroker) -> None:
    client, pipe = await open_pipe(broker)
    pipe.subscribe(1, ["a/b"])
    await client.receive()
    pipe._reader.push(raw_mqtt.DISCONNECT)
    async with asyncio.timeout(2):
        await client.closed.wait()
    broker.publish("a/b", b"x")
    assert client.packets.empty()


async def test_what_clients_publish_reaches_the_gateway_in_order_and_no_other_client(
    broker: EmbeddedBroker, inbox: list[tuple[str, bytes]]
) -> None:
    other, listening = await open_pipe(broker)
    listening.subscribe(1, ["a/b"])
    await other.receive()
    _, pipe = await open_pipe(broker)
    expected = [("a/b", b"%d" % number) for number in range(500)]
    for topic, payload in expected:
        pipe.publish(topic, payload)
        await pipe.room()
    await pipe.close()
    assert inbox == expected
    broker.publish("a/b", b"from the gateway")
    assert await other.receive() == raw_mqtt.publish_packet("a/b", b"from the gateway")


async def test_a_pipe_takes_no_more_than_its_window(broker: EmbeddedBroker) -> None:
    _, pipe = await open_pipe(broker)
    most = 0
    for _ in range(1000):
        pipe.publish("a", b"x" * 100)
        await pipe.room()
        most = max(most, pipe._undelivered)
    assert most < under_test.WINDOW


async def test_a_closed_pipe_leaves_nothing(broker: EmbeddedBroker) -> None:
    before = asyncio.all_tasks()
    for _ in range(20):
        client, pipe = await open_pipe(broker)
        pipe.subscribe(1, ["a/b"])
        await client.receive()
        pipe.unsubscribe(2, ["a/b"])
        await client.receive()
        pipe.subscribe(3, ["a/b"])
        await client.receive()
        await pipe.close()
        await pipe.close()
        assert client.closed.is_set()
    assert inside(broker).sessions == {}
    assert inside(broker).subscriptions == {}
    assert asyncio.all_tasks() <= before


async def test_a_pipe_that_is_given_up_while_it_opens_leaves_nothing(broker: EmbeddedBroker) -> None:
    for steps in range(30):
        opening = asyncio.create_task(open_pipe(broker))
        for _ in range(steps):
            await asyncio.sleep(0)
        opening.cancel()
        async with asyncio.timeout(1):
            await asyncio.wait({opening})
        if not opening.cancelled():
            await opening.result()[1].close()
    assert inside(broker).sessions == {}
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("amqtt pipe")]


async def test_pipes_come_and_go_while_the_gateway_publishes(broker: EmbeddedBroker) -> None:
    steady, pipe = await open_pipe(broker)
    pipe.subscribe(1, ["steady"])
    await steady.receive()

    async def come_and_go(number: int) -> None:
        for _ in range(10):
            client, pipe = await open_pipe(broker)
            pipe.subscribe(1, [f"topic/{number}"])
            await client.receive()
            await pipe.close()

    guests = asyncio.gather(*(come_and_go(number) for number in range(10)))
    sent = 0
    while not guests.done():
        broker.publish("steady", b"%d" % sent)
        sent += 1
        await asyncio.sleep(0)
    await guests
    received = [await steady.receive() for _ in range(sent)]
    assert received == [raw_mqtt.publish_packet("steady", b"%d" % number) for number in range(sent)]


async def test_only_pipes_are_let_in(broker: EmbeddedBroker) -> None:
    answers: list[bytes] = []
    reader, writer = under_test._PipeReader(), under_test._PipeWriter("stranger", answers.append)
    reader.push(raw_mqtt.connect_packet("stranger"))
    async with asyncio.timeout(2):
        await inside(broker).external_connected(reader, writer, "default")
    assert answers == [b"\x20\x02\x00\x05"]


async def test_nothing_listens(broker: EmbeddedBroker) -> None:
    assert [server.instance for server in inside(broker)._servers.values()] == [None]


async def test_without_a_running_broker(inbox: list[tuple[str, bytes]]) -> None:
    stopped = EmbeddedBroker(lambda topic, payload: inbox.append((topic, payload)))
    with pytest.raises(BrokerUnavailable):
        stopped.publish("a", b"")
    with pytest.raises(BrokerUnavailable):
        await open_pipe(stopped)


async def test_watch_returns_after_stop(inbox: list[tuple[str, bytes]]) -> None:
    broker = EmbeddedBroker(lambda topic, payload: inbox.append((topic, payload)))
    await broker.start()
    watching = asyncio.create_task(broker.watch())
    client, _ = await open_pipe(broker)
    await broker.stop()
    async with asyncio.timeout(1):
        await watching
    assert client.closed.is_set()


async def test_watch_tells_when_amqtt_dies(broker: EmbeddedBroker) -> None:
    watching = asyncio.create_task(broker.watch())
    await asyncio.sleep(0)
    task = inside(broker)._session_monitor_task
    assert task is not None
    task.cancel()
    with pytest.raises(BrokerDied):
        await watching
