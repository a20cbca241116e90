"""Somebody else's second factor, taken away for who has lost both phone and recovery codes. They set up a new one.

It weakens how that person is known wherever they belong, so a business decides it alone only for who belongs to it
alone; for all others whoever looks after all businesses does it, and each of those businesses reads so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.auth import rules
from cloud.auth.leaving import require_still
from cloud.auth.members import know_actor, require_decidable
from cloud.auth.second_factor import SecondFactors, forget_factor, wrong_code
from cloud.auth.sessions import Person, end_sessions
from cloud.auth.sign_in import SignInService
from cloud.auth.visits import require_platform_admin, require_reason
from cloud.callers import Actor, ActorKind, Operator
from cloud.clock import Clock
from cloud.database import Database, Row, Transaction
from cloud.errors import Refused, there
from cloud.mail import Mail, MailRoom
from cloud.throttle import Throttle
from cloud.web import invalid
from shared.errors import Code

_WHO = "SELECT id, email, is_platform_admin FROM users WHERE id = $1"
_BY_ADDRESS = "SELECT id, email FROM users WHERE email_key = $1"
_ELSEWHERE = "SELECT 1 FROM memberships WHERE user_id = $1 AND tenant_id <> $2"
_TENANTS = "SELECT tenant_id FROM memberships WHERE user_id = $1 ORDER BY tenant_id"


@dataclass(frozen=True)
class Proof:
    """By what somebody confirms a dangerous step: their own password, and a code of theirs or a recovery code."""

    password: str
    code: str


class FactorResets:
    """Takes second factors of others away."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sign_in: SignInService,
        factors: SecondFactors,
        throttle: Throttle,
        mails: MailRoom,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sign_in = sign_in
        self._factors = factors
        self._throttle = throttle
        self._mails = mails

    async def reset(self, person: Person, operator: Operator, user_id: UUID, proof: Proof) -> None:
        """The person, as the operator, does it for a member of their tenant, whose sessions all end.

        Raises NotFound, Refused (403: oneself, somebody mightier, or the person has no second factor; 409: there is
        none, or they belong elsewhere, too; 422: fields `password`, `code`), TooManyRequests.
        """
        now = self._clock.now()
        await self._require_password(person, proof)

        async def work(transaction: Transaction) -> str:
            await require_still(transaction, operator)
            await require_decidable(transaction, operator, user_id)
            await self._require_code(transaction, person, proof, now)
            await transaction.become_person(user_id)
            user = there(await transaction.fetch_one(_WHO, user_id))
            is_elsewhere = await transaction.fetch_one(_ELSEWHERE, user_id, operator.tenant_id) is not None
            if is_elsewhere or user["is_platform_admin"]:
                detail = "They do not belong to this business alone: whoever looks after all businesses has to do it."
                raise Refused(Code.CONFLICT, detail, status=409)
            await _reset(transaction, person, user_id, now)
            subject = Subject(SubjectKind.USER, user_id)
            deed = AuditAction.SECOND_FACTOR_RESET
            await audit.record(transaction, operator.actor, operator.tenant_id, deed, subject)
            return str(user["email"])

        self._mails.send(_told(await self._database.unit("resetting.reset", work, caller=operator)))

    async def reset_anybodys(self, person: Person, address: str, reason: str, proof: Proof) -> None:
        """A platform admin does it for whoever has the address; the audit log of each of their tenants says why.

        Raises Refused (403: no platform admin, or it is their own; 409: there is none; 422: fields `address`,
        `reason`, `password`, `code`), TooManyRequests.
        """
        require_platform_admin(person)
        reason, now, key = require_reason(reason), self._clock.now(), rules.folded(address)
        await self._require_password(person, proof)

        async def work(transaction: Transaction) -> str:
            await self._require_code(transaction, person, proof, now)
            await transaction.show_address(key)
            user = await transaction.fetch_one(_BY_ADDRESS, key)
            if user is None:
                raise invalid("address", "is nobody's")
            await transaction.become_person(user["id"])
            await _reset(transaction, person, user["id"], now)
            tenants = await transaction.fetch(_TENANTS, user["id"])
            await _tell(transaction, Actor(ActorKind.PLATFORM, person.user_id, person.name), user, tenants, reason)
            return str(user["email"])

        self._mails.send(_told(await self._database.unit("resetting.anybodys", work, user_id=person.user_id)))

    async def _require_password(self, person: Person, proof: Proof) -> None:
        if not person.has_second_factor:
            raise Refused(Code.SECOND_FACTOR_MISSING, "Set up a second factor of your own first.", status=403)
        await self._sign_in.require_password(person, proof.password, "password")
        await self._throttle.attempt(f"second factor {person.user_id}")

    async def _require_code(self, transaction: Transaction, person: Person, proof: Proof, now: datetime) -> None:
        await transaction.become_person(person.user_id)
        if not await self._factors.take(transaction, person.user_id, proof.code, now):
            raise wrong_code()


async def _reset(transaction: Transaction, person: Person, user_id: UUID, now: datetime) -> None:
    """Inside a unit of the user, whom `person` is not."""
    if user_id == person.user_id:
        raise Refused(Code.FORBIDDEN, "Your own is for somebody else to reset.", status=403)
    if not await forget_factor(transaction, user_id, now):
        raise Refused(Code.CONFLICT, "They have no second factor.", status=409)
    await end_sessions(transaction, user_id)


async def _tell(transaction: Transaction, actor: Actor, user: Row, tenants: Sequence[Row], reason: str) -> None:
    """In the platform's log and in those of all tenants, always in one order: each is locked until the commit."""
    subject, deed, told = Subject(SubjectKind.USER, user["id"]), AuditAction.SECOND_FACTOR_RESET, {"reason": reason}
    await audit.record(transaction, actor, None, deed, subject, after=told)
    for row in tenants:
        await transaction.become(row["tenant_id"])
        await know_actor(transaction, row["tenant_id"], actor)
        await audit.record(transaction, actor, row["tenant_id"], deed, subject, after=told)


def _told(address: str) -> Mail:
    return Mail(
        to=address,
        subject="Your second factor for Larder was reset",
        text="Somebody who looks after your account took your second factor and your recovery codes away, as you had"
        " lost them, and you were signed out everywhere. Sign in with your password, and set up a new second factor at"
        " once.\n\nIf you had not asked for it, choose a new password by “Forgot your password?” on the sign-in page"
        " first, and tell an owner of your business.\n",
    )
