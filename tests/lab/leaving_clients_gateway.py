"""R12 at the gateway: clients that leave while their order is being placed. Nothing may stay behind.

python -m tests.lab.leaving_clients_gateway [--clients N] [--seed N] [--full]
"""

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import struct
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from tests.fakes.kiosk_site import KioskSite, running_kiosk

AT_ONCE = 20
OPENING = 1000
PROBES = 9
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no seconds: the client does not say goodbye, it vanishes."""


@dataclass
class Report:
    """What was left behind by so many clients."""

    seed: int
    clients: int
    placed: int
    unsettled: int
    reserved: int
    missing: int
    descriptors: int
    probes_ms: list[float] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """No order open, no stock held or lost, no descriptor leaked, the next order served at once."""
        leaked = self.unsettled or self.reserved or self.missing or abs(self.descriptors) > 5
        return not leaked and self.placed > 0 and statistics.median(self.probes_ms) <= 200

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.clients} clients left, {self.placed} orders stood all the same; left behind: "
            f"{self.unsettled} orders open, {self.reserved} units reserved, {self.missing} units unaccounted for, "
            f"{self.descriptors:+} descriptors; next order in {statistics.median(self.probes_ms):.1f} ms "
            f"(slowest of {len(self.probes_ms)}: {max(self.probes_ms):.1f} ms)"
        )


async def run(clients: int, seed: int, folder: Path) -> Report:
    """Let the clients come and go, wait until all orders are settled, then count."""
    async with running_kiosk(folder, opening=OPENING) as kiosk:
        await kiosk.http.get("/health/live")
        before = _descriptors()
        await _visit(kiosk, clients, random.Random(seed))
        probes = [await _probe(kiosk) for _ in range(PROBES)]
        counts = await _settled(kiosk)
        levels = await kiosk.site.database.read(lambda tx: kiosk.site.inventory.levels(tx, kiosk.site.machine_id))
        placed = sum(counts.values())
        return Report(
            seed=seed,
            clients=clients,
            placed=placed,
            unsettled=placed - counts.get("settled", 0),
            reserved=sum(level.reserved for level in levels.values()),
            missing=OPENING - levels["A1"].on_hand - len(kiosk.site.device.starts),
            descriptors=_descriptors() - before,
            probes_ms=probes,
        )


async def _visit(kiosk: KioskSite, clients: int, dice: random.Random) -> None:
    for start in range(0, clients, AT_ONCE):
        moments = [dice.choice((dice.uniform(0, 1), 1)) for _ in range(min(AT_ONCE, clients - start))]
        waits = [dice.uniform(0, 0.006) for _ in moments]
        await asyncio.gather(*(_leave(kiosk, *when) for when in zip(moments, waits, strict=True)))


async def _leave(kiosk: KioskSite, part: float, wait_s: float) -> None:
    """Send `part` of an order, wait, and vanish."""
    body = json.dumps(kiosk.wish("A1")).encode()
    head = f"POST /kiosk/v1/orders HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: {uuid4()}\r\n"
    request = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    _, writer = await asyncio.open_connection("127.0.0.1", kiosk.port)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.write(request[: round(len(request) * part)])
    await asyncio.sleep(wait_s)
    writer.transport.abort()


async def _probe(kiosk: KioskSite) -> float:
    """Milliseconds for one order of a client that stays."""
    begin = time.monotonic()
    response = await kiosk.place(kiosk.wish("A1"), uuid4())
    assert response.status_code == 201, response.text
    return (time.monotonic() - begin) * 1000


async def _settled(kiosk: KioskSite) -> dict[str, int]:
    """Orders by state, once all are settled or a minute is over."""
    for _ in range(600):
        counts = await kiosk.site.orders.count_by_state()
        if set(counts) <= {"settled"}:
            break
        await asyncio.sleep(0.1)
    return counts


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not walked


def main() -> None:
    parser = argparse.ArgumentParser(description="Clients that leave during an order (R12).")
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--full", action="store_true", help="10,000 clients, in tens of 1,000")
    chosen = parser.parse_args()
    rounds = [1_000] * 10 if chosen.full else [chosen.clients]
    good = True
    for number, clients in enumerate(rounds):
        with tempfile.TemporaryDirectory() as folder:
            report = asyncio.run(run(clients, chosen.seed + number, Path(folder)))
        print(report)
        good = good and report.good
    sys.exit(not good)


if __name__ == "__main__":
    main()
