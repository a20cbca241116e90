"""Sessions of people: opaque, kept on the server, known by the hash of their secret."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.auth import rules
from cloud.auth.members import know_actor
from cloud.callers import Actor, ActorKind, Operator, Scope, member
from cloud.clock import Clock, new_id
from cloud.database import Database, Row, Transaction
from cloud.errors import NotFound, Unauthenticated
from cloud.permissions import SECOND_FACTOR_ROLES, Permission, Role, permissions_of
from cloud.web import invalid
from shared.contract import Instant, Message

LONGEST_NAME = 120
SEEN_EVERY = timedelta(minutes=1)
VISITOR_ROLE = Role.ADMIN
"""What a platform admin may do in a tenant that they visit."""
NOT_VISITING = frozenset(
    {
        Permission.USERS_WRITE,
        Permission.SECOND_FACTORS_RESET,
        Permission.KEYS_WRITE,
        Permission.CUSTOMERS_READ,
        Permission.CUSTOMERS_WRITE,
        Permission.CUSTOMERS_ERASE,
        Permission.WEBHOOKS_WRITE,
    }
)
"""But not this: what they made would stay when they have gone, and customers are the tenant's own."""

_BY_HASH = """
    SELECT id, user_id, acts_for, second_factor_at, last_seen_at, expires_at FROM sessions WHERE secret_sha256 = $1
"""
_PERSON = """
    SELECT u.name, u.email, u.is_platform_admin, s.totp_confirmed_at IS NOT NULL AS has_second_factor,
           t.name AS tenant_name, m.role, m.sites, m.machines,
           EXISTS (SELECT 1 FROM platform_visits v
                   WHERE v.user_id = u.id AND v.tenant_id = $2 AND v.ends_at > $3) AS visits
    FROM users u
    JOIN user_secrets s ON s.user_id = u.id
    LEFT JOIN memberships m ON m.user_id = u.id AND m.tenant_id = $2
    LEFT JOIN tenants t ON t.tenant_id = $2
    WHERE u.id = $1
"""
_TENANTS = """
    SELECT t.tenant_id, t.name FROM memberships m JOIN tenants t USING (tenant_id)
    WHERE m.user_id = $1 ORDER BY t.name, t.tenant_id
"""
_OPEN = """
    INSERT INTO sessions (id, user_id, secret_sha256, acts_for, second_factor_at, address, agent, created_at,
                          last_seen_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)
"""
_LIST = """
    SELECT id AS session_id, address, agent, created_at, last_seen_at FROM sessions
    WHERE user_id = $1 AND expires_at > $2 AND last_seen_at > $3 ORDER BY last_seen_at DESC, id
"""


@dataclass(frozen=True)
class Person:
    """Somebody who has signed in, and how far."""

    user_id: UUID
    session_id: UUID
    name: str
    email: str
    is_platform_admin: bool
    has_second_factor: bool
    second_factor_at: datetime | None
    operator: Operator | None
    """What they are in the tenant they act for. None: they act for none, or are no member any more."""
    tenant_name: str | None

    @property
    def actor(self) -> Actor:
        """As the audit log names them."""
        return Actor(ActorKind.USER, self.user_id, self.name)

    @property
    def acts_for(self) -> UUID | None:
        """The tenant in which they may do something."""
        return None if self.operator is None else self.operator.tenant_id

    @property
    def is_half(self) -> bool:
        """The password was right; the second factor is still to come. Nothing is shown to them before."""
        return self.has_second_factor and self.second_factor_at is None

    @property
    def needs_second_factor(self) -> bool:
        """They may do nothing without one."""
        return self.is_platform_admin or (self.operator is not None and self.operator.role in SECOND_FACTOR_ROLES)


@dataclass(frozen=True)
class Membership:
    """A tenant that a person belongs to."""

    tenant_id: UUID
    name: str


