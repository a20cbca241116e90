"""The first people there are: an owner of a new business, and who looks after all businesses. Made from a terminal."""

from datetime import timedelta
from uuid import UUID

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.auth import rules
from cloud.auth.invitations import create_user
from cloud.auth.members import Standing, join
from cloud.auth.sign_in import keep_reset
from cloud.callers import system
from cloud.clock import Clock, new_id
from cloud.database import Database, Transaction
from cloud.errors import Refused
from cloud.permissions import Role
from shared.errors import Code

LINK_LIFE = timedelta(hours=24)


class FirstPeople:
    """Makes them; each gets a link, shown this once, by which they choose a password."""

    def __init__(self, database: Database, clock: Clock, public_url: str) -> None:
        self._database = database
        self._clock = clock
        self._public_url = public_url

    async def owner(self, tenant_id: UUID, address: str, name: str) -> str:
        """An owner of a tenant that is there. Their link; raises Refused (they belong to it already)."""
        now, secret = self._clock.now(), rules.new_secret()

        async def work(transaction: Transaction) -> None:
            user_id = await self._user(transaction, address, name)
            if await transaction.fetch_one("SELECT 1 FROM memberships WHERE user_id = $1", user_id) is not None:
                raise Refused(Code.CONFLICT, f"{address} belongs to this business already.", status=409)
            await join(transaction, tenant_id, user_id, name, Standing(Role.OWNER, (), ()), now)
            await keep_reset(transaction, user_id, secret, now, LINK_LIFE)
            subject, told = Subject(SubjectKind.USER, user_id), {"role": Role.OWNER.value}
            await audit.record(
                transaction, system("create-owner"), tenant_id, AuditAction.USER_CREATED, subject, after=told
            )

        await self._database.unit("first_people.owner", work, tenant_id=tenant_id)
        return f"{self._public_url}/reset/{secret}"

    async def user(self, address: str, name: str) -> tuple[UUID, str]:
        """Somebody who belongs to no business yet (perhaps they are there already): their id and link."""
        now, secret = self._clock.now(), rules.new_secret()

        async def work(transaction: Transaction) -> UUID:
            user_id = await self._user(transaction, address, name)
            await keep_reset(transaction, user_id, secret, now, LINK_LIFE)
            subject = Subject(SubjectKind.USER, user_id)
            await audit.record(transaction, system("create-platform-admin"), None, AuditAction.USER_CREATED, subject)
            return user_id

        user_id = await self._database.unit("first_people.user", work)
        return user_id, f"{self._public_url}/reset/{secret}"

    async def _user(self, transaction: Transaction, address: str, name: str) -> UUID:
        """Who has this address, or somebody new; the unit is theirs, too, from here on. Raises Refused."""
        if not rules.is_address(address):
            raise Refused(Code.VALIDATION_FAILED, f"{address} is no e-mail address.")
        key = rules.folded(address)
        await transaction.show_address(key)
        found = await transaction.fetch_one("SELECT id FROM users WHERE email_key = $1", key)
        if found is None:
            user_id = new_id()
            await create_user(transaction, user_id, address, name, None, self._clock.now())
            return user_id
        known: UUID = found["id"]
        await transaction.become_person(known)
        return known
