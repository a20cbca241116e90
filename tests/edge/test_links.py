"""The gateway's end of each device's link."""

from uuid import UUID

import pytest
from structlog.testing import capture_logs

from edge.access import Identity, IdentityKind
from edge.clock import Clock
from edge.links import LINKS_KEY, UNSIGNED, Links
from edge.mqtt import Inbox, LocalMqtt
from edge.watch import Watch
from shared.commands import COMMAND, mac_of
from shared.devices import Cancel, Dispense
from shared.topics import Channel, Topic

MACHINE_ID, DEVICE_ID, VEND_ID = UUID(int=1), UUID(int=2), UUID(int=3)
DEVICE = Identity(IdentityKind.DEVICE, MACHINE_ID, DEVICE_ID)
CLAIMING = Identity(IdentityKind.CLAIMING_DEVICE, MACHINE_ID, DEVICE_ID)
TOPIC = Topic(MACHINE_ID, DEVICE_ID, Channel.HELLO)
CANCEL = Cancel(epoch=1, seq=2, vend_id=VEND_ID, mac=UNSIGNED)


class Ether:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []
        self.watch = Watch()
        self.links = Links(LocalMqtt(self.send, Inbox(lambda: 0.0)), Clock(), self.watch)

    def send(self, topic: str, payload: bytes) -> None:
        self.published.append((topic, payload))


@pytest.fixture
def ether() -> Ether:
    return Ether()


async def test_only_a_device_that_said_hello_can_be_commanded(ether: Ether) -> None:
    links = ether.links
    assert not links.online(DEVICE_ID)
    links.connected(DEVICE, print)
    assert not links.online(DEVICE_ID)
    links.of(TOPIC).nonce = "0" * 16
    assert links.nonce(DEVICE_ID) == "0" * 16
    links.disconnected(DEVICE, "gone")
    assert links.nonce(DEVICE_ID) is None


async def test_a_new_connection_forgets_the_nonce_of_the_old(ether: Ether) -> None:
    ether.links.connected(DEVICE, print)
    ether.links.of(TOPIC).nonce = "0" * 16
    ether.links.connected(DEVICE, print)
    assert not ether.links.online(DEVICE_ID)


async def test_who_claims_is_no_device_yet(ether: Ether) -> None:
    ether.links.connected(DEVICE, print)
    ether.links.of(TOPIC).nonce = "0" * 16
    ether.links.connected(CLAIMING, print)
    ether.links.disconnected(CLAIMING, "gone")
    assert ether.links.online(DEVICE_ID)


async def test_coming_and_going_wakes_and_a_stranger_going_does_not(ether: Ether) -> None:
    with ether.watch.on(LINKS_KEY) as changed:
        ether.links.connected(DEVICE, print)
        assert changed.is_set()
        changed.clear()
        with capture_logs() as lines:
            ether.links.disconnected(DEVICE, "keep-alive")
        assert changed.is_set()
        changed.clear()
        ether.links.disconnected(Identity(IdentityKind.DEVICE, MACHINE_ID, UUID(int=9)), "gone")
        assert not changed.is_set()
    assert lines[0]["device_id"] == str(DEVICE_ID)
    assert lines[0]["reason"] == "keep-alive"


async def test_a_command_is_signed_with_the_devices_own_key(ether: Ether) -> None:
    key = bytes(range(32))
    ether.links.of(TOPIC).key = key
    dispense = Dispense(epoch=1, seq=2, vend_id=VEND_ID, slot="A1", nonce="0" * 16, mac=UNSIGNED)
    for command in (CANCEL, dispense):
        ether.links.send(MACHINE_ID, DEVICE_ID, command)
        topic, payload = ether.published[-1]
        sent = COMMAND.validate_json(payload)
        assert topic == f"larder/v1/{MACHINE_ID}/{DEVICE_ID}/cmd"
        assert sent.mac == mac_of(key, MACHINE_ID, DEVICE_ID, command)
        assert sent.model_copy(update={"mac": UNSIGNED}) == command


async def test_without_a_key_nothing_is_sent(ether: Ether) -> None:
    with capture_logs() as lines:
        ether.links.send(MACHINE_ID, DEVICE_ID, CANCEL)
    assert ether.published == []
    assert [line["event"] for line in lines] == ["command_without_key"]
