"""R7: mutated MQTT packets at the decoder and on the guard's sockets.

    python -m tests.lab.fuzz_mqtt --packets 1000000 --sockets 50000 --seed 7

Half of the connections send their mutated packets after a login, the others before one; in the second half of the run
two attackers are at work at once. All the while an honest client pings.
"""

import argparse
import asyncio
import gc
import logging
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import structlog

from edge.guard import GuardLimits
from edge.packets import MalformedPacket, PacketDecoder
from tests.fakes import raw_mqtt
from tests.fakes.mqtt_site import MqttSite, device_id, mqtt_site, token, topic
from tests.fakes.raw_mqtt import RawMqtt

ATTACKER = 1
HONEST = 2
ME = str(device_id(ATTACKER))
CORPUS = (
    raw_mqtt.connect_packet(ME, ME, token(ATTACKER), will=(topic(ATTACKER, "offline"), b"x")),
    raw_mqtt.connect_packet(ME, ME, b"wrong", clean=False),
    raw_mqtt.publish_packet(topic(ATTACKER, "log"), b'{"a": 1}' * 8),
    raw_mqtt.publish_packet(topic(ATTACKER, "outcome"), b"x" * 300, qos=1, packet_id=1000),
    raw_mqtt.publish_packet(topic(HONEST, "hello"), b"x", retain=True),
    raw_mqtt.subscribe_packet(1, topic(ATTACKER, "cmd"), "#", qos=1),
    raw_mqtt.unsubscribe_packet(2, topic(ATTACKER, "cmd")),
    raw_mqtt.PINGREQ,
    raw_mqtt.DISCONNECT,
    b"\x40\x02\x00\x01",
    b"\x62\x02\x00\x01",
)
LENGTHS = (b"\x00", b"\x7f", b"\xff\x7f", b"\xff\xff\x7f", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff\x01", b"\x80\x00")


def mutants(seed: int) -> Iterator[bytes]:
    """Packets with one to four wounds, for ever, the same ones for the same seed."""
    source = random.Random(seed)
    while True:
        data = bytearray(source.choice(CORPUS))
        for _ in range(source.randint(1, 4)):
            wound(data, source)
        yield bytes(data)


def wound(data: bytearray, source: random.Random) -> None:
    at = source.randrange(len(data) + 1)
    match source.randrange(7):
        case 0 if at < len(data):
            data[at] ^= 1 << source.randrange(8)
        case 1 if at < len(data):
            data[at] = source.choice((0, 1, 0x7F, 0x80, 0xC0, 0xFF, ord("+"), ord("#"), ord("/"), ord("$")))
        case 2:
            del data[at : at + source.randrange(1, 20)]
        case 3:
            data[at:at] = source.randbytes(source.randrange(1, 20))
        case 4:
            data[1:2] = source.choice(LENGTHS)
        case 5:
            data += source.choice(CORPUS)
        case _:
            data[:1] = source.randbytes(1)


@dataclass
class Report:
    """What one run found; `faults` must stay empty."""

    seed: int
    decoded: int = 0
    malformed: int = 0
    connections: int = 0
    ended_by_guard: int = 0
    descriptors: int = 0
    memory_mb: float = 0.0
    pings: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ordered = sorted(self.pings) or [0.0]
        return (
            f"seed {self.seed}: {self.decoded} packets decoded, {self.malformed} malformed; "
            f"{self.connections} connections, {self.ended_by_guard} ended by the guard; "
            f"descriptors {self.descriptors:+d} (goal ±5), "
            f"memory {self.memory_mb:+.1f} MB (goal ≤ 20), honest ping p50 {ordered[len(ordered) // 2]:.1f} ms, "
            f"p99 {ordered[int(len(ordered) * 0.99)]:.1f} ms (goal ≤ 250), faults {self.faults or 'none'}"
        )


def fuzz_decoder(count: int, report: Report) -> None:
    """Feed `count` mutants to a decoder in random pieces. Anything but a packet or MalformedPacket is a fault."""
    source = random.Random(report.seed)
    for _, data in zip(range(count), mutants(report.seed), strict=False):
        decoder = PacketDecoder()
        cut = source.randrange(len(data) + 1)
        try:
            for piece in (data[:cut], data[cut:]):
                decoder.feed(piece)
                while decoder.next_packet() is not None:
                    report.decoded += 1
        except MalformedPacket:
            report.malformed += 1
        except Exception as error:  # noqa: BLE001 - finding any other exception is the point
            report.faults.append(f"{error!r} for {data.hex()}")


async def fuzz_sockets(count: int, report: Report) -> None:
    """Attack a whole site with `count` connections."""
    limits = GuardLimits(slowest_refusal=0.05, connect_within=0.5)
    with tempfile.TemporaryDirectory() as folder:
        async with mqtt_site(Path(folder), limits) as site:
            numbers = iter(range(count + 100))
            data = mutants(report.seed + 1)
            for _ in range(100):
                await attack(site, next(numbers), data, Report(0))
            before = await resources()
            honest = asyncio.create_task(be_honest(site, report))
            await attacker(site, numbers, count // 2, data, report)
            attackers = (attacker(site, numbers, (count + 1) // 2 // 2, data, report) for _ in range(2))
            await asyncio.gather(*attackers)
            honest.cancel()
            await asyncio.wait({honest})
            if not honest.cancelled():
                report.faults.append(f"the honest client failed: {honest.exception()!r}")
            site.clients.clear()
            after = await resources()
            report.descriptors, report.memory_mb = after[0] - before[0], (after[1] - before[1]) / 1e6


async def resources() -> tuple[int, int]:
    """Open descriptors and resident bytes of this process, once it has come to rest."""
    await asyncio.sleep(1.0)
    gc.collect()
    process = psutil.Process()
    return process.num_fds(), process.memory_info().rss


async def attacker(site: MqttSite, numbers: Iterator[int], count: int, data: Iterator[bytes], report: Report) -> None:
    for _ in range(count):
        await attack(site, next(numbers), data, report)


async def attack(site: MqttSite, number: int, data: Iterator[bytes], report: Report) -> None:
    """One connection: bare TCP (1 in 20), TLS without a login, or TLS with one; then one to four mutants."""
    report.connections += 1
    client = None
    try:
        client = await RawMqtt.open(site.guard.port, None if number % 20 == 19 else site.client_tls, patience=0.5)
        if number % 2 == 0:
            await client.log_in(ME, token(ATTACKER))
        for _ in range(1 + number % 4):
            await client.send(next(data))
        client.patience = 0.01
        report.ended_by_guard += await client.is_closed()
    except (OSError, asyncio.IncompleteReadError):
        report.ended_by_guard += 1
    finally:
        if client is not None:
            await client.close()


async def be_honest(site: MqttSite, report: Report) -> None:
    """Ping and take a command every 20 ms; must never fail. Runs until cancelled."""
    client = await site.device(HONEST)
    while True:
        begin = time.perf_counter()
        await client.ping()
        report.pings.append((time.perf_counter() - begin) * 1e3)
        site.local.publish(topic(HONEST, "cmd"), b"x")
        await client.receive(3)
        await asyncio.sleep(0.02)


class Faults(logging.Handler):
    """Notes what asyncio or amqtt complain about."""

    def __init__(self, report: Report) -> None:
        super().__init__(logging.ERROR)
        self.report = report

    def emit(self, record: logging.LogRecord) -> None:
        self.report.faults.append(record.getMessage()[:300])


def run(packets: int, sockets: int, seed: int) -> Report:
    """Both parts, in this process. Whatever is logged as an error is a fault, too."""
    report = Report(seed)
    handler = Faults(report)
    logging.getLogger().addHandler(handler)

    def note(_: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if method == "error":
            report.faults.append(str(event)[:300])
        raise structlog.DropEvent

    structlog.configure(processors=[note], cache_logger_on_first_use=False)
    try:
        fuzz_decoder(packets, report)
        asyncio.run(fuzz_sockets(sockets, report))
    finally:
        structlog.reset_defaults()
        logging.getLogger().removeHandler(handler)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description="Mutated MQTT packets at the decoder and on sockets (R7).")
    parser.add_argument("--packets", type=int, default=20_000)
    parser.add_argument("--sockets", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--full", action="store_true", help="1,000,000 packets and 50,000 sockets")
    chosen = parser.parse_args()
    sizes = (1_000_000, 50_000) if chosen.full else (chosen.packets, chosen.sockets)
    report = run(sizes[0], sizes[1], chosen.seed)
    print(report)
    sys.exit(bool(report.faults) or abs(report.descriptors) > 5 or report.memory_mb > 20)


if __name__ == "__main__":
    main()
