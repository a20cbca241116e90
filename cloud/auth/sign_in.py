"""How people sign in: an address, a password, and a second factor where there is one. All failures look alike."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from cloud.audit.rules import AuditAction
from cloud.auth import rules
from cloud.auth.passwords import Passwords
from cloud.auth.second_factor import SecondFactors
from cloud.auth.sessions import Person, Visitor, end_sessions, first_tenant, open_session, record_own
from cloud.callers import Actor, ActorKind
from cloud.clock import Clock, new_id
from cloud.database import Database, Row, Transaction
from cloud.errors import Refused, Unauthenticated
from cloud.mail import Mail, MailRoom
from cloud.throttle import Throttle
from cloud.web import invalid
from shared.errors import Code

log = structlog.get_logger()

_FIND = """
    SELECT u.id, u.name, u.email FROM users u WHERE u.email_key = $1
"""
_SECRETS = "SELECT password_hash, totp_confirmed_at FROM user_secrets WHERE user_id = $1"
_STILL = "SELECT 1 FROM user_secrets WHERE user_id = $1 AND password_hash = $2 FOR SHARE"
_FORGET_RESETS = "UPDATE password_resets SET used_at = $2 WHERE user_id = $1 AND used_at IS NULL"
_KEEP_PASSWORD = "UPDATE user_secrets SET password_hash = $2, changed_at = $3 WHERE user_id = $1"  # noqa: S105
_KEEP_RESET = """
    INSERT INTO password_resets (id, user_id, secret_sha256, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)
"""
_RESET = "SELECT id, user_id, expires_at, used_at FROM password_resets WHERE secret_sha256 = $1"
_WRONG = "This address and password do not belong together."
_USED = "This link has been used or is too old. Ask for a new one."


@dataclass(frozen=True)
class SignedIn:
    """A session's secret, shown this once; whether the second factor is still to come, and for how long it lives."""

    secret: str
    is_half: bool
    life: timedelta


