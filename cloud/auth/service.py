"""Gateways: who they are by the tokens they sign, and up to where they have been heard."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.auth import tokens
from cloud.auth.models import Gateway
from cloud.auth.rules import CALLERS
from cloud.cache import Cache, Caches, Owned
from cloud.callers import Actor, ActorKind
from cloud.clock import Clock
from cloud.database import Database, Row, Transaction
from cloud.errors import NotFound, Unauthenticated, there
from shared.errors import Code

log = structlog.get_logger()

_GATEWAY = "SELECT id, tenant_id, site_id, public_key, revoked_at FROM gateways WHERE id = $1"
"""As SQL, not through the model: nearly every request of every gateway begins with it."""
KNOWN_TOKENS = 10_000
"""So many proven ones a process keeps in mind; about 2 KB each."""

_PLACE = """
    SELECT id AS gateway_id, name, claimed_at IS NOT NULL AND revoked_at IS NULL AS is_claimed, ca_pem
    FROM gateways WHERE id = $1
"""
_POSITIONS = """
    SELECT g.id AS gateway_id, g.site_id, g.name, g.epoch, g.seq, g.chain, g.acknowledged_at,
        (SELECT count(*) FROM dead_letters d WHERE d.tenant_id = g.tenant_id AND d.gateway_id = g.id
            AND d.replayed_at IS NULL) AS dead_letters,
        (SELECT count(*) FROM fact_conflicts c WHERE c.tenant_id = g.tenant_id AND c.gateway_id = g.id) AS conflicts
    FROM gateways g WHERE $1::uuid IS NULL OR g.id = $1 ORDER BY g.name, g.id
"""
_FOREMOST = """
    SELECT g.id AS gateway_id, g.site_id, g.name, g.epoch, g.seq, g.chain, g.acknowledged_at,
           coalesce(l.dead_letters, 0) AS dead_letters, coalesce(c.conflicts, 0) AS conflicts,
           count(*) OVER () AS gateways
    FROM gateways g
    LEFT JOIN (SELECT gateway_id, count(*) AS dead_letters FROM dead_letters WHERE replayed_at IS NULL
               GROUP BY gateway_id) l ON l.gateway_id = g.id
    LEFT JOIN (SELECT gateway_id, count(*) AS conflicts FROM fact_conflicts GROUP BY gateway_id) c
        ON c.gateway_id = g.id
    ORDER BY l.dead_letters IS NULL AND c.conflicts IS NULL, g.acknowledged_at DESC NULLS LAST, g.name, g.id
    LIMIT $1
"""
"""What speaks against a gateway is counted for all at once: a tenant may have a thousand of them."""


@dataclass(frozen=True)
class GatewayCaller:
    """A gateway that proved who it is."""

    gateway_id: UUID
    tenant_id: UUID
    site_id: UUID
    public_key: str


@dataclass(frozen=True)
class Position:
    """Up to where a gateway's facts have taken effect."""

    gateway_id: UUID
    site_id: UUID
    name: str
    epoch: int
    seq: int
    chain: bytes
    acknowledged_at: datetime | None
    dead_letters: int
    """Facts at or below the mark that could not take effect, and wait for a replay."""
    conflicts: int
    """Times the gateway contradicted what it had told."""


@dataclass(frozen=True)
class Foremost:
    """Some of a tenant's gateways: those with doubts, then those heard last."""

    shown: Sequence[Position]
    of: int
    """All that it has."""


def trusted(caller: GatewayCaller, gateway: Row | None) -> Row:
    """The gateway's row as it is now. Raises Unauthenticated when it has another key than the caller, or is revoked."""
    if gateway is None or gateway["public_key"] != caller.public_key:
        raise _refused("another key")
    if gateway["revoked_at"] is not None:
        log.warning("revoked_gateway_refused", gateway_id=str(caller.gateway_id))
        raise Unauthenticated("This gateway was revoked.", Code.GATEWAY_REVOKED)
    return gateway


def _read(bearer: str) -> tokens.Token:
    try:
        return tokens.read(bearer)
    except tokens.TokenRefused as error:
        raise _refused(str(error)) from error


def _refused(reason: str) -> Unauthenticated:
    log.info("gateway_token_refused", reason=reason)
    return Unauthenticated("This token proves nothing.")


