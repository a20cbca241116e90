"""Tenants, sites, the claim (the first contact of a gateway), and what a site's gateway has to hear."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import structlog

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.auth import service as auth
from cloud.auth.rules import sha256_hex
from cloud.callers import Actor, Operator
from cloud.clock import Clock, new_id
from cloud.conditional import Precondition
from cloud.database import Database, Transaction
from cloud.errors import NotFound, Refused, there
from cloud.lists import PageQuery, read_page
from cloud.onboarding.models import SITES, ClaimCode, Site, SiteEdit, SitePage, Tenant
from cloud.onboarding.rules import SiteRow, life_of, new_claim_code, why_refused
from cloud.web import invalid
from shared.errors import Code
from shared.onboarding import ClaimGateway, GatewayClaimed
from shared.sync import ChangeBody

log = structlog.get_logger()

_NUMBER = "UPDATE sites SET last_change = last_change + $2 WHERE id = $1 RETURNING tenant_id, last_change"
_INSERT = """
    INSERT INTO changes (tenant_id, site_id, number, body)
    SELECT $1, $2, number, body FROM unnest($3::bigint[], $4::text[]) AS c (number, body)
"""
_BOUNDS = "SELECT last_change, pruned_change FROM sites WHERE id = $1"
_MARK_PRUNED = "UPDATE sites SET pruned_change = greatest(pruned_change, $2) WHERE id = $1"
_SINCE = "SELECT number, body FROM changes WHERE site_id = $1 AND number > $2 ORDER BY number LIMIT $3"
_LOCK_GATEWAYS = "SELECT FROM gateways WHERE site_id = ANY($1::uuid[]) ORDER BY id FOR UPDATE"
_COORDINATES = ("latitude", "longitude")
_LOCK_GATEWAY = "SELECT FROM gateways WHERE id = $1 FOR UPDATE"
_LOCK_SITE = "SELECT FROM sites WHERE id = $1 FOR UPDATE"
_REFUSAL = "This claim code cannot be used. Ask an operator for a new one."


class SiteQuery(PageQuery):
    """Sites by name."""

    row = SiteRow

    sort: Literal["name", "-name"] = "name"


@dataclass(frozen=True)
class NewSite:
    """A place to be. Coordinates in degrees of WGS 84; the tax is contained in prices, 1800 is 18 %."""

    name: str
    address: str
    latitude: float | None
    longitude: float | None
    currency: str
    time_zone: str
    tax_basis_points: int


@dataclass(frozen=True)
class ChangeBounds:
    """Cursors from `oldest` to `newest` can be answered with single changes."""

    oldest: int
    newest: int


class OnboardingService:
    """Lets gateways in."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def claim(self, wish: ClaimGateway) -> GatewayClaimed:
        """Register the gateway's key. The same code with the same key gives the same answer again. Raises Refused."""
        secret = sha256_hex(wish.code)

        async def work(transaction: Transaction) -> GatewayClaimed | Code:
            return await _claimed(transaction, wish, secret, self._clock)

        answer = await self._database.unit("claim", work, secret_sha256=secret)
        if isinstance(answer, Code):
            log.warning("claim_refused", problem=answer, code_sha256=secret[:12])
            raise Refused(answer, _REFUSAL, status=403)
        log.info("gateway_claimed", gateway_id=str(answer.gateway_id), tenant_id=str(answer.tenant_id))
        return answer


async def _claimed(transaction: Transaction, wish: ClaimGateway, secret: str, clock: Clock) -> GatewayClaimed | Code:
    found = await ClaimCode.get_or_none(secret_sha256=secret)
    if found is None or wish.gateway_id not in (None, found.gateway_id):
        return Code.CLAIM_CODE_UNKNOWN
    await transaction.become(found.tenant_id)
    # As whoever ends codes: the gateway first. What the clock says counts only once nobody else is at it.
    await transaction.fetch(_LOCK_GATEWAY, found.gateway_id)
    code, now = await ClaimCode.select_for_update().get(id=found.id), clock.now()
    refusal = why_refused(code.used_by, code.expires_at, wish.public_key, now)
    if refusal is not None:
        return refusal
    if code.used_by is None:
        code.used_by, code.used_at = wish.public_key, now
        await code.save(update_fields=["used_by", "used_at"])
        await auth.register_key(transaction, code.gateway_id, wish.public_key, wish.software, wish.ca_pem, now)
    gateway = await auth.gateway_with_key(code.gateway_id, wish.public_key)
    if gateway is None:
        return Code.CLAIM_CODE_USED  # a later code has put another key in its place
    site = await Site.get(id=gateway.site_id)
    return GatewayClaimed(
        gateway_id=code.gateway_id,
        tenant_id=code.tenant_id,
        site_id=site.id,
        site_name=site.name,
        currency=site.currency,
        server_time=now,
    )


