"""What is measured: each operation with the requests it is made of, and how often they come."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from cloud.auth.gate import COOKIE
from tests.benchmarks.api_bench.load import Plan, turns
from tests.benchmarks.api_bench.world import BATCH_FACTS, EMAIL, PHRASE, World
from tests.fakes.gateway_client import PACKED

READS_A_SECOND = 200.0
PAGES_A_SECOND = 50.0
"""Of the dashboard: as many people reload it. The goal is of the API, which draws nothing."""
LOGINS_A_SECOND = 8.0
PUSHES_A_SECOND = 20.0
GOAL_MS = 50.0
CONNECTIONS = 32
"""Of open-loop reads; as many as are under way at once at most."""
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """HTTP/1.1."""
    lines = {"Host": "bench", "Content-Length": str(len(body))} | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass(frozen=True)
class Operation:
    """One line of the report. Its plans are made anew each time: what gateways push, they push once."""

    name: str
    rate: float
    at_rate: Callable[[Sequence[int], float], Plan]
    """For ports and seconds: requests at `rate`."""
    at_once: Callable[[Sequence[int], float], Plan]
    """As many as can be had."""
    goal_ms: float | None = None
    """Of p99 at `rate`."""


def operations(world: World, session: str) -> list[Operation]:
    """All that is measured, asked by the key or by whose session this is."""
    by_key, page = (
        {"Authorization": f"Bearer {world.api_key}"},
        {"Cookie": f"{COOKIE}={session}", "Accept": "text/html"},
    )
    some = [urlencode({"machine_id": machine, "sort": "placed_at", "limit": 50}) for machine in world.machine_ids]
    form = urlencode({"email": EMAIL, "password": PHRASE}).encode()
    return [
        _steady("login (Argon2id, 19 MiB)", [request("POST", "/login", _FORM, form)], LOGINS_A_SECOND, connections=4),
        _read("order list (API), 50 newest", [request("GET", "/v1/orders", by_key)]),
        _read(
            "order list (API), of a machine, oldest first", [request("GET", f"/v1/orders?{q}", by_key) for q in some]
        ),
        _steady("order list (dashboard's page)", [request("GET", "/orders", page)], PAGES_A_SECOND),
        _read("order (API)", [request("GET", f"/v1/orders/{order_id}", by_key) for order_id in world.order_ids]),
        _read("machine (API)", [request("GET", f"/v1/machines/{one}", by_key) for one in world.machine_ids]),
        _pushes(world),
    ]


def _read(name: str, requests: Sequence[bytes]) -> Operation:
    return _steady(name, requests, READS_A_SECOND, goal_ms=GOAL_MS)


def _steady(
    name: str,
    requests: Sequence[bytes],
    rate: float,
    *,
    connections: int = CONNECTIONS,
    goal_ms: float | None = None,
) -> Operation:
    return Operation(
        name,
        rate,
        at_rate=lambda ports, seconds: Plan(ports, [requests], connections, rate, seconds),
        at_once=lambda ports, seconds: Plan(ports, turns(list(requests) * 4, 4), 2, None, seconds),
        goal_ms=goal_ms,
    )


def _pushes(world: World) -> Operation:
    """Each gateway pushes on a connection of its own, and waits for its acknowledgement."""

    def lanes(batches: int) -> list[list[bytes]]:
        """So many in all, dealt out as they fall due."""
        return [
            [
                request("POST", "/v1/sync/facts", PACKED | one.gateway.authorisation(), body)
                for body in one.batches(len(range(place, batches, len(world.pushers))))
            ]
            for place, one in enumerate(world.pushers)
        ]

    return Operation(
        f"facts pushed, {BATCH_FACTS} a batch",
        PUSHES_A_SECOND,
        at_rate=lambda ports, seconds: Plan(
            ports, lanes(round(PUSHES_A_SECOND * seconds)), 1, PUSHES_A_SECOND, seconds
        ),
        at_once=lambda ports, seconds: Plan(ports, lanes(round(60 * seconds)), 1),
    )


def streams(session: str, count: int) -> list[bytes]:
    """Pages that follow the orders."""
    headers = {"Cookie": f"{COOKIE}={session}", "Accept": "text/event-stream"}
    return [request("GET", "/orders/events", headers)] * count


def doorbells(world: World, count: int) -> list[bytes]:
    """Gateways that wait to be told."""
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    return [
        request("GET", "/v1/sync/doorbell", upgrade | gateway.authorisation()) for gateway in world.listeners[:count]
    ]
