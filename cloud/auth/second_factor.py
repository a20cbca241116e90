"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for when it is lost."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cloud.audit.rules import AuditAction
from cloud.auth import rules
from cloud.auth.sessions import Person, Visitor, end_sessions, open_session, record_own
from cloud.clock import Clock
from cloud.database import Database, Transaction
from cloud.encryption.columns import TOTP_SEED
from cloud.encryption.keyring import Keyring
from cloud.errors import Refused
from cloud.throttle import Throttle
from cloud.web import invalid
from shared.errors import Code

_SECRETS = "SELECT totp_seed, totp_confirmed_at, totp_last_step FROM user_secrets WHERE user_id = $1 FOR UPDATE"
_KEEP_SEED = """
    UPDATE user_secrets SET totp_seed = $2, totp_confirmed_at = NULL, totp_last_step = 0, changed_at = $3
    WHERE user_id = $1
"""
_CONFIRM = "UPDATE user_secrets SET totp_confirmed_at = $2, totp_last_step = $3, changed_at = $2 WHERE user_id = $1"
_STEP = "UPDATE user_secrets SET totp_last_step = $2 WHERE user_id = $1"
_REMOVE = """
    UPDATE user_secrets SET totp_seed = NULL, totp_confirmed_at = NULL, totp_last_step = 0, changed_at = $2,
                            totp_next_seed = NULL, totp_next_until = NULL, totp_next_session = NULL
    WHERE user_id = $1
"""
_NEW_CODES = "INSERT INTO recovery_codes (user_id, code_sha256) SELECT $1, unnest($2::text[])"
_USE_CODE = "UPDATE recovery_codes SET used_at = $3 WHERE user_id = $1 AND code_sha256 = $2 AND used_at IS NULL"
_LEFT = "SELECT count(*) AS left FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL"


@dataclass(frozen=True)
class Enrolment:
    """What an authenticator app has to be told: as a link in a QR code, or typed."""

    seed: str
    link: str


@dataclass(frozen=True)
class Enrolled:
    """Recovery codes and the session that has shown the second factor, both shown this once."""

    recovery_codes: list[str]
    session_secret: str