async def create_tenant(transaction: Transaction, actor: Actor, tenant_id: UUID, name: str) -> None:
    """Inside a unit of that tenant."""
    await Tenant(tenant_id=tenant_id, name=name).save()
    about = Subject(SubjectKind.TENANT, tenant_id)
    await audit.record(transaction, actor, tenant_id, AuditAction.TENANT_CREATED, about, after={"name": name})


async def create_site(tenant_id: UUID, name: str, currency: str) -> UUID:
    """Inside a unit of the tenant: a new site, and its id."""
    site = Site(id=new_id(), tenant_id=tenant_id, name=name, currency=currency)
    await site.save()
    return site.id


async def add_site(transaction: Transaction, operator: Operator, new: NewSite) -> UUID:
    """Inside a unit of the tenant: a new site, and its id."""
    site = Site(id=new_id(), tenant_id=operator.tenant_id, **vars(new))
    await site.save()
    about, told = Subject(SubjectKind.SITE, site.id), dict(vars(new))
    deed = AuditAction.SITE_CREATED
    await audit.record(transaction, operator.actor, operator.tenant_id, deed, about, after=told)
    return site.id


async def gateway_of(transaction: Transaction, operator: Operator, site_id: UUID, name: str | None) -> UUID:
    """Inside a unit of the tenant: the id of the site's gateway; one of this name is made if it has none.

    The site's row stays locked, so that of two who make one at once the later finds the other's.
    """
    await transaction.fetch(_LOCK_SITE, site_id)
    found = await transaction.fetch_one("SELECT id FROM gateways WHERE site_id = $1", site_id)
    if found is not None:
        gateway_id: UUID = found["id"]
        return gateway_id
    gateway_id = await create_gateway(operator.tenant_id, site_id, name or "Gateway")
    about, told = Subject(SubjectKind.GATEWAY, gateway_id), {"site_id": str(site_id), "name": name}
    deed = AuditAction.GATEWAY_CREATED
    await audit.record(transaction, operator.actor, operator.tenant_id, deed, about, after=told)
    return gateway_id


async def gateway_name_of(transaction: Transaction, site_id: UUID) -> str | None:
    """Inside a unit of the tenant: what the site's gateway is called; None if it has none."""
    found = await transaction.fetch_one("SELECT name FROM gateways WHERE site_id = $1", site_id)
    return None if found is None else str(found["name"])


async def site_called(name: str) -> UUID | None:
    """Inside a unit of the tenant: the oldest site of this name."""
    found = await Site.filter(name=name).order_by("id").first()
    return None if found is None else found.id


async def site_page(transaction: Transaction, query: SiteQuery) -> SitePage:
    """The sites that are asked for. Raises Refused for a cursor that is not theirs."""
    return await read_page(transaction, SITES, query)


async def site(site_id: UUID) -> SiteRow:
    """Inside a unit of the tenant: one site. Raises NotFound."""
    found = there(await Site.get_or_none(id=site_id))
    return _site_row(found)


async def edit_site(
    transaction: Transaction, operator: Operator, site_id: UUID, edit: SiteEdit, expected: Precondition
) -> SiteRow:
    """Inside a unit of the tenant. Raises NotFound, Refused (403, 412, 422)."""
    found = there(await Site.select_for_update().get_or_none(id=site_id))
    # Postgres refuses it, too (the trigger sites_written_whole): here it gets its reason.
    if not operator.scope.is_everything and site_id not in operator.scope.sites:
        raise Refused(Code.FORBIDDEN, "You see only a part of this site.", status=403)
    was = _site_row(found)
    expected.require(was)
    given = edit.model_dump(exclude_unset=True)
    changes = {name: value for name, value in given.items() if value is not None or name in _COORDINATES}
    if (changes.get("latitude", found.latitude) is None) is not (changes.get("longitude", found.longitude) is None):
        raise invalid("longitude", "Latitude and longitude come together.")
    if changes:
        await found.update_from_dict(changes).save(update_fields=list(changes))
    now, about = _site_row(found), Subject(SubjectKind.SITE, site_id)
    told = {"before": was.model_dump(), "after": now.model_dump()}
    await audit.record(transaction, operator.actor, operator.tenant_id, AuditAction.SITE_CHANGED, about, **told)
    return now


