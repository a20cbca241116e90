"""The gateway's time goes to each device at its connect and once an hour, and never while nobody believes it."""

from datetime import UTC, datetime
from uuid import UUID

from edge.access import Identity, IdentityKind
from edge.devices.sweep import REPEAT_S, TimeSweep
from edge.links import Links
from edge.mqtt import Inbox, LocalMqtt
from edge.watch import Watch
from shared.commands import COMMAND
from shared.topics import Channel, Topic
from shared.upkeep import SetTime
from tests.fakes.site import SteppedClock

MACHINE_ID, DEVICE_ID = UUID(int=1), UUID(int=2)
DEVICE = Identity(IdentityKind.DEVICE, MACHINE_ID, DEVICE_ID)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Desk:
    """A sweep, and what it has told."""

    def __init__(self) -> None:
        self.clock, self.told = SteppedClock(), list[SetTime]()
        self.links = Links(LocalMqtt(self.send, Inbox(self.clock.monotonic)), self.clock, Watch())
        self.sweep = TimeSweep(self.links, self.clock, Watch())

    def send(self, topic: str, payload: bytes) -> None:
        command = COMMAND.validate_json(payload)
        assert isinstance(command, SetTime)
        self.told.append(command)

    def connect(self) -> None:
        self.clock.step(1)
        self.links.connected(DEVICE, print)
        link = self.links.of(Topic(MACHINE_ID, DEVICE_ID, Channel.HELLO))
        link.nonce, link.key = "0" * 16, bytes(32)


def test_a_device_is_told_at_each_connect_and_once_an_hour() -> None:
    desk = Desk()
    desk.clock.learn(NOON, 0)
    desk.connect()
    for _ in range(3):
        desk.sweep.tell()
    assert [told.now - int(NOON.timestamp()) for told in desk.told] in ([0], [1])
    desk.connect()
    desk.sweep.tell()
    assert len(desk.told) == 2
    desk.clock.step(REPEAT_S)
    desk.sweep.tell()
    assert desk.told[2].now - desk.told[0].now >= REPEAT_S


def test_a_time_that_nobody_believes_is_not_told_until_it_is() -> None:
    desk = Desk()
    desk.connect()
    desk.sweep.tell()
    assert not desk.told
    desk.clock.learn(NOON, 0)
    desk.sweep.tell()
    assert len(desk.told) == 1