class SecondFactors:
    """Looks after second factors."""

    def __init__(self, database: Database, clock: Clock, keyring: Keyring, throttle: Throttle) -> None:
        self._database = database
        self._clock = clock
        self._keyring = keyring
        self._throttle = throttle

    async def begin(self, person: Person) -> Enrolment:
        """A new seed, which counts once a code of it was shown. Raises Refused (409) when one is in force."""
        seed, now = rules.new_totp_seed(), self._clock.now()

        async def work(transaction: Transaction) -> None:
            row = await transaction.fetch_one(_SECRETS, person.user_id)
            if row is None or row["totp_confirmed_at"] is not None:
                raise Refused(Code.CONFLICT, "You have a second factor already; remove it first.", status=409)
            sealed = TOTP_SEED.seal(self._keyring, (person.user_id,), seed)
            await transaction.execute(_KEEP_SEED, person.user_id, sealed, now)

        await self._database.unit("second_factor.begin", work, user_id=person.user_id)
        return Enrolment(seed, rules.totp_link(seed, person.email))

    async def pending(self, person: Person) -> Enrolment | None:
        """The seed that waits for its first code, for a form that is shown again."""

        async def work(transaction: Transaction) -> Enrolment | None:
            row = await transaction.fetch_one(_SECRETS, person.user_id)
            if row is None or row["totp_seed"] is None or row["totp_confirmed_at"] is not None:
                return None
            seed = TOTP_SEED.open(self._keyring, (person.user_id,), row["totp_seed"])
            return Enrolment(seed, rules.totp_link(seed, person.email))

        return await self._database.unit("second_factor.pending", work, user_id=person.user_id)

    async def confirm(self, person: Person, code: str, visitor: Visitor) -> Enrolled:
        """The first code of a new seed: from now on it is asked for at each sign-in. All sessions of before end.

        Raises Refused (422, field `code`).
        """
        now, codes = self._clock.now(), rules.new_recovery_codes()

        async def work(transaction: Transaction) -> str:
            row = await transaction.fetch_one(_SECRETS, person.user_id)
            if row is None or row["totp_seed"] is None or row["totp_confirmed_at"] is not None:
                raise wrong_code()
            seed = TOTP_SEED.open(self._keyring, (person.user_id,), row["totp_seed"])
            step = rules.totp_step(seed, code.strip(), row["totp_last_step"], now)
            if step is None:
                raise wrong_code()
            await transaction.execute(_CONFIRM, person.user_id, now, step)
            await keep_codes(transaction, person.user_id, codes)
            await end_sessions(transaction, person.user_id)
            secret = await open_session(
                transaction, person.user_id, visitor, now, acts_for=person.acts_for, second_factor_at=now
            )
            await record_own(transaction, person.actor, person.acts_for, AuditAction.SECOND_FACTOR_ADDED)
            return secret

        secret = await self._database.unit("second_factor.confirm", work, user_id=person.user_id)
        return Enrolled(codes, secret)

    async def remove(self, person: Person, code: str) -> None:
        """Take it away, which asks for one more code of it. Raises Refused (422, field `code`; 409 if it is needed)."""
        if person.needs_second_factor:
            raise Refused(Code.CONFLICT, "Your role needs a second factor: replace it instead.", status=409)
        await self._throttle.attempt(f"second factor {person.user_id}")
        now = self._clock.now()

        async def work(transaction: Transaction) -> None:
            if not await self.take(transaction, person.user_id, code, now):
                raise wrong_code()
            await forget_factor(transaction, person.user_id, now)
            await record_own(transaction, person.actor, person.acts_for, AuditAction.SECOND_FACTOR_REMOVED)

        await self._database.unit("second_factor.remove", work, user_id=person.user_id)

    async def renew_recovery_codes(self, person: Person) -> list[str]:
        """New ones, shown this once; those of before are worth nothing any more.

        Raises Refused (403) when they have no second factor, or have shown it too long ago.
        """
        if not person.has_second_factor:
            raise Refused(Code.SECOND_FACTOR_MISSING, "Set up a second factor first.", status=403)
        if not rules.is_fresh(person.second_factor_at, self._clock.now()):
            raise Refused(Code.SECOND_FACTOR_REQUIRED, "Show your second factor once more for this.", status=403)
        codes = rules.new_recovery_codes()

        async def work(transaction: Transaction) -> None:
            await keep_codes(transaction, person.user_id, codes)
            await record_own(transaction, person.actor, person.acts_for, AuditAction.RECOVERY_CODES_RENEWED)

        await self._database.unit("second_factor.renew_codes", work, user_id=person.user_id)
        return codes

    async def recovery_codes_left(self, person: Person) -> int:
        """How many may still be used."""

        async def work(transaction: Transaction) -> int:
            row = await transaction.fetch_one(_LEFT, person.user_id)
            return 0 if row is None else int(row["left"])

        return await self._database.unit("second_factor.codes_left", work, user_id=person.user_id)

    async def take(self, transaction: Transaction, user_id: UUID, code: str, now: datetime) -> bool:
        """Inside a unit of the user: whether it is a code of theirs that was not taken before. Now it is."""
        row = await transaction.fetch_one(_SECRETS, user_id)
        if row is None or row["totp_confirmed_at"] is None:
            return False
        seed = TOTP_SEED.open(self._keyring, (user_id,), row["totp_seed"])
        step = rules.totp_step(seed, code.strip(), row["totp_last_step"], now)
        if step is not None:
            return await transaction.execute(_STEP, user_id, step) > 0
        return await transaction.execute(_USE_CODE, user_id, rules.recovery_sha256(code), now) > 0


async def forget_factor(transaction: Transaction, user_id: UUID, now: datetime) -> bool:
    """Inside a unit of the user: they have no second factor any more, no recovery codes, and replace none; whether they
    had one."""
    row = await transaction.fetch_one(_SECRETS, user_id)
    await transaction.execute(_REMOVE, user_id, now)
    await transaction.execute("DELETE FROM recovery_codes WHERE user_id = $1", user_id)
    return row is not None and row["totp_confirmed_at"] is not None


async def keep_codes(transaction: Transaction, user_id: UUID, codes: list[str]) -> None:
    """Inside a unit of the user: these recovery codes, and none of before."""
    await transaction.execute("DELETE FROM recovery_codes WHERE user_id = $1", user_id)
    await transaction.execute(_NEW_CODES, user_id, [rules.recovery_sha256(code) for code in codes])


def wrong_code() -> Refused:
    """The form's field `code` is wrong."""
    return invalid("code", "is not right, or was used before")