class SessionRow(Message):
    """A session as its owner sees it."""

    session_id: UUID
    address: str
    agent: str
    created_at: Instant
    last_seen_at: Instant


@dataclass(frozen=True)
class Visitor:
    """From where somebody signs in: their network address and browser, as their list of sessions shows them."""

    address: str
    agent: str


class SessionService:
    """Looks after sessions."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def person(self, secret: str, *, is_seen: bool = True) -> Person:
        """Who is behind a session. Being seen keeps it alive; a page that looks by itself is nobody there.

        Raises Unauthenticated.
        """
        now, hashed = self._clock.now(), rules.sha256_hex(secret)

        async def work(transaction: Transaction) -> Person | None:
            session = await transaction.fetch_one(_BY_HASH, hashed)
            if session is None or not rules.session_holds(session["last_seen_at"], session["expires_at"], now):
                return None
            await transaction.become_person(session["user_id"])
            if is_seen and now - session["last_seen_at"] > SEEN_EVERY:
                await transaction.execute("UPDATE sessions SET last_seen_at = $2 WHERE id = $1", session["id"], now)
            row = await transaction.fetch_one(_PERSON, session["user_id"], session["acts_for"], now)
            return None if row is None else _person(session, row)

        found = await self._database.unit("sessions.person", work, secret_sha256=hashed)
        if found is None:
            raise Unauthenticated("Please sign in again.")
        return found

    async def tenants(self, person: Person) -> list[Membership]:
        """The tenants they belong to, by name."""

        async def work(transaction: Transaction) -> list[Membership]:
            return [Membership(**row) for row in await transaction.fetch(_TENANTS, person.user_id)]

        return await self._database.unit("sessions.tenants", work, user_id=person.user_id)

    async def act_for(self, person: Person, tenant_id: UUID) -> None:
        """From now on this session shows that tenant's pages. Raises NotFound."""

        async def work(transaction: Transaction) -> bool:
            if await transaction.fetch_one("SELECT 1 FROM tenants WHERE tenant_id = $1", tenant_id) is None:
                return False
            await transaction.execute("UPDATE sessions SET acts_for = $2 WHERE id = $1", person.session_id, tenant_id)
            return True

        if not await self._database.unit("sessions.act_for", work, user_id=person.user_id):
            raise NotFound

    async def rename(self, person: Person, name: str) -> None:
        """How others see them from now on, in each tenant they belong to. Raises Refused (422, field `name`)."""
        name = name.strip()
        if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
            raise invalid("name", f"must have 1 to {LONGEST_NAME} characters")

        async def work(transaction: Transaction) -> None:
            await transaction.execute("UPDATE users SET name = $2 WHERE id = $1", person.user_id, name)
            tenants = sorted(row["tenant_id"] for row in await transaction.fetch(_TENANTS, person.user_id))
            for tenant_id in tenants:  # in one order, since the log of each is locked until the commit
                await transaction.become(tenant_id)
                await know_actor(transaction, tenant_id, Actor(ActorKind.USER, person.user_id, name))
                await record_own(transaction, person.actor, tenant_id, AuditAction.USER_RENAMED)

        await self._database.unit("sessions.rename", work, user_id=person.user_id)

    async def sessions(self, person: Person) -> list[SessionRow]:
        """Where they are signed in, the one seen last first."""
        now = self._clock.now()

        async def work(transaction: Transaction) -> list[SessionRow]:
            rows = await transaction.fetch(_LIST, person.user_id, now, now - rules.SESSION_IDLE)
            return [SessionRow.model_validate(dict(row)) for row in rows]

        return await self._database.unit("sessions.list", work, user_id=person.user_id)

    async def end(self, person: Person, session_id: UUID) -> None:
        """Sign one session out. Raises NotFound."""

        async def work(transaction: Transaction) -> None:
            if not await transaction.execute("DELETE FROM sessions WHERE id = $1", session_id):
                raise NotFound
            await record_own(transaction, person.actor, person.acts_for, AuditAction.SESSION_ENDED)

        await self._database.unit("sessions.end", work, user_id=person.user_id)

    async def end_by_secret(self, secret: str) -> None:
        """Sign out whoever shows it, if there is such a session still."""
        hashed = rules.sha256_hex(secret)

        async def work(transaction: Transaction) -> None:
            session = await transaction.fetch_one(_BY_HASH, hashed)
            if session is not None:
                await transaction.become_person(session["user_id"])
                await transaction.execute("DELETE FROM sessions WHERE id = $1", session["id"])

        await self._database.unit("sessions.end_by_secret", work, secret_sha256=hashed)

    async def end_others(self, person: Person) -> int:
        """Sign out everywhere but here; how many sessions ended."""

        async def work(transaction: Transaction) -> int:
            ended = await end_sessions(transaction, person.user_id, but=person.session_id)
            await record_own(transaction, person.actor, person.acts_for, AuditAction.SIGNED_OUT_EVERYWHERE)
            return ended

        return await self._database.unit("sessions.end_others", work, user_id=person.user_id)


