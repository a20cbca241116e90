"""A second factor in place of the one in force, for a new phone: the old one counts until the new one gave a code."""

from dataclasses import dataclass
from datetime import datetime

from cloud.audit.rules import AuditAction
from cloud.auth import rules
from cloud.auth.second_factor import Enrolment, SecondFactors, keep_codes, wrong_code
from cloud.auth.sessions import Person, end_sessions, record_own
from cloud.auth.sign_in import SignInService
from cloud.clock import Clock
from cloud.database import Database, Transaction
from cloud.encryption.columns import TOTP_NEXT_SEED, TOTP_SEED
from cloud.encryption.keyring import Keyring
from cloud.errors import Refused, Unauthenticated
from cloud.mail import Mail, MailRoom
from cloud.throttle import Throttle
from shared.errors import Code

_BEGIN = """
    UPDATE user_secrets SET totp_next_seed = $2, totp_next_until = $3, totp_next_session = $4 WHERE user_id = $1
"""
_NEXT = """
    SELECT totp_next_seed, totp_next_until FROM user_secrets
    WHERE user_id = $1 AND totp_next_session = $2 AND totp_next_until > $3 FOR UPDATE
"""
_SWAP = """
    UPDATE user_secrets SET totp_seed = $2, totp_confirmed_at = $4, totp_last_step = $3, changed_at = $4,
                            totp_next_seed = NULL, totp_next_until = NULL, totp_next_session = NULL
    WHERE user_id = $1
"""
_SHOWN = "UPDATE sessions SET second_factor_at = $2 WHERE id = $1"


@dataclass(frozen=True)
class Replacement:
    """What the new phone's app has to be told, and until when it is waited for."""

    enrolment: Enrolment
    until: datetime


class ReplacementService:
    """Lets people change their second factor, and nobody who has only got hold of their session."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        keyring: Keyring,
        sign_in: SignInService,
        factors: SecondFactors,
        throttle: Throttle,
        mails: MailRoom,
    ) -> None:
        self._database = database
        self._clock = clock
        self._keyring = keyring
        self._sign_in = sign_in
        self._factors = factors
        self._throttle = throttle
        self._mails = mails

    async def begin(self, person: Person, password: str, code: str) -> Replacement:
        """A new seed for this session, against the password and a code of the old app, or a recovery code.

        Raises Refused (403: there is none to replace; 422: fields `password`, `code`), TooManyRequests.
        """
        if not person.has_second_factor:
            raise Refused(Code.SECOND_FACTOR_MISSING, "You have no second factor yet: set one up.", status=403)
        await self._sign_in.require_password(person, password, "password")
        await self._throttle.attempt(f"second factor {person.user_id}")
        seed, now = rules.new_totp_seed(), self._clock.now()
        until = now + rules.REPLACEMENT_LIFE

        async def work(transaction: Transaction) -> None:
            if not await self._factors.take(transaction, person.user_id, code, now):
                raise wrong_code()
            await _show(transaction, person, now)
            sealed = TOTP_NEXT_SEED.seal(self._keyring, (person.user_id,), seed)
            await transaction.execute(_BEGIN, person.user_id, sealed, until, person.session_id)

        await self._database.unit("replacement.begin", work, user_id=person.user_id)
        return Replacement(Enrolment(seed, rules.totp_link(seed, person.email)), until)

    async def pending(self, person: Person) -> Replacement | None:
        """What this session has begun and not ended, for a form that is shown again."""
        now = self._clock.now()

        async def work(transaction: Transaction) -> Replacement | None:
            return await self._next(transaction, person, now)

        return await self._database.unit("replacement.pending", work, user_id=person.user_id)

    async def confirm(self, person: Person, code: str) -> list[str]:
        """The first code of the new app: the old one is worth nothing any more, nor are its recovery codes, and all
        other sessions end. New recovery codes, shown this once.

        Raises Refused (409: nothing was begun here, or too long ago; 422: field `code`), TooManyRequests.
        """
        await self._throttle.attempt(f"second factor {person.user_id}")
        now, codes = self._clock.now(), rules.new_recovery_codes()

        async def work(transaction: Transaction) -> None:
            found = await self._next(transaction, person, now)
            if found is None:
                raise Refused(Code.CONFLICT, "Begin anew: this was too long ago, or in another session.", status=409)
            seed = found.enrolment.seed
            step = rules.totp_step(seed, code.strip(), 0, now)
            if step is None:
                raise wrong_code()
            sealed = TOTP_SEED.seal(self._keyring, (person.user_id,), seed)
            await transaction.execute(_SWAP, person.user_id, sealed, step, now)
            await keep_codes(transaction, person.user_id, codes)
            await _show(transaction, person, now)
            await end_sessions(transaction, person.user_id, but=person.session_id)
            await record_own(transaction, person.actor, person.acts_for, AuditAction.SECOND_FACTOR_REPLACED)

        await self._database.unit("replacement.confirm", work, user_id=person.user_id)
        self._mails.send(_replaced(person.email))
        return codes

    async def _next(self, transaction: Transaction, person: Person, now: datetime) -> Replacement | None:
        row = await transaction.fetch_one(_NEXT, person.user_id, person.session_id, now)
        if row is None:
            return None
        seed = TOTP_NEXT_SEED.open(self._keyring, (person.user_id,), row["totp_next_seed"])
        return Replacement(Enrolment(seed, rules.totp_link(seed, person.email)), row["totp_next_until"])


async def _show(transaction: Transaction, person: Person, now: datetime) -> None:
    """This session has shown the second factor. Raises Unauthenticated if it was ended meanwhile."""
    if not await transaction.execute(_SHOWN, person.session_id, now):
        raise Unauthenticated("Please sign in again.")


def _replaced(address: str) -> Mail:
    return Mail(
        to=address,
        subject="Your second factor for Larder was replaced",
        text="From now on the codes of another authenticator app are asked for. Codes and recovery codes of the one"
        " before are worth nothing any more, and all other sessions were signed out.\n\nIf it was not you, choose a new"
        " password at once by “Forgot your password?” on the sign-in page, and tell an owner of your business.\n",
    )
