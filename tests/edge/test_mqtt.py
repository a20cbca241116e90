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


async def test_a_full_inbox_drops_the_newest_counts_it_and_logs_each_spell_once() -> None:
    inbox = Inbox(lambda: 0.0, limit=2)
    with capture_logs() as logs:
        for number in range(5):
            inbox.put("a", b"%d" % number)
        assert [(await inbox.get()).payload for _ in range(2)] == [b"0", b"1"]
        inbox.put("a", b"5")
        assert (await inbox.get()).payload == b"5"
        for number in range(6, 9):
            inbox.put("a", b"%d" % number)
    assert inbox.dropped == 4
    assert [entry["event"] for entry in logs] == ["inbox_full", "inbox_flows_again", "inbox_full"]
    assert logs[1]["dropped"] == 3


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
