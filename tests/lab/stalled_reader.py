"""R10: a device that never reads must cost the gateway little memory, the others no time, and be cut soon.

python -m tests.lab.stalled_reader --seconds 60
"""

import argparse
import asyncio
import socket
import ssl
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from edge.guard import GuardLimits
from tests.fakes.mqtt_site import MqttSite, device_id, mqtt_site, token, topic
from tests.fakes.raw_mqtt import RawMqtt, connect_packet, subscribe_packet

OTHERS = range(2, 12)
PER_SECOND = 500


@dataclass
class Report:
    """Figures of one run; times in seconds, latencies in ms."""

    cut_after: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    memory_mb: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        ordered = sorted(self.latencies)
        cuts = ", ".join(f"{name} after {after:.1f} s ({self.reasons[name]})" for name, after in self.cut_after.items())
        return (
            f"deaf device cut: {cuts} (goal ≤ 15 s); memory {self.memory_mb:+.1f} MB (goal ≤ 16); "
            f"{len(ordered)} messages to others: p50 {ordered[len(ordered) // 2]:.1f} ms, "
            f"p99 {ordered[int(len(ordered) * 0.99)]:.1f} ms (goal ≤ 100)"
        )


async def run(seconds: float, limits: GuardLimits) -> Report:
    """Others get 500 messages a second for `seconds`; a deaf device gets a flood, and later a trickle."""
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        async with mqtt_site(Path(folder), limits) as site, asyncio.TaskGroup() as group:
            others = [await site.device(number) for number in OTHERS]
            before = psutil.Process().memory_info().rss
            readers = [group.create_task(read(client, report)) for client in others]
            load = group.create_task(publish_to_others(site))
            begin = time.monotonic()
            for name, size, pause in (("flooded", 4000, 0.005), ("trickled to", 1000, 0.05)):
                await starve(site, report, name, size, pause)
            peak = psutil.Process().memory_info().rss
            await asyncio.sleep(max(0.0, begin + seconds - time.monotonic()))
            report.memory_mb = (max(peak, psutil.Process().memory_info().rss) - before) / 1e6
            for task in (load, *readers):
                task.cancel()
    return report


async def starve(site: MqttSite, report: Report, name: str, size: int, pause: float) -> None:
    """Send to a device that never reads until the guard cuts it."""
    deaf = await asyncio.to_thread(deaf_device, site)
    begin, seen = time.monotonic(), len(site.events)
    while len(site.events) == seen and time.monotonic() < begin + 30:
        site.local.publish(topic(1, "cmd"), b"x" * size)
        await asyncio.sleep(pause)
    report.cut_after[name] = time.monotonic() - begin
    report.reasons[name] = site.events[-1][2]
    deaf.close()


def deaf_device(site: MqttSite) -> ssl.SSLSocket:
    """A subscribed device on a blocking socket with a window as small as an ESP32's, of which nobody reads any more."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(5)
    sock.connect(("127.0.0.1", site.guard.port))
    device = site.client_tls.wrap_socket(sock, server_hostname="gateway.larder")
    device.sendall(connect_packet(str(device_id(1)), str(device_id(1)), token(1)))
    answer = device.recv(4)
    device.sendall(subscribe_packet(1, topic(1, "cmd")))
    assert answer + device.recv(5) == b"\x20\x02\0\0\x90\x03\0\1\0"
    return device


async def publish_to_others(site: MqttSite) -> None:
    """500 messages a second in all, each with the time of its birth."""
    due = time.perf_counter()
    while True:
        for number in OTHERS:
            site.local.publish(topic(number, "cmd"), repr(time.perf_counter()).encode())
            due += 1 / PER_SECOND
        await asyncio.sleep(max(0.0, due - time.perf_counter()))


async def read(client: RawMqtt, report: Report) -> None:
    while True:
        _, payload = (await client.receive(3)).message()
        report.latencies.append((time.perf_counter() - float(payload)) * 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description="A device that never reads (R10).")
    parser.add_argument("--seconds", type=float, default=30.0)
    print(asyncio.run(run(parser.parse_args().seconds, GuardLimits())))


if __name__ == "__main__":
    main()
