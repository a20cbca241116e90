"""The gateway's own end: the inbox and what it may publish."""

import asyncio
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from edge.mqtt import Inbox, LocalMqtt, Message
from shared.topics import Channel, Topic

DEVICE = (UUID("01890000-0000-7000-8000-000000000001"), UUID("01890000-0000-7000-8000-00000000000a"))


class Sender:
    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    def send(self, topic: str, payload: bytes) -> None:
        self.sent.append((topic, payload))


async def test_messages_come_in_order_with_their_time() -> None:
    times = iter([1.0, 2.0])
    inbox = Inbox(lambda: next(times))
    local = LocalMqtt(Sender().send, inbox)
    inbox.put("a", b"1")
    inbox.put("b", b"2")
    messages = local.messages()
    assert [await anext(messages), await anext(messages)] == [Message("a", b"1", 1.0), Message("b", b"2", 2.0)]
    await messages.aclose()


async def test_a_reader_waits_for_the_next_message() -> None:
    inbox = Inbox(lambda: 0.0)
    reading = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put("a", b"")
    assert (await reading).topic == "a"


async def test_a_device_that_says_too_much_loses_its_newest_and_each_spell_is_logged_once() -> None:
    inbox = Inbox(lambda: 0.0, limit=2)
    topic = str(Topic(*DEVICE, Channel.HEARTBEAT))
    with capture_logs() as logs:
        for number in range(5):
            inbox.put(topic, b"%d" % number)
        assert [(await inbox.get()).payload for _ in range(2)] == [b"0", b"1"]
        inbox.put(topic, b"5")
        assert (await inbox.get()).payload == b"5"
        for number in range(6, 9):
            inbox.put(topic, b"%d" % number)
    assert inbox.dropped == 4
    assert [entry["event"] for entry in logs] == ["inbox_full", "inbox_flows_again", "inbox_full"]
    assert logs[1]["dropped"] == 3
    assert {entry["device_id"] for entry in logs} == {str(DEVICE[1])}


async def test_a_device_that_floods_takes_no_turn_of_another() -> None:
    inbox = Inbox(lambda: 0.0, limit=4)
    for number in range(100):
        inbox.put("m/flooding/heartbeat", b"%d" % number)
    for number in range(2):
        inbox.put("m/honest/credit", b"%d" % number)
        inbox.put("m/other/outcome", b"%d" % number)
    handled = [await inbox.get() for _ in range(8)]
    assert [(message.topic.split("/")[1], message.payload) for message in handled] == [
        ("flooding", b"0"),
        ("honest", b"0"),
        ("other", b"0"),
        ("flooding", b"1"),
        ("honest", b"1"),
        ("other", b"1"),
        ("flooding", b"2"),
        ("flooding", b"3"),
    ]
    assert inbox.dropped == 96


async def test_the_topics_of_a_device_share_one_queue() -> None:
    inbox = Inbox(lambda: 0.0)
    for channel in (Channel.HELLO, Channel.STATE, Channel.OUTCOME):
        inbox.put(str(Topic(*DEVICE, channel)), b"")
    inbox.put(str(Topic(DEVICE[0], DEVICE[0], Channel.HELLO)), b"")
    channels = [(await inbox.get()).topic.rpartition("/")[2] for _ in range(4)]
    assert channels == ["hello", "hello", "state", "outcome"]


async def test_commands_are_published() -> None:
    sender = Sender()
    topic = str(Topic(*DEVICE, Channel.COMMAND))
    LocalMqtt(sender.send, Inbox(lambda: 0.0)).publish(topic, b"x")
    assert sender.sent == [(topic, b"x")]


@pytest.mark.parametrize("topic", ["#", "", "larder/v1/x/y/cmd", str(Topic(*DEVICE, Channel.HELLO))])
async def test_anything_else_is_a_mistake(topic: str) -> None:
    sender = Sender()
    with pytest.raises(ValueError, match="does not publish"):
        LocalMqtt(sender.send, Inbox(lambda: 0.0)).publish(topic, b"x")
    assert sender.sent == []
