"""Multicast DNS: our small codec against zeroconf's, and both sides finding each other on loopback."""

import asyncio
import socket
from contextlib import suppress
from pathlib import Path
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
from firmware.vending import announcer, discovery, dns
from firmware.vending.clock import Clock
from firmware.vending.hardware import Hardware
from tests.fakes.device_settings import SETTINGS
from tests.fakes.until import until

DEVICE = UUID("01890000-0000-7000-8000-000000000001")
GATEWAY = UUID("01890000-0000-7000-8000-000000000002")
PORT = 18_883


@pytest.fixture
def board(tmp_path: Path) -> SimulatedBoard:
    return SimulatedBoard(SETTINGS._replace(device_id=str(DEVICE)), tmp_path, Habits())


async def test_gateway_and_device_find_each_other(board: SimulatedBoard) -> None:
    gateway = Discovery(GATEWAY, PORT, ["127.0.0.1"], GatewayClock())
    device = announcer.Announcer(board, Clock(), str(DEVICE))
    tasks = [asyncio.create_task(gateway.run()), asyncio.create_task(device.run())]
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


async def test_nobody_there_is_no_error_and_has_an_end() -> None:
    async with asyncio.timeout(20):
        assert await discovery.find_gateways(LonelyBoard(), Clock()) == []


async def test_without_a_network_there_is_nothing_to_find(board: SimulatedBoard) -> None:
    board.set_link(up=False)
    assert await discovery.find_gateways(board, Clock()) == []


def test_zeroconf_reads_our_packets() -> None:
    question = DNSIncoming(dns.query(discovery.GATEWAYS)).questions
    assert question == [DNSQuestion("_larder-gw._tcp.local.", dns.PTR, 1)]
    packet = dns.announcement(announcer.DEVICES, f"x.{announcer.DEVICES}", "h.local", "127.0.0.1", 5353)
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
