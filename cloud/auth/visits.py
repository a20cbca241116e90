"""How a platform admin acts in a tenant: for a reason, for an hour at most, and seen by the tenant."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.auth import rules
from cloud.auth.members import know_actor
from cloud.auth.sessions import Person
from cloud.callers import Actor, ActorKind
from cloud.clock import Clock, new_id
from cloud.database import Database, Transaction
from cloud.errors import NotFound, Refused
from cloud.web import invalid
from shared.errors import Code

LONGEST_MINUTES = 60
SHORTEST_REASON, LONGEST_REASON = 10, 500

_TENANTS = """
    SELECT tenant_id, name FROM tenants WHERE (name, tenant_id) > ($1, $2) ORDER BY name, tenant_id LIMIT $3
"""
_TENANT = "SELECT tenant_id, name FROM tenants WHERE tenant_id = $1"
_BEGIN = """
    INSERT INTO platform_visits (tenant_id, id, user_id, reason, began_at, ends_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
_END = "UPDATE platform_visits SET ends_at = $2 WHERE user_id = $1 AND ends_at > $2"
_RUNNING = """
    SELECT tenant_id, reason, began_at, ends_at FROM platform_visits WHERE user_id = $1 AND ends_at > $2
    ORDER BY ends_at DESC LIMIT 1
"""


@dataclass(frozen=True)
class TenantRow:
    """A tenant, for those who look after all."""

    tenant_id: UUID
    name: str


@dataclass(frozen=True)
class Visit:
    """A visit that has not ended yet."""

    tenant_id: UUID
    reason: str
    began_at: datetime
    ends_at: datetime


class VisitService:
    """Lets platform admins into tenants, and out again."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def tenants(self, person: Person, after: tuple[str, UUID], limit: int) -> list[TenantRow]:
        """All tenants by name, from after (name, id) on. Raises Refused (403)."""
        require_platform_admin(person)

        async def work(transaction: Transaction) -> list[TenantRow]:
            return [TenantRow(**row) for row in await transaction.fetch(_TENANTS, *after, limit)]

        return await self._database.unit("visits.tenants", work, user_id=person.user_id)

    async def tenant(self, person: Person, tenant_id: UUID) -> TenantRow:
        """One of them. Raises NotFound, Refused (403)."""
        require_platform_admin(person)

        async def work(transaction: Transaction) -> TenantRow | None:
            row = await transaction.fetch_one(_TENANT, tenant_id)
            return None if row is None else TenantRow(**row)

        found = await self._database.unit("visits.tenant", work, user_id=person.user_id)
        if found is None:
            raise NotFound
        return found

    async def begin(self, person: Person, tenant_id: UUID, reason: str, minutes: int) -> None:
        """Their session acts for the tenant until then, as an admin would; the tenant's audit log says why.

        Raises NotFound, Refused (403: no platform admin, or their second factor was shown too long ago; 422).
        """
        require_platform_admin(person)
        now, reason = self._clock.now(), require_reason(reason)
        if not 1 <= minutes <= LONGEST_MINUTES:
            raise invalid("minutes", f"must be a number from 1 to {LONGEST_MINUTES}")
        if not rules.is_fresh(person.second_factor_at, now):
            raise Refused(Code.SECOND_FACTOR_REQUIRED, "Show your second factor once more for this.", status=403)
        actor = Actor(ActorKind.PLATFORM, person.user_id, person.name)
        await self.end(person)

        async def work(transaction: Transaction) -> None:
            if await transaction.fetch_one("SELECT 1 FROM tenants WHERE tenant_id = $1", tenant_id) is None:
                raise NotFound
            await transaction.become_person(person.user_id)
            ends_at = now + timedelta(minutes=minutes)
            await transaction.execute(_BEGIN, tenant_id, new_id(), person.user_id, reason, now, ends_at)
            await transaction.execute("UPDATE sessions SET acts_for = $2 WHERE id = $1", person.session_id, tenant_id)
            await know_actor(transaction, tenant_id, actor)
            subject, told = Subject(SubjectKind.TENANT, tenant_id), {"reason": reason, "minutes": minutes}
            await audit.record(transaction, actor, tenant_id, AuditAction.TENANT_ENTERED, subject, after=told)

        await self._database.unit("visits.begin", work, tenant_id=tenant_id)

    async def end(self, person: Person) -> None:
        """Out again, at once, from every tenant they visit."""
        now = self._clock.now()

        async def work(transaction: Transaction) -> None:
            await transaction.execute(_END, person.user_id, now)

        while (running := await self.running(person)) is not None and running.ends_at > now:
            await self._database.unit("visits.end", work, tenant_id=running.tenant_id)

    async def running(self, person: Person) -> Visit | None:
        """The visit that has not ended yet."""
        now = self._clock.now()

        async def work(transaction: Transaction) -> Visit | None:
            row = await transaction.fetch_one(_RUNNING, person.user_id, now)
            return None if row is None else Visit(**row)

        return await self._database.unit("visits.running", work, user_id=person.user_id)


def require_platform_admin(person: Person) -> None:
    """Raises Refused (403) unless they look after all businesses, and have a second factor."""
    if not person.is_platform_admin or not person.has_second_factor:
        raise Refused(Code.FORBIDDEN, "Only who looks after all businesses may do this.", status=403)


def require_reason(reason: str) -> str:
    """Why they do something to others, for those to read. Raises Refused (422, field `reason`)."""
    reason = reason.strip()
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise invalid("reason", f"must have {SHORTEST_REASON} to {LONGEST_REASON} characters")
    return reason
