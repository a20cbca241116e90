"""Multicast DNS: our small codec against zeroconf's, and both sides finding each other on loopback."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf._dns import DNSQuestion
from zeroconf._protocol.incoming import DNSIncoming

from edge.clock import Clock as GatewayClock
from edge.discovery import Discovery
from firmware.simulator.board import SimulatedBoard
from firmware.simulator.coil import Habits
from firmware.vending import announcer, discovery, dns, rules
from firmware.vending.borrowed import PACKAGE, borrow, give_back
from firmware.vending.clock import Clock
from firmware.vending.errands import Parts
from firmware.vending.hardware import Hardware
from tests.fakes.device_settings import SETTINGS
from tests.fakes.set_clock import SetClock
from tests.fakes.until import until

DEVICE = UUID("01890000-0000-7000-8000-000000000001")
GATEWAY = UUID("01890000-0000-7000-8000-000000000002")
PORT = 18_883


ACCEPTED = ("A", 1, 1, "01890000-0000-7000-8000-000000000003", "A1")


def parts_of(board: Hardware, clock: Clock) -> Any:
    """What the announcer is given of a device at which nothing happens."""
    settings = SETTINGS._replace(device_id=str(DEVICE))
    idle = {"journal": SimpleNamespace(state=rules.EMPTY), "errands": SimpleNamespace(held=0)}
    return Parts(**dict.fromkeys(Parts._fields) | idle | {"settings": settings, "board": board, "clock": clock})


@pytest.fixture
def board(tmp_path: Path) -> SimulatedBoard:
    return SimulatedBoard(SETTINGS._replace(device_id=str(DEVICE)), tmp_path, Habits())


async def test_gateway_and_device_find_each_other(board: SimulatedBoard) -> None:
    gateway = Discovery(GATEWAY, PORT, ["127.0.0.1"], GatewayClock())
    device = announcer.announce(parts_of(board, Clock()))
    tasks = [asyncio.create_task(gateway.run()), asyncio.create_task(device)]
    try:
        await until(lambda: gateway.health().advertised)
        # Another test's gateway may be on the same loopback.
        async with asyncio.timeout(20):
            while ("127.0.0.1", PORT) not in await discovery.find_gateways(board, Clock()):
                pass
        await until(lambda: gateway.health().devices > 0)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class DeafWire(socket.socket):
    """A socket that says nothing and on which nobody answers."""

    def sendto(self, *data: object) -> int:
        return 0

    def recvfrom(self, size: int, flags: int = 0) -> tuple[bytes, object]:
        raise BlockingIOError


class LonelyBoard(Hardware):
    """A board on a network where nobody answers."""

    def open_udp(self, port: int) -> socket.socket:
        return DeafWire(socket.AF_INET, socket.SOCK_DGRAM)


class TalkativeWire(DeafWire):
    """On which the same datagram comes at every look; `told` is what the device says."""

    heard = b""

    def __init__(self) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM)
        self.told: list[object] = []
        self.looks = 0

    def sendto(self, *data: object) -> int:
        self.told.append(data[0])
        return 0

    def recvfrom(self, size: int, flags: int = 0) -> tuple[bytes, object]:
        self.looks += 1
        if not self.heard:
            raise BlockingIOError
        return self.heard, None


class TalkativeBoard(Hardware):
    """In a network at once; it opens its wire as the ESP32 does, with a module of its own."""

    def __init__(self) -> None:
        self.wire = TalkativeWire()
        self.own_address: str | None = "10.0.0.2"
        self.errors: list[Exception] = []
        """What opening the wire ends with, until there is none left."""

    def open_udp(self, port: int) -> socket.socket:
        borrow("sockets")
        if self.errors:
            raise self.errors.pop()
        return self.wire

    def address(self) -> str | None:
        return self.own_address


class Flash(MetaPathFinder):
    """Where dns.py comes from: how often, and what an import ends with until there is nothing left of `errors`."""

    def __init__(self) -> None:
        self.imports = 0
        self.errors: list[Exception] = []

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> None:
        if name == DNS:
            self.imports += 1
            if self.errors:
                raise self.errors.pop()


class Announcing:
    """An announcer at work, on a clock that stands still."""

    def __init__(self) -> None:
        self.board = TalkativeBoard()
        self.wire = self.board.wire
        self.clock = SetClock()
        self.flash = Flash()
        self.parts = parts_of(self.board, self.clock)

    async def looked(self) -> None:
        """It has seen twice to whatever there is now."""
        looks = self.wire.looks + 2
        await until(lambda: self.wire.looks >= looks)


DNS = PACKAGE + ".dns"


@asynccontextmanager
async def announcing(here: Announcing) -> AsyncIterator[Announcing]:
    """From its first telling, which nobody has to ask for."""
    give_back("dns")
    sys.meta_path.insert(0, here.flash)
    task = asyncio.create_task(announcer.announce(here.parts, retry_s=0))
    try:
        await until(lambda: task.done() or len(here.wire.told) == 1)
        assert not task.done()
        yield here
        assert not task.done()
    finally:
        sys.meta_path.remove(here.flash)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        here.wire.close()


async def test_a_question_is_answered_once_a_second_at_most() -> None:
    async with announcing(Announcing()) as here:
        here.wire.heard = dns.query(dns.DEVICES)
        await here.looked()
        assert len(here.wire.told) == 1, "it has just told"
        for count in (2, 3):
            here.clock.time_ms += announcer.ANSWER_GAP_MS
            await here.looked()
            assert len(here.wire.told) == count


@pytest.mark.parametrize(("noise", "imports"), [("answer", 1), ("malformed", 2)])
async def test_noise_that_names_devices_is_looked_at_once_a_second_at_most(noise: str, imports: int) -> None:
    """For that dns.py comes from flash, and the program stands still meanwhile; the first import is for telling."""
    async with announcing(Announcing()) as here:
        question = dns.query(dns.DEVICES)
        answer = dns.announcement(dns.DEVICES, f"x.{dns.DEVICES}", "h.local", "10.0.0.3", 1)
        here.wire.heard = answer if noise == "answer" else question[:-5]
        here.clock.time_ms += announcer.ANSWER_GAP_MS
        await here.looked()
        await here.looked()
        assert here.flash.imports == imports
        assert len(here.wire.told) == 1
        here.clock.time_ms += 60_000
        await here.looked()
        assert len(here.wire.told) == 2, "no noise keeps it from telling"


@pytest.mark.criterion("8.2")
@pytest.mark.parametrize("by_hand", [False, True])
async def test_nobody_is_answered_while_a_motor_may_turn(by_hand: bool) -> None:
    async with announcing(Announcing()) as here:
        journal, errands = here.parts.journal, here.parts.errands
        if by_hand:
            errands.held = 1
        else:
            journal.state = rules.apply(journal.state, ACCEPTED)
        here.wire.heard = dns.query(dns.DEVICES)
        here.clock.time_ms += 60_000
        await here.looked()
        assert len(here.wire.told) == 1
        journal.state, errands.held = rules.EMPTY, 0
        await here.looked()
        assert len(here.wire.told) == 2


@pytest.mark.criterion("8.2")
@pytest.mark.parametrize("error", [MemoryError("no room"), ImportError("no such file"), OSError(5)])
@pytest.mark.parametrize("missed", ["open_udp", "dns"])
async def test_what_an_announcement_lacks_ends_nothing(
    error: Exception, missed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Announcing()
    (here.flash if missed == "dns" else here.board).errors.append(error)
    async with announcing(here):
        assert len(here.wire.told) == 1
    assert capsys.readouterr().out.count("announcer_unavailable") == 1


async def test_what_opened_the_wire_is_given_back() -> None:
    async with announcing(Announcing()):
        assert PACKAGE + ".sockets" not in sys.modules
        assert DNS not in sys.modules


async def test_a_device_that_comes_to_a_network_late_or_again_tells_at_once() -> None:
    async with announcing(Announcing()) as here:
        here.board.own_address = None
        await until(lambda: here.wire.fileno() < 0)
        here.board.wire = again = TalkativeWire()
        here.board.own_address = "10.0.0.4"
        await until(lambda: len(again.told) == 1)
        again.close()


async def test_nobody_there_is_no_error_and_has_an_end() -> None:
    async with asyncio.timeout(20):
        assert await discovery.find_gateways(LonelyBoard(), Clock()) == []


async def test_without_a_network_there_is_nothing_to_find(board: SimulatedBoard) -> None:
    board.set_link(up=False)
    assert await discovery.find_gateways(board, Clock()) == []


def test_zeroconf_reads_our_packets() -> None:
    question = DNSIncoming(dns.query(discovery.GATEWAYS)).questions
    assert question == [DNSQuestion("_larder-gw._tcp.local.", dns.PTR, 1)]
    packet = dns.announcement(dns.DEVICES, f"x.{dns.DEVICES}", "h.local", "127.0.0.1", 5353)
    told = DNSIncoming(packet).answers()
    assert [(record.name, record.type) for record in told] == [
        ("_larder-dev._tcp.local.", dns.PTR),
        ("x._larder-dev._tcp.local.", dns.SRV),
        ("h.local.", dns.A),
    ]


def test_what_we_write_we_read() -> None:
    packet = dns.announcement("_s._tcp.local", "i._s._tcp.local", "h.local", "192.168.1.9", 8883)
    assert dns.services(packet, "_s._tcp.local") == [("192.168.1.9", 8883)]
    assert dns.services(packet, "_t._tcp.local") == []
    assert dns.asks_for(dns.query("_s._tcp.local"), "_s._tcp.local")
    assert not dns.asks_for(packet, "_s._tcp.local")


@given(st.binary(max_size=120), st.binary(max_size=40))
def test_no_packet_is_too_strange(noise: bytes, tail: bytes) -> None:
    packet = dns.announcement("_s._tcp.local", "i._s._tcp.local", "h.local", "10.0.0.1", 1)
    for data in (noise, packet[:-20] + tail, bytes([0, 0, 0x84, 0, 0, 1, 0, 9]) + noise):
        for read in (dns.services, dns.asks_for):
            with suppress(dns.Malformed):
                read(data, "_s._tcp.local")


def test_a_pointer_that_leads_in_a_circle_ends() -> None:
    with pytest.raises(dns.Malformed):
        dns.services(bytes([0, 0, 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + b"\xc0\x0c" + bytes(4), "x")


def test_the_sockets_stay_on_loopback(board: SimulatedBoard) -> None:
    with board.open_udp(0) as wire:
        assert wire.getsockname()[0] == "127.0.0.1"
        assert wire.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, 4) == socket.inet_aton("127.0.0.1")