class AuthService:
    """Every check of a gateway's identity. All failures look alike from outside."""

    def __init__(self, database: Database, clock: Clock, caches: Caches) -> None:
        self._database = database
        self._clock = clock
        self._gateways: Cache[tuple[UUID, UUID], Row] = caches.make(CALLERS)
        """By tenant and id."""
        self._known: dict[str, tuple[tokens.Token, GatewayCaller]] = {}

    async def gateway(self, bearer: str) -> GatewayCaller:
        """The gateway behind a token. Its tenant claim only chooses where to look. Raises Unauthenticated.

        A token is proven once by a process, for a gateway shows it for minutes; whether the gateway is still trusted
        is asked each time.
        """
        caller = await self.gateway_by_known_token(bearer)
        trusted(caller, await self._kept_row(caller.tenant_id, caller.gateway_id))
        return caller

    async def gateway_by_known_token(self, bearer: str) -> GatewayCaller:
        """As `gateway`, but if the token is known, nobody is asked about the gateway.

        It may be revoked or replaced since: the unit of work that follows must ask whether it is `trusted`.
        Raises Unauthenticated.
        """
        if (known := self._known.get(bearer)) is not None:
            token, caller = known
            with suppress(tokens.TokenRefused):  # out of its time: told so below, as every token is
                tokens.check_times(token.claims, self._clock.now())
                return caller
            del self._known[bearer]
        return await self._proven(_read(bearer))

    async def _proven(self, token: tokens.Token) -> GatewayCaller:
        gateway = await self._kept_row(token.claims.tenant, token.claims.iss)
        if gateway is None or gateway["public_key"] is None:
            raise _refused("unknown gateway")
        try:
            tokens.prove(token, gateway["public_key"], self._clock.now())
        except tokens.TokenRefused as error:
            raise _refused(str(error)) from error
        caller = GatewayCaller(gateway["id"], gateway["tenant_id"], gateway["site_id"], gateway["public_key"])
        trusted(caller, gateway)
        self._remember(token, caller)
        return caller

    def _remember(self, token: tokens.Token, caller: GatewayCaller) -> None:
        """The one remembered first makes room."""
        self._known.pop(token.text, None)
        if len(self._known) == KNOWN_TOKENS:
            del self._known[next(iter(self._known))]
        self._known[token.text] = (token, caller)

    async def still_trusted(self, caller: GatewayCaller) -> bool:
        """False once the gateway has been revoked, or another key speaks for it."""
        gateway = await self._gateway_row(caller.tenant_id, caller.gateway_id)
        return (
            gateway is not None and gateway["revoked_at"] is None and bool(gateway["public_key"] == caller.public_key)
        )

    async def _kept_row(self, tenant_id: UUID, gateway_id: UUID) -> Row | None:
        async def load() -> Owned[Row] | None:
            row = await self._gateway_row(tenant_id, gateway_id)
            return None if row is None else Owned(tenant_id, row)

        return await self._gateways.get((tenant_id, gateway_id), load)

    async def _gateway_row(self, tenant_id: UUID, gateway_id: UUID) -> Row | None:
        async def work(transaction: Transaction) -> Row | None:
            return await transaction.fetch_one(_GATEWAY, gateway_id)

        return await self._database.unit("auth.gateway", work, tenant_id=tenant_id)


async def create_gateway(tenant_id: UUID, site_id: UUID, name: str, gateway_id: UUID) -> None:
    """Inside a unit of the tenant: a gateway that has yet to claim its place."""
    await Gateway(id=gateway_id, tenant_id=tenant_id, site_id=site_id, name=name).save()


async def gateway_exists(gateway_id: UUID) -> bool:
    """Inside a unit of the tenant: whether it has this gateway."""
    return await Gateway.exists(id=gateway_id)


async def register_key(
    transaction: Transaction, gateway_id: UUID, public_key: str, software: str, ca_pem: str | None, now: datetime
) -> None:
    """Inside a unit of the tenant: from now on this key alone speaks for the gateway, even if it was revoked before."""
    await Gateway.filter(id=gateway_id).update(
        public_key=public_key, software=software, ca_pem=ca_pem, claimed_at=now, revoked_at=None
    )
    await transaction.ring("gateway", gateway_id)
    gateway = await Gateway.get(id=gateway_id)
    await transaction.ring(CALLERS, gateway.tenant_id)
    claimant = Actor(ActorKind.GATEWAY, gateway_id, gateway.name)
    about = Subject(SubjectKind.GATEWAY, gateway_id)
    now_is = {"public_key": public_key, "software": software}
    await audit.record(transaction, claimant, gateway.tenant_id, AuditAction.GATEWAY_CLAIMED, about, after=now_is)


async def expect_ca(gateway_id: UUID, ca_pem: str) -> None:
    """Inside a unit of the tenant: the CA that the site's bundle brings, until a gateway tells its own at its claim."""
    await Gateway.filter(id=gateway_id).update(ca_pem=ca_pem)


async def gateway_with_key(gateway_id: UUID, public_key: str) -> GatewayCaller | None:
    """Inside a unit of the tenant: the gateway, if this key speaks for it."""
    row = await Gateway.get_or_none(id=gateway_id, public_key=public_key)
    return None if row is None else GatewayCaller(row.id, row.tenant_id, row.site_id, public_key)


@dataclass(frozen=True)
class GatewayPlace:
    """A gateway as whoever brings it in sees it. `ca_pem`: the CA of its site, once it has told it."""

    gateway_id: UUID
    name: str
    is_claimed: bool
    ca_pem: str | None


async def gateway_place(transaction: Transaction, gateway_id: UUID) -> GatewayPlace:
    """Inside a unit of the tenant. Raises NotFound."""
    row = there(await transaction.fetch_one(_PLACE, gateway_id))
    return GatewayPlace(**row)


async def revoke_gateway(transaction: Transaction, gateway_id: UUID, now: datetime) -> None:
    """Inside a unit of the tenant: refuse this gateway from now on, and hang up its doorbell. Raises NotFound.

    Its CA is forgotten: whatever takes its place makes another one, and no board shall be told to trust this.
    """
    if not await Gateway.filter(id=gateway_id).update(revoked_at=now, ca_pem=None):
        raise NotFound
    await transaction.ring("gateway", gateway_id)
    await transaction.ring(CALLERS, (await Gateway.get(id=gateway_id)).tenant_id)


async def positions(transaction: Transaction, gateway_id: UUID | None = None) -> list[Position]:
    """Inside a unit of the tenant: where its gateways (or this one) stand, by name."""
    return [Position(**row) for row in await transaction.fetch(_POSITIONS, gateway_id)]


async def foremost(transaction: Transaction, most: int) -> Foremost:
    """Inside a unit of the tenant: where at most so many of its gateways stand, the most remarkable first."""
    rows = [dict(row) for row in await transaction.fetch(_FOREMOST, most)]
    total = max((row.pop("gateways") for row in rows), default=0)
    return Foremost([Position(**row) for row in rows], total)
