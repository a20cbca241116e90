"""Who belongs to a tenant: their roles, the part of it that each sees, and going."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.auth.leaving import Ended, Made, end_what_was_made, made_by
from cloud.auth.rules import may_decide_about
from cloud.callers import Actor, ActorKind, Operator, Scope, member
from cloud.clock import Clock
from cloud.conditional import Precondition
from cloud.database import Database, Row, Transaction
from cloud.errors import Refused, there
from cloud.lists import Listing, PageQuery, Sort, read_page
from cloud.permissions import Role
from cloud.web import invalid
from shared.contract import Instant, Message, Name
from shared.errors import Code

Ids = Annotated[tuple[UUID, ...], Field(max_length=500)]

_ROWS = """
    SELECT u.id AS user_id, u.name, u.email, m.role, m.sites, m.machines, m.created_at
    FROM memberships m JOIN users u ON u.id = m.user_id
"""
_ONE = f"{_ROWS} WHERE m.user_id = $1"
_OWNERS = "SELECT count(*) AS owners FROM memberships WHERE role = 'owner'"
_LOCK_TENANT = "SELECT pg_advisory_xact_lock(hashtextextended('members ' || current_setting('app.tenant'), 0))"
_CHANGE = "UPDATE memberships SET role = $2, sites = $3, machines = $4 WHERE user_id = $1"
_JOIN = """
    INSERT INTO memberships (tenant_id, user_id, role, sites, machines, created_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
_UNKNOWN = """
    SELECT id FROM unnest($1::uuid[]) AS u (id) WHERE NOT EXISTS (SELECT 1 FROM sites s WHERE s.id = u.id)
    UNION ALL
    SELECT id FROM unnest($2::uuid[]) AS u (id) WHERE NOT EXISTS (SELECT 1 FROM machines m WHERE m.id = u.id)
"""


class ChangeUser(Message):
    """What a user shall be from now on; what is left out stays."""

    role: Role | None = None
    sites: Ids | None = None
    machines: Ids | None = None


class UserRow(Message):
    """A user as others of the tenant see them."""

    user_id: UUID
    name: Name
    email: str
    role: Role
    sites: tuple[UUID, ...]
    machines: tuple[UUID, ...]
    created_at: Instant


class UserChanged(UserRow):
    """A user as they are from now on, and what they could not make any more."""

    ended: Ended


class SessionsEnded(Message):
    """How many sessions ended."""

    sessions: int


def _user(row: Row) -> UserRow:
    return UserRow.model_validate(dict(row), strict=False)


class UserQuery(PageQuery):
    """Users by name."""

    row = UserRow


class UserPage(Message):
    """A page of users by name."""

    users: tuple[UserRow, ...]
    next_cursor: str | None


_USERS = Listing(
    name="users",
    row=UserRow,
    page=UserPage,
    table=f"({_ROWS}) u",
    show="SELECT u.* FROM {picked}",
    read=_user,
    sorts={"name": Sort({"name": "u.name", "user_id": "u.user_id"})},
)


@dataclass(frozen=True)
class Standing:
    """A role and the part of the tenant that goes with it."""

    role: Role
    sites: Sequence[UUID]
    machines: Sequence[UUID]

    def scope(self) -> Scope:
        """The part, as callers have it."""
        return Scope(frozenset(self.sites), frozenset(self.machines))

    def told(self) -> dict[str, object]:
        """For the audit log."""
        return {"role": self.role.value, "sites": list(map(str, self.sites)), "machines": list(map(str, self.machines))}


class MemberService:
    """What those may do with users who may do it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def users(self, operator: Operator, query: UserQuery) -> UserPage:
        """The tenant's users by name. Raises Refused for a cursor that is not theirs."""

        async def work(transaction: Transaction) -> UserPage:
            return await read_page(transaction, _USERS, query)

        return await self._database.unit("members.users", work, caller=operator)

    async def user(self, operator: Operator, user_id: UUID) -> UserRow:
        """One of them. Raises NotFound."""

        async def work(transaction: Transaction) -> UserRow:
            return _user(await _member(transaction, user_id))

        return await self._database.unit("members.user", work, caller=operator)

    async def made_by(self, operator: Operator, user_id: UUID) -> Made:
        """What would end with a user's right to it. Raises NotFound."""
        now = self._clock.now()

        async def work(transaction: Transaction) -> Made:
            await _member(transaction, user_id)
            return await made_by(transaction, user_id, now)

        return await self._database.unit("members.made_by", work, caller=operator)

    async def change(
        self,
        operator: Operator,
        user_id: UUID,
        wish: ChangeUser,
        expected: Precondition,
        *,
        keep_keys: bool = False,
    ) -> UserChanged:
        """Another role, or another part to see; in force with their next request. What they could not make any more
        ends, but API keys that the operator keeps.

        Raises NotFound, Refused (403: mightier than the operator; 409: the last owner; 412; 422).
        """
        at = self._clock.now()

        async def work(transaction: Transaction) -> UserChanged:
            await transaction.execute(_LOCK_TENANT)
            row = await _member(transaction, user_id)
            expected.require(_user(row))
            was = Standing(Role(row["role"]), row["sites"], row["machines"])
            now = Standing(
                wish.role or was.role,
                was.sites if wish.sites is None else wish.sites,
                was.machines if wish.machines is None else wish.machines,
            )
            _require_mightier(operator, was.role)
            await require_grantable(transaction, operator, now)
            await transaction.execute(_CHANGE, user_id, now.role, list(now.sites), list(now.machines))
            if was.role is Role.OWNER:
                await _require_owner(transaction)
            action = AuditAction.ROLE_CHANGED if was.role is not now.role else AuditAction.SCOPE_CHANGED
            subject = Subject(SubjectKind.USER, user_id)
            told = {"before": was.told(), "after": now.told()}
            shown = _user(await _member(transaction, user_id))
            left = member(operator.tenant_id, Actor(ActorKind.USER, user_id, shown.name), now.role, now.scope())
            ended = await end_what_was_made(transaction, operator, user_id, left, at, keep_keys=keep_keys)
            await audit.record(transaction, operator.actor, operator.tenant_id, action, subject, **told)
            return UserChanged(**shown.model_dump(), ended=ended)

        return await self._database.unit("members.change", work, caller=operator)

    async def end_sessions(self, operator: Operator, user_id: UUID) -> SessionsEnded:
        """Sign a user out everywhere, at once. Raises NotFound, Refused (403: mightier than the operator)."""

        async def work(transaction: Transaction) -> SessionsEnded:
            await require_decidable(transaction, operator, user_id)
            await transaction.become_person(user_id)
            ended = await transaction.execute("DELETE FROM sessions WHERE user_id = $1", user_id)
            subject, told = Subject(SubjectKind.USER, user_id), {"how_many": ended}
            await audit.record(
                transaction, operator.actor, operator.tenant_id, AuditAction.SESSIONS_ENDED, subject, after=told
            )
            return SessionsEnded(sessions=ended)

        return await self._database.unit("members.end_sessions", work, caller=operator)

    async def remove(self, operator: Operator, user_id: UUID, *, keep_keys: bool = False) -> Ended:
        """From their next request on they see nothing of the tenant, and what they made ends, but API keys that the
        operator keeps. Raises NotFound, Refused (403, 409).
        """
        at = self._clock.now()

        async def work(transaction: Transaction) -> Ended:
            await transaction.execute(_LOCK_TENANT)
            row = await _member(transaction, user_id)
            was = Standing(Role(row["role"]), row["sites"], row["machines"])
            _require_mightier(operator, was.role)
            await transaction.execute("DELETE FROM memberships WHERE user_id = $1", user_id)
            if was.role is Role.OWNER:
                await _require_owner(transaction)
            ended = await end_what_was_made(transaction, operator, user_id, None, at, keep_keys=keep_keys)
            subject = Subject(SubjectKind.USER, user_id)
            await audit.record(
                transaction, operator.actor, operator.tenant_id, AuditAction.USER_REMOVED, subject, before=was.told()
            )
            return ended

        return await self._database.unit("members.remove", work, caller=operator)


async def require_decidable(transaction: Transaction, operator: Operator, user_id: UUID) -> Row:
    """Inside a unit of the operator: the row of a member who may do no more than they.

    Raises NotFound, Refused (403).
    """
    row = await _member(transaction, user_id)
    _require_mightier(operator, Role(row["role"]))
    return row


async def join(
    transaction: Transaction, tenant_id: UUID, user_id: UUID, name: str, standing: Standing, now: datetime
) -> None:
    """Inside a unit of the tenant: a user becomes a member of it."""
    what = (tenant_id, user_id, standing.role, list(standing.sites), list(standing.machines), now)
    await transaction.execute(_JOIN, *what)
    await know_actor(transaction, tenant_id, Actor(ActorKind.USER, user_id, name))


async def know_actor(transaction: Transaction, tenant_id: UUID, actor: Actor) -> None:
    """Inside a unit of the tenant: records may name them from here on."""
    await transaction.execute(
        "INSERT INTO actors (tenant_id, id, kind, name) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT ON CONSTRAINT actors_pkey DO UPDATE SET name = excluded.name",
        *(tenant_id, actor.id, actor.kind, actor.name),
    )


async def names_of(transaction: Transaction, ids: Sequence[UUID]) -> dict[UUID, str]:
    """Inside a unit of the tenant: what people and programs among these ids are called now."""
    rows = await transaction.fetch("SELECT id, name FROM actors WHERE id = ANY($1::uuid[])", list(ids))
    return {row["id"]: row["name"] for row in rows}


async def _member(transaction: Transaction, user_id: UUID) -> Row:
    return there(await transaction.fetch_one(_ONE, user_id))


def _require_mightier(operator: Operator, role: Role) -> None:
    """Nobody touches, or makes, somebody who may do more than they. Raises Refused (403)."""
    if not may_decide_about(operator, role):
        raise Refused(Code.FORBIDDEN, f"You cannot decide about an {role}.", status=403)


async def require_grantable(transaction: Transaction, operator: Operator, standing: Standing) -> None:
    """Inside a unit of the operator: whether they may give it. Raises Refused (403, 422)."""
    _require_mightier(operator, standing.role)
    if standing.role is Role.OWNER and (standing.sites or standing.machines):
        raise invalid("sites", "must be empty: an owner sees all")
    if await transaction.fetch(_UNKNOWN, list(standing.sites), list(standing.machines)):
        raise invalid("sites", "names a site or machine that is not there")


async def _require_owner(transaction: Transaction) -> None:
    row = await transaction.fetch_one(_OWNERS)
    if row is None or not row["owners"]:
        raise Refused(Code.CONFLICT, "A business needs an owner: make somebody else one first.", status=409)