class SignInService:
    """Lets people in, and lets them in again who forgot their password."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        passwords: Passwords,
        factors: SecondFactors,
        throttle: Throttle,
        mails: MailRoom,
        public_url: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._factors = factors
        self._throttle = throttle
        self._mails = mails
        self._public_url = public_url

    async def sign_in(self, address: str, password: str, visitor: Visitor) -> SignedIn:
        """Takes as long for an address nobody has. Raises Unauthenticated, TooManyRequests, Unavailable."""
        key = rules.folded(address)
        await self._throttle.attempt(key)
        user, secrets = await self._database.unit("sign_in.find", lambda t: _find(t, key))
        kept = secrets["password_hash"] if secrets else None
        fits = len(password) <= rules.LONGEST_PASSWORD and await self._passwords.match(kept, password)
        if user is None or secrets is None or not fits:
            log.info("sign_in_refused", address=visitor.address)
            raise Unauthenticated(_WRONG)
        renewed = await self._passwords.hash(password) if self._passwords.is_outdated(kept or "") else None
        is_half = secrets["totp_confirmed_at"] is not None
        actor = Actor(ActorKind.USER, user["id"], user["name"])
        return await self._open(actor, visitor, kept=kept or "", renewed=renewed, is_half=is_half)

    async def show_second_factor(self, person: Person, code: str, visitor: Visitor) -> SignedIn:
        """A code of the app, or a recovery code: a session that has shown it, in place of the one before.

        Raises Unauthenticated, TooManyRequests.
        """
        await self._throttle.attempt(f"second factor {person.user_id}")
        now = self._clock.now()

        async def work(transaction: Transaction) -> str | None:
            if not await self._factors.take(transaction, person.user_id, code, now):
                return None
            if not await transaction.execute("DELETE FROM sessions WHERE id = $1", person.session_id):
                return None  # it was ended meanwhile, by whom and for what reason ever
            secret = await open_session(
                transaction, person.user_id, visitor, now, acts_for=person.acts_for, second_factor_at=now
            )
            if person.is_half:  # else they were in, and have shown it once more
                await record_own(transaction, person.actor, person.acts_for, AuditAction.SIGNED_IN)
            return secret

        secret = await self._database.unit("sign_in.second_factor", work, user_id=person.user_id)
        if secret is None:
            log.info("second_factor_refused", user_id=str(person.user_id), address=visitor.address)
            raise Unauthenticated("This code is not right, or was used before.")
        return SignedIn(secret, is_half=False, life=rules.SESSION_LIFE)

    async def change_password(self, person: Person, old: str, new: str) -> None:
        """All other sessions end. Raises Refused (fields `old`, `new`), TooManyRequests."""
        await self.require_password(person, old, "old")
        await self.refuse_weak(new, person.email, person.name, "new")
        hashed, now = await self._passwords.hash(new), self._clock.now()

        async def work(transaction: Transaction) -> None:
            await transaction.execute(_KEEP_PASSWORD, person.user_id, hashed, now)
            await transaction.execute(_FORGET_RESETS, person.user_id, now)
            await end_sessions(transaction, person.user_id, but=person.session_id)
            await record_own(transaction, person.actor, person.acts_for, AuditAction.PASSWORD_CHANGED)

        await self._database.unit("sign_in.change_password", work, user_id=person.user_id)
        self._mails.send(_changed(person.email))

    async def require_password(self, person: Person, password: str, field: str) -> None:
        """Raises Refused that names the field unless it is theirs, TooManyRequests."""
        key = rules.folded(person.email)
        await self._throttle.attempt(key)
        _, secrets = await self._database.unit("sign_in.find", lambda t: _find(t, key))
        if secrets is None or not await self._passwords.match(secrets["password_hash"], password):
            raise invalid(field, "is not your password")

    async def forget(self, address: str) -> None:
        """Mail a link to choose a new password, if somebody has this address; nobody learns whether.

        Raises TooManyRequests.
        """
        key = rules.folded(address)
        await self._throttle.attempt(f"reset {key}")
        link = await self.reset_link(key)
        if link is not None:
            user, url = link
            self._mails.send(_reset(user["email"], user["name"], url))

    async def reset_link(self, folded_address: str) -> tuple[Row, str] | None:
        """The user of an address and a one-time link of theirs, shown this once; None if nobody has it."""
        now, secret = self._clock.now(), rules.new_secret()

        async def work(transaction: Transaction) -> Row | None:
            user, _ = await _find(transaction, folded_address)
            if user is not None:
                await keep_reset(transaction, user["id"], secret, now, rules.RESET_LIFE)
            return user

        user = await self._database.unit("sign_in.reset_link", work)
        return None if user is None else (user, f"{self._public_url}/reset/{secret}")

    async def reset(self, secret: str, password: str) -> None:
        """Choose a new password by a mailed link, once; all sessions end. The second factor stays as it is.

        Raises Refused (409: the link is no good any more; 422: field `password`).
        """
        user = await self.check_reset(secret)
        await self.refuse_weak(password, user["email"], user["name"], "password")
        hashed, now = await self._passwords.hash(password), self._clock.now()

        async def work(transaction: Transaction) -> None:
            await self._user_of(transaction, secret)
            await transaction.execute("UPDATE password_resets SET used_at = $2 WHERE user_id = $1", user["id"], now)
            await transaction.execute(_KEEP_PASSWORD, user["id"], hashed, now)
            await end_sessions(transaction, user["id"])
            actor, tenant_id = (
                Actor(ActorKind.USER, user["id"], user["name"]),
                await first_tenant(transaction, user["id"]),
            )
            await record_own(transaction, actor, tenant_id, AuditAction.PASSWORD_CHANGED)

        await self._database.unit("sign_in.reset", work, secret_sha256=rules.sha256_hex(secret))
        self._mails.send(_changed(user["email"]))

    async def check_reset(self, secret: str) -> Row:
        """The user (id, name, email) of a link that can still be used. Raises Refused (409)."""
        hashed = rules.sha256_hex(secret)
        work = partial(self._user_of, secret=secret)
        return await self._database.unit("sign_in.check_reset", work, secret_sha256=hashed)

    async def refuse_weak(self, password: str, address: str, name: str, field: str) -> None:
        """Raises Refused that names the field, Unavailable."""
        why = await self._passwords.why_weak(password, address, name)
        if why is not None:
            raise invalid(field, why)

    async def _user_of(self, transaction: Transaction, secret: str) -> Row:
        """Whom a link belongs to; it is locked, and the unit is theirs from here on."""
        hashed = rules.sha256_hex(secret)
        row = await transaction.fetch_one(_RESET, hashed)
        if row is not None:
            await transaction.become_person(row["user_id"])
            row = await transaction.fetch_one(_RESET + " FOR UPDATE", hashed)
        if row is None or row["used_at"] is not None or row["expires_at"] <= self._clock.now():
            raise Refused(Code.LINK_EXPIRED, _USED, status=409)
        user = await transaction.fetch_one("SELECT id, name, email FROM users WHERE id = $1", row["user_id"])
        assert user is not None  # noqa: S101  a foreign key says so
        return user

    async def _open(self, actor: Actor, visitor: Visitor, *, kept: str, renewed: str | None, is_half: bool) -> SignedIn:
        """A session, if the password that was compared is theirs still: else it would outlive the change."""
        now, life = self._clock.now(), rules.HALF_LIFE if is_half else rules.SESSION_LIFE

        async def work(transaction: Transaction) -> str | None:
            if await transaction.fetch_one(_STILL, actor.id, kept) is None:
                return None
            if renewed is not None:
                await transaction.execute(_KEEP_PASSWORD, actor.id, renewed, now)
            tenant_id = await first_tenant(transaction, actor.id)
            secret = await open_session(transaction, actor.id, visitor, now, acts_for=tenant_id, life=life)
            if not is_half:
                await record_own(transaction, actor, tenant_id, AuditAction.SIGNED_IN)
            return secret

        secret = await self._database.unit("sign_in.open", work, user_id=actor.id)
        if secret is None:
            raise Unauthenticated(_WRONG)
        log.info("signed_in", user_id=str(actor.id), is_half=is_half)
        return SignedIn(secret, is_half, life)


async def keep_reset(transaction: Transaction, user_id: UUID, secret: str, now: datetime, life: timedelta) -> None:
    """Inside a unit of the user: a link with this secret lets them choose a password, once."""
    await transaction.execute(_KEEP_RESET, new_id(), user_id, rules.sha256_hex(secret), now, now + life)


async def _find(transaction: Transaction, folded_address: str) -> tuple[Row | None, Row | None]:
    """The user of an address and their secrets; from there on the unit is theirs."""
    await transaction.show_address(folded_address)
    user = await transaction.fetch_one(_FIND, folded_address)
    if user is None:
        return None, None
    await transaction.become_person(user["id"])
    return user, await transaction.fetch_one(_SECRETS, user["id"])


def _reset(address: str, name: str, url: str) -> Mail:
    return Mail(
        to=address,
        subject="Choose a new password for Larder",
        text=f"Hello {name},\n\nsomebody, hopefully you, asked to choose a new password. This link works once, for an"
        f" hour:\n\n{url}\n\nIf it was not you, do nothing: your password stays as it is.\n",
    )


def _changed(address: str) -> Mail:
    return Mail(
        to=address,
        subject="Your Larder password was changed",
        text="Your password was changed, and all other sessions were signed out.\n\nIf it was not you, choose a new"
        " one at once by “Forgot your password?” on the sign-in page, and tell an owner of your business.\n",
    )
