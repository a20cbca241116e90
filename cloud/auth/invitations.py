"""Invitations: a mailed link by which somebody joins a tenant, as themselves or as somebody new."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.auth import rules
from cloud.auth.leaving import require_still
from cloud.auth.members import Ids, Standing, join, require_grantable
from cloud.auth.passwords import Passwords
from cloud.auth.sessions import Person
from cloud.callers import Actor, ActorKind, Operator
from cloud.clock import Clock, new_id
from cloud.database import Database, Row, Transaction
from cloud.errors import NotFound, Refused
from cloud.lists import Listing, PageQuery, Sort, read_page
from cloud.mail import Mail, MailRoom
from cloud.permissions import Role
from cloud.web import invalid
from shared.contract import Instant, Message, Name
from shared.errors import Code

Address = Annotated[str, StringConstraints(min_length=3, max_length=254)]

_ROWS = """
    SELECT i.id AS invitation_id, i.email, i.role, i.sites, i.machines, i.invited_by, i.created_at, i.expires_at
    FROM {picked}
"""
_WAITS = "i.accepted_at IS NULL AND i.revoked_at IS NULL"
_INVITATION = _ROWS.format(picked="invitations i") + f" WHERE i.id = $1 AND {_WAITS} FOR UPDATE"
_INVITE = """
    INSERT INTO invitations (tenant_id, id, email, email_key, role, sites, machines, secret_sha256, invited_by,
                             inviter_id, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT (tenant_id, email_key) WHERE accepted_at IS NULL AND revoked_at IS NULL DO NOTHING
"""
_RENEW = """
    UPDATE invitations SET secret_sha256 = $2, expires_at = $3, invited_by = $4, inviter_id = $5 WHERE id = $1
"""
_WITHDRAW = "UPDATE invitations SET revoked_at = $2 WHERE id = $1 AND accepted_at IS NULL AND revoked_at IS NULL"
_IS_MEMBER = "SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id WHERE u.email_key = $1"


_BY_LINK = """
    SELECT tenant_id, id, email, email_key, role, sites, machines, invited_by, expires_at, accepted_at, revoked_at
    FROM invitations WHERE secret_sha256 = $1
"""
_ACCEPT = "UPDATE invitations SET accepted_at = $2 WHERE id = $1"
_NEW_USER = """
    INSERT INTO users (id, email, email_key, name, created_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING
"""
_NEW_SECRETS = "INSERT INTO user_secrets (user_id, password_hash, changed_at) VALUES ($1, $2, $3)"


class InviteUser(Message):
    """Whom to invite as what; `sites` and `machines` empty: to all of the tenant."""

    email: Address
    role: Role
    sites: Ids = ()
    machines: Ids = ()


class InvitationRow(Message):
    """An invitation that waits to be accepted."""

    invitation_id: UUID
    email: str
    role: Role
    sites: tuple[UUID, ...]
    machines: tuple[UUID, ...]
    invited_by: Name
    created_at: Instant
    expires_at: Instant


def _invitation(row: Row) -> InvitationRow:
    return InvitationRow.model_validate(dict(row), strict=False)


class InvitationQuery(PageQuery):
    """Invitations that wait, the newest first."""

    row = InvitationRow


class InvitationPage(Message):
    """A page of invitations that wait, the newest first."""

    invitations: tuple[InvitationRow, ...]
    next_cursor: str | None


_INVITATIONS = Listing(
    name="invitations",
    row=InvitationRow,
    page=InvitationPage,
    table="invitations i",
    show=_ROWS,
    read=_invitation,
    sorts={"-created_at": Sort({"created_at": "i.created_at", "invitation_id": "i.id"}, descending=True)},
    where=_WAITS,
)


@dataclass(frozen=True)
class Offer:
    """What an invitation's link offers to whoever opens it."""

    tenant_name: str
    email: str
    role: Role
    invited_by: str
    is_known: bool
    """Somebody has this address already: they sign in and accept as themselves."""


class InvitationService:
    """Lets people join."""

    def __init__(
        self, database: Database, clock: Clock, passwords: Passwords, mails: MailRoom, public_url: str
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._mails = mails
        self._public_url = public_url

    async def invitations(self, operator: Operator, query: InvitationQuery) -> InvitationPage:
        """Those that wait. Raises Refused for a cursor that is not theirs."""

        async def work(transaction: Transaction) -> InvitationPage:
            return await read_page(transaction, _INVITATIONS, query)

        return await self._database.unit("invitations.invitations", work, caller=operator)

    async def invite(
        self, transaction: Transaction, operator: Operator, wish: InviteUser
    ) -> tuple[InvitationRow, Mail]:
        """Inside a unit of the operator's: an invitation, and the mail to `send` once it is committed.

        Raises Refused (403, 409: a member or invited already; 422).
        """
        if not rules.is_address(wish.email.strip()):
            raise invalid("email", "is no e-mail address")
        standing, email = Standing(wish.role, wish.sites, wish.machines), wish.email.strip()
        invitation_id, secret, now = new_id(), rules.new_secret(), self._clock.now()
        await require_still(transaction, operator)
        await require_grantable(transaction, operator, standing)
        if await transaction.fetch_one(_IS_MEMBER, rules.folded(email)) is not None:
            raise Refused(Code.CONFLICT, "They belong to this business already.", status=409)
        what = (invitation_id, email, rules.folded(email), standing.role, list(wish.sites), list(wish.machines))
        inviter = (operator.actor.name, operator.actor.id)
        kept = (rules.sha256_hex(secret), *inviter, now, now + rules.INVITATION_LIFE)
        if not await transaction.execute(_INVITE, operator.tenant_id, *what, *kept):
            raise Refused(Code.CONFLICT, "They have been invited already; send it again instead.", status=409)
        row, tenant = await _invited(transaction, invitation_id)
        subject, told = Subject(SubjectKind.INVITATION, invitation_id), standing.told()
        deed = AuditAction.USER_INVITED
        await audit.record(transaction, operator.actor, operator.tenant_id, deed, subject, after=told)
        return row, self._mail(row, tenant, secret)

    def send(self, mails: Sequence[Mail]) -> None:
        """Put them in the post."""
        for mail in mails:
            self._mails.send(mail)

    async def send_again(self, operator: Operator, invitation_id: UUID) -> InvitationRow:
        """A new link, for another week; that of before is worth nothing any more. Whoever sends it answers for it.

        Raises NotFound, Refused (403) when they could not have made it.
        """
        secret, expires = rules.new_secret(), self._clock.now() + rules.INVITATION_LIFE

        async def work(transaction: Transaction) -> tuple[InvitationRow, str]:
            row, _ = await _invited(transaction, invitation_id)
            await require_still(transaction, operator)
            await require_grantable(transaction, operator, Standing(row.role, row.sites, row.machines))
            inviter = (operator.actor.name, operator.actor.id)
            await transaction.execute(_RENEW, invitation_id, rules.sha256_hex(secret), expires, *inviter)
            renewed = await _invited(transaction, invitation_id)
            subject, deed = Subject(SubjectKind.INVITATION, invitation_id), AuditAction.INVITATION_SENT_AGAIN
            await audit.record(transaction, operator.actor, operator.tenant_id, deed, subject)
            return renewed

        row, tenant = await self._database.unit("invitations.send_again", work, caller=operator)
        self._mails.send(self._mail(row, tenant, secret))
        return row

    async def withdraw(self, operator: Operator, invitation_id: UUID) -> None:
        """Its link is worth nothing any more. Raises NotFound."""
        now = self._clock.now()

        async def work(transaction: Transaction) -> None:
            if not await transaction.execute(_WITHDRAW, invitation_id, now):
                raise NotFound
            subject = Subject(SubjectKind.INVITATION, invitation_id)
            await audit.record(
                transaction, operator.actor, operator.tenant_id, AuditAction.INVITATION_WITHDRAWN, subject
            )

        await self._database.unit("invitations.withdraw", work, caller=operator)

    def _mail(self, row: InvitationRow, tenant: str, secret: str) -> Mail:
        link = f"{self._public_url}/invitations/{secret}"
        return Mail(
            to=row.email,
            subject=f"{row.invited_by} invites you to {tenant} on Larder",
            text=f"Hello,\n\n{row.invited_by} invites you to look after the vending machines of {tenant} as"
            f" {row.role}. This link works once, for a week:\n\n{link}\n\nIf you do not know them, do nothing.\n",
        )

    async def offer(self, secret: str) -> Offer:
        """What a link offers. Raises Refused (409) when it is no good any more."""

        async def work(transaction: Transaction) -> Offer:
            row = await self._open(transaction, secret)
            tenant = await transaction.fetch_one("SELECT name FROM tenants WHERE tenant_id = current_tenant()")
            assert tenant is not None  # noqa: S101  a foreign key says so
            is_known = await _user_of(transaction, row["email_key"]) is not None
            return Offer(tenant["name"], row["email"], Role(row["role"]), row["invited_by"], is_known)

        return await self._database.unit("invitations.offer", work, secret_sha256=rules.sha256_hex(secret))

    async def accept_as_new(self, secret: str, name: str, password: str) -> None:
        """Join as somebody new, whose address the mail has proven.

        Raises Refused (409: no good any more, or known by now; 422: fields `name`, `password`).
        """
        offer, name = await self.offer(secret), name.strip()
        if not 1 <= len(name) <= 120 or not name.isprintable():
            raise invalid("name", "must have 1 to 120 characters that can be printed")
        why = await self._passwords.why_weak(password, offer.email, name)
        if why is not None:
            raise invalid("password", why)
        hashed, user_id, now = await self._passwords.hash(password), new_id(), self._clock.now()

        async def work(transaction: Transaction) -> None:
            row = await self._open(transaction, secret)
            await create_user(transaction, user_id, row["email"], name, hashed, now)
            await _accept(transaction, row, user_id, name, now)

        await self._database.unit("invitations.accept", work, secret_sha256=rules.sha256_hex(secret))

    async def accept(self, person: Person, secret: str) -> UUID:
        """Join as who has signed in; the tenant's id. Raises Refused (403: it is for another address; 409)."""
        now = self._clock.now()

        async def work(transaction: Transaction) -> UUID:
            row = await self._open(transaction, secret)
            if row["email_key"] != rules.folded(person.email):
                raise Refused(Code.FORBIDDEN, f"This invitation is for {row['email']}.", status=403)
            await _accept(transaction, row, person.user_id, person.name, now)
            joined: UUID = row["tenant_id"]
            return joined

        return await self._database.unit("invitations.accept", work, secret_sha256=rules.sha256_hex(secret))

    async def _open(self, transaction: Transaction, secret: str) -> Row:
        """The invitation, locked, and the unit is its tenant's from here on. Raises Refused (409)."""
        hashed = rules.sha256_hex(secret)
        row = await transaction.fetch_one(_BY_LINK, hashed)
        if row is not None:
            await transaction.become(row["tenant_id"])
            row = await transaction.fetch_one(_BY_LINK + " FOR UPDATE", hashed)
        if row is None or row["accepted_at"] or row["revoked_at"] or row["expires_at"] <= self._clock.now():
            raise Refused(Code.LINK_EXPIRED, "This invitation was used, withdrawn, or is too old.", status=409)
        return row


async def create_user(
    transaction: Transaction, user_id: UUID, email: str, name: str, password_hash: str | None, now: datetime
) -> None:
    """Somebody new; the unit is theirs, too, from here on. Raises Refused (409) when somebody has this address."""
    await transaction.become_person(user_id)
    if not await transaction.execute(_NEW_USER, user_id, email, rules.folded(email), name, now):
        raise Refused(Code.CONFLICT, "Somebody has an account with this address already.", status=409)
    await transaction.execute(_NEW_SECRETS, user_id, password_hash, now)


async def _accept(transaction: Transaction, row: Row, user_id: UUID, name: str, now: datetime) -> None:
    if await transaction.fetch_one("SELECT 1 FROM memberships WHERE user_id = $1", user_id) is not None:
        raise Refused(Code.CONFLICT, "You belong to this business already.", status=409)
    await transaction.execute(_ACCEPT, row["id"], now)
    standing = Standing(Role(row["role"]), row["sites"], row["machines"])
    await join(transaction, row["tenant_id"], user_id, name, standing, now)
    actor, subject = Actor(ActorKind.USER, user_id, name), Subject(SubjectKind.INVITATION, row["id"])
    told = standing.told()
    await audit.record(transaction, actor, row["tenant_id"], AuditAction.INVITATION_ACCEPTED, subject, after=told)


async def _user_of(transaction: Transaction, folded_address: str) -> Row | None:
    await transaction.show_address(folded_address)
    return await transaction.fetch_one("SELECT id FROM users WHERE email_key = $1", folded_address)


async def _invited(transaction: Transaction, invitation_id: UUID) -> tuple[InvitationRow, str]:
    """The invitation, locked, and its tenant's name. Raises NotFound."""
    row = await transaction.fetch_one(_INVITATION, invitation_id)
    tenant = await transaction.fetch_one("SELECT name FROM tenants WHERE tenant_id = current_tenant()")
    if row is None or tenant is None:
        raise NotFound
    return _invitation(row), tenant["name"]