def _site_row(found: Site) -> SiteRow:
    return SiteRow(
        site_id=found.id,
        name=found.name,
        address=found.address,
        latitude=found.latitude,
        longitude=found.longitude,
        currency=found.currency,
        time_zone=found.time_zone,
        tax_basis_points=found.tax_basis_points,
    )


async def create_gateway(tenant_id: UUID, site_id: UUID, name: str) -> UUID:
    """Inside a unit of the tenant: the site's gateway, yet unclaimed, and its id."""
    gateway_id = new_id()
    await auth.create_gateway(tenant_id, site_id, name, gateway_id)
    return gateway_id


async def issue_claim_code(
    transaction: Transaction, actor: Actor, tenant_id: UUID, gateway_id: UUID, now: datetime, *, carried: bool = False
) -> str:
    """Inside a unit of the tenant: a one-time code with which the gateway may register a key; shown this once.

    A gateway that was revoked is let in again by it. `carried`: in a bundle, so it lives longer. Raises NotFound.
    """
    if not await auth.gateway_exists(gateway_id):
        raise NotFound
    code = new_claim_code()
    row = ClaimCode(id=new_id(), tenant_id=tenant_id, gateway_id=gateway_id, created_at=now, carried=carried)
    row.secret_sha256, row.expires_at = sha256_hex(code), now + life_of(carried=carried)
    await row.save()
    about, ends = Subject(SubjectKind.GATEWAY, gateway_id), {"expires_at": row.expires_at, "carried": carried}
    await audit.record(transaction, actor, tenant_id, AuditAction.CLAIM_CODE_ISSUED, about, after=ends)
    return code


async def end_claim_codes(gateway_id: UUID, now: datetime) -> None:
    """Inside a unit of the tenant: no code that the gateway was given until now works any more."""
    await ClaimCode.filter(gateway_id=gateway_id, expires_at__gt=now).update(expires_at=now)


async def revoke_gateway(
    transaction: Transaction, actor: Actor, tenant_id: UUID, gateway_id: UUID, now: datetime
) -> None:
    """Inside a unit of the tenant: refuse this gateway until it claims its place with a code issued later.

    Raises NotFound.
    """
    await auth.revoke_gateway(transaction, gateway_id, now)
    await end_claim_codes(gateway_id, now)
    about = Subject(SubjectKind.GATEWAY, gateway_id)
    await audit.record(transaction, actor, tenant_id, AuditAction.GATEWAY_REVOKED, about)


async def lock_gateways(transaction: Transaction, site_ids: Sequence[UUID]) -> None:
    """Inside a unit of the tenant: until its end nobody takes facts of these sites, which add to stock and sums."""
    await transaction.fetch(_LOCK_GATEWAYS, list(site_ids))


async def currency_of(site_id: UUID) -> str:
    """Inside a unit of the tenant: the site's ISO 4217 currency."""
    return (await Site.get(id=site_id)).currency


async def append_changes(transaction: Transaction, site_id: UUID, bodies: Sequence[ChangeBody]) -> None:
    """Tell the site's gateway, in the transaction that makes it true.

    The site's row stays locked until the commit, so that number order = commit order.
    """
    if not bodies:
        return
    site = await transaction.fetch_one(_NUMBER, site_id, len(bodies))
    if site is None:
        raise LookupError(f"no site {site_id}")
    newest = site["last_change"]
    numbers = list(range(newest - len(bodies) + 1, newest + 1))
    lines = [body.model_dump_json() for body in bodies]
    await transaction.execute(_INSERT, site["tenant_id"], site_id, numbers, lines)
    await transaction.ring("site", site_id)


async def change_bounds(transaction: Transaction, site_id: UUID) -> ChangeBounds:
    """Which cursors can be answered."""
    site = await transaction.fetch_one(_BOUNDS, site_id)
    if site is None:
        raise LookupError(f"no site {site_id}")
    return ChangeBounds(site["pruned_change"], site["last_change"])


async def changes_since(transaction: Transaction, site_id: UUID, cursor: int, limit: int) -> list[tuple[int, str]]:
    """The next changes after `cursor`: number and JSON body."""
    return [(row["number"], row["body"]) for row in await transaction.fetch(_SINCE, site_id, cursor, limit)]


async def prune_changes(transaction: Transaction, site_id: UUID, up_to: int) -> None:
    """Forget changes up to a number; gateways with an older cursor will be sent the full state."""
    await transaction.execute(_MARK_PRUNED, site_id, up_to)
    await transaction.execute("DELETE FROM changes WHERE site_id = $1 AND number <= $2", site_id, up_to)