async def open_session(
    transaction: Transaction,
    user_id: UUID,
    visitor: Visitor,
    now: datetime,
    *,
    acts_for: UUID | None = None,
    second_factor_at: datetime | None = None,
    life: timedelta = rules.SESSION_LIFE,
) -> str:
    """Inside a unit of the person: a new session's secret, shown this once. It acts for a tenant, else their first."""
    secret = rules.new_secret()
    if acts_for is None:
        acts_for = await first_tenant(transaction, user_id)
    where = (visitor.address[:64], visitor.agent[:200])
    what = (new_id(), user_id, rules.sha256_hex(secret), acts_for, second_factor_at)
    await transaction.execute(_OPEN, *what, *where, now, now + life)
    return secret


async def first_tenant(transaction: Transaction, user_id: UUID) -> UUID | None:
    """Inside a unit of the person: the tenant, first by name, that they belong to."""
    tenants = await transaction.fetch(_TENANTS, user_id)
    return tenants[0]["tenant_id"] if tenants else None


async def record_own(transaction: Transaction, actor: Actor, tenant_id: UUID | None, action: AuditAction) -> None:
    """Inside a unit of the person, last: what they did about themselves, in the log of the tenant they act for."""
    if tenant_id is not None:
        await transaction.become(tenant_id)
    await audit.record(transaction, actor, tenant_id, action, Subject(SubjectKind.USER, actor.id))


async def end_sessions(transaction: Transaction, user_id: UUID, *, but: UUID | None = None) -> int:
    """Inside a unit of the person: sign them out everywhere, but perhaps in one session; how many ended."""
    gone = "DELETE FROM sessions WHERE user_id = $1 AND id IS DISTINCT FROM $2"
    return await transaction.execute(gone, user_id, but)


def _person(session: Row, row: Row) -> Person:
    return Person(
        user_id=session["user_id"],
        session_id=session["id"],
        name=row["name"],
        email=row["email"],
        is_platform_admin=row["is_platform_admin"],
        has_second_factor=row["has_second_factor"],
        second_factor_at=session["second_factor_at"],
        operator=_operator(session, row),
        tenant_name=row["tenant_name"],
    )


def _operator(session: Row, row: Row) -> Operator | None:
    tenant_id, user_id = session["acts_for"], session["user_id"]
    if row["role"] is not None:
        scope = Scope(frozenset(row["sites"]), frozenset(row["machines"]))
        return member(tenant_id, Actor(ActorKind.USER, user_id, row["name"]), Role(row["role"]), scope)
    if row["visits"] and row["is_platform_admin"]:
        actor = Actor(ActorKind.PLATFORM, user_id, row["name"])
        return Operator(tenant_id, actor, permissions_of(VISITOR_ROLE) - NOT_VISITING, role=VISITOR_ROLE)
    return None
