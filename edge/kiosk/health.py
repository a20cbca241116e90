"""How the gateway is: for monitors, for people, and for whoever compares its ledger with the cloud's."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Protocol
from uuid import UUID

from edge.clock import Clock
from edge.database import Database
from edge.discovery import DiscoveryHealth
from edge.errors import DatabaseError
from edge.identity import GatewayIdentity
from edge.kiosk.views import KioskViews
from edge.orders.service import OrderService
from edge.outbox import Outbox, Position
from shared.contract import ClockQuality, Instant, Message

LEDGER_TIMEOUT_S = 2.0
MOST_UNEXPECTED = 20
"""So many unknown devices are named."""


class SyncState(Protocol):
    """What the sync agent tells of itself."""

    online: bool
    last_ack_at: datetime | None
    last_error: str
    stalls: int


class FactsHealth(Message):
    """Where facts stand: written, acknowledged, waiting. Chains are hex."""

    epoch: int
    seq: int
    chain: str
    acked_epoch: int
    acked_seq: int
    acked_chain: str
    waiting: int


class SyncHealth(Message):
    """The link to the cloud. `last_error` is empty while all is well."""

    online: bool
    last_ack_at: Instant | None
    last_error: str
    stalls: int


class DevicesHealth(Message):
    """mDNS: `devices` were heard, the last `last_answer_s` seconds ago. `unexpected`: some that nobody told us of."""

    advertised: bool
    devices: int
    last_answer_s: float | None
    failures: int
    unexpected: tuple[UUID, ...]


class GatewayHealth(Message):
    """`ready`: broker and ledger work. `claimed`: it knows its place in the world. `room`: it can store more orders."""

    ready: bool
    claimed: bool
    broker: bool
    ledger: bool
    room: bool
    clock: ClockQuality
    facts: FactsHealth | None
    sync: SyncHealth
    discovery: DevicesHealth


class GatewayStatus(Message):
    """The ledger in figures. `stock`: units on hand by machine id and slot. `orders`: how many in each state."""

    gateway_id: str | None
    site_name: str | None
    facts: FactsHealth
    stock: dict[str, dict[str, int]]
    orders: dict[str, int]


class Health:
    """Asks every part."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        identity: GatewayIdentity,
        clock: Clock,
        views: KioskViews,
        orders: OrderService,
        sync: SyncState,
        is_broker_running: Callable[[], bool],
        discovery: Callable[[], DiscoveryHealth],
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._identity = identity
        self._clock = clock
        self._views = views
        self._orders = orders
        self._sync = sync
        self._is_broker_running = is_broker_running
        self._discovery = discovery

    async def health(self) -> GatewayHealth:
        """The state of now, within four seconds."""
        facts = await self._facts_in_time()
        broker, sync, discovery = self._is_broker_running(), self._sync, self._discovery()
        unexpected = await self._unexpected_in_time(discovery.boards) if facts is not None else ()
        return GatewayHealth(
            ready=broker and facts is not None,
            claimed=self._identity.claim is not None,
            broker=broker,
            ledger=facts is not None,
            room=facts is not None and self._database.has_room(),
            clock=self._clock.quality,
            facts=facts,
            sync=SyncHealth(
                online=sync.online, last_ack_at=sync.last_ack_at, last_error=sync.last_error, stalls=sync.stalls
            ),
            discovery=DevicesHealth(
                advertised=discovery.advertised,
                devices=discovery.devices,
                last_answer_s=discovery.last_answer_s,
                failures=discovery.failures,
                unexpected=unexpected,
            ),
        )

    async def status(self) -> GatewayStatus:
        """The ledger's figures."""
        claim = self._identity.claim
        return GatewayStatus(
            gateway_id=str(claim.gateway_id) if claim else None,
            site_name=claim.site_name if claim else None,
            facts=_facts(await self._database.read(self._outbox.position)),
            stock=await self._views.stock(),
            orders=await self._orders.count_by_state(),
        )

    async def _unexpected_in_time(self, boards: frozenset[UUID]) -> tuple[UUID, ...]:
        try:
            async with asyncio.timeout(LEDGER_TIMEOUT_S):
                return tuple((await self._views.unexpected(boards))[:MOST_UNEXPECTED])
        except (TimeoutError, DatabaseError):
            return ()

    async def _facts_in_time(self) -> FactsHealth | None:
        try:
            async with asyncio.timeout(LEDGER_TIMEOUT_S):
                return _facts(await self._database.read(self._outbox.position))
        except (TimeoutError, DatabaseError):
            return None


def _facts(position: Position) -> FactsHealth:
    return FactsHealth(
        epoch=position.epoch,
        seq=position.seq,
        chain=position.chain.hex(),
        acked_epoch=position.acked_epoch,
        acked_seq=position.acked_seq,
        acked_chain=position.acked_chain.hex(),
        waiting=position.waiting,
    )
