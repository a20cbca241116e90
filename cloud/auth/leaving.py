"""What somebody made by a right that they have lost: it ends with the right, unless somebody answers for it.

API keys and open invitations outlive the request that made them, so a right that is taken away would live on in them.
"""

from datetime import datetime
from typing import Annotated, TypeVar
from uuid import UUID

from pydantic import Field

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.auth.rules import CALLERS, may_decide_about
from cloud.callers import ActorKind, Operator
from cloud.database import Row, Transaction
from cloud.errors import Refused
from cloud.permissions import Permission, Role
from shared.contract import Instant, Message, Name
from shared.errors import Code

_THEIRS = """
    WITH RECURSIVE theirs (id) AS (
        SELECT $1::uuid
        UNION SELECT k.id FROM api_keys k JOIN theirs t ON coalesce(k.kept_by, k.created_by) = t.id
    )
"""
"""They, and the keys that they answer for, and the keys that those made, and so on."""
_KEYS = f"""{_THEIRS}
    SELECT k.id AS key_id, k.name, k.prefix, k.scopes, k.expires_at FROM api_keys k JOIN theirs t ON t.id = k.id
    WHERE k.revoked_at IS NULL AND k.expires_at > $2 ORDER BY k.created_at, k.id
"""  # noqa: S608  our own words
_INVITATIONS = f"""{_THEIRS}
    SELECT i.id AS invitation_id, i.email, i.role FROM invitations i JOIN theirs t ON t.id = i.inviter_id
    WHERE i.accepted_at IS NULL AND i.revoked_at IS NULL ORDER BY i.created_at, i.id
"""  # noqa: S608  as above
"""Also those that have expired: they can be sent again."""
_REVOKE = "UPDATE api_keys SET revoked_at = $2 WHERE id = $1"
_KEEP = "UPDATE api_keys SET kept_by = $2 WHERE id = $1"
_WITHDRAW = "UPDATE invitations SET revoked_at = $2 WHERE id = $1 AND accepted_at IS NULL AND revoked_at IS NULL"
_MAKERS = f"{_THEIRS} SELECT id FROM theirs"  # noqa: S608  as above
_IS_THEIRS = f"{_THEIRS} SELECT 1 FROM theirs WHERE id = $2"  # noqa: S608  as above
_STILL_MEMBER = """
    SELECT 1 FROM memberships WHERE user_id = $1 AND role = $2 AND sites = '{}' AND machines = '{}' FOR SHARE
"""
_STILL_KEY = "SELECT 1 FROM api_keys WHERE id = $1 AND revoked_at IS NULL FOR SHARE"
_DEEDS = {True: AuditAction.API_KEY_KEPT, False: AuditAction.API_KEY_REVOKED}

M = TypeVar("M", bound=Message)


class KeptKeys(Message):
    """What becomes of API keys whose maker could not make them any more."""

    keep_keys: Annotated[
        bool, Field(description="They go on working, and you answer for them. Without it they are revoked.")
    ] = False


class KeyMade(Message):
    """A live API key that somebody answers for."""

    key_id: UUID
    name: Name
    prefix: str
    scopes: tuple[Permission, ...]
    expires_at: Instant


class InvitationMade(Message):
    """An open invitation that somebody sent."""

    invitation_id: UUID
    email: str
    role: Role


class Ended(Message):
    """What ended with a right, since it was made by it, and what goes on because somebody wanted it to."""

    revoked_keys: tuple[KeyMade, ...] = ()
    kept_keys: tuple[KeyMade, ...] = ()
    withdrawn_invitations: tuple[InvitationMade, ...] = ()


class Made(Message):
    """What somebody has made that would end with their right to."""

    api_keys: tuple[KeyMade, ...]
    invitations: tuple[InvitationMade, ...]


async def makers(transaction: Transaction, maker_id: UUID) -> list[UUID]:
    """Inside a unit of the tenant: a user or key, and all keys that they answer for, also those that have ended."""
    return [row["id"] for row in await transaction.fetch(_MAKERS, maker_id)]


async def made_by(transaction: Transaction, maker_id: UUID, now: datetime) -> Made:
    """Inside a unit of the tenant: what a user or key, and the keys they answer for, have made and is in force."""
    rows = await transaction.fetch(_KEYS, maker_id, now)
    keys = tuple(_shown(KeyMade, row) for row in rows if row["key_id"] != maker_id)
    invitations = tuple(_shown(InvitationMade, row) for row in await transaction.fetch(_INVITATIONS, maker_id))
    return Made(api_keys=keys, invitations=invitations)


async def end_what_was_made(
    transaction: Transaction,
    operator: Operator,
    maker_id: UUID,
    left: Operator | None,
    now: datetime,
    *,
    keep_keys: bool,
) -> Ended:
    """Inside a unit of the operator's, once the row of a member or key says what is `left` of their rights (None: they
    are gone).

    Raises Refused (403: the operator could not make a key that they want to keep; 409: it is theirs, too).
    """
    ended: list[KeyMade] = []
    # Whoever made one more just then had locked the key or membership that it was made by: look until there is none.
    while found := _beyond((await made_by(transaction, maker_id, now)).api_keys, left, ended):
        if keep_keys:
            await _require_keeper(transaction, operator, maker_id, found)
        for key in found:
            await _end(transaction, operator, key, now, is_kept=keep_keys)
        ended += found
    if ended:
        await transaction.ring(CALLERS, operator.tenant_id)
    withdrawn = []
    for invitation in (await made_by(transaction, maker_id, now)).invitations:
        if left is not None and Permission.USERS_WRITE in left.permissions and may_decide_about(left, invitation.role):
            continue
        if not await transaction.execute(_WITHDRAW, invitation.invitation_id, now):
            continue  # it was accepted meanwhile
        withdrawn.append(invitation)
        subject, deed = Subject(SubjectKind.INVITATION, invitation.invitation_id), AuditAction.INVITATION_WITHDRAWN
        await audit.record(transaction, operator.actor, operator.tenant_id, deed, subject)
    revoked, kept = ((), tuple(ended)) if keep_keys else (tuple(ended), ())
    return Ended(revoked_keys=revoked, kept_keys=kept, withdrawn_invitations=tuple(withdrawn))


async def require_still(transaction: Transaction, operator: Operator) -> None:
    """Inside a unit of the operator's: before they make what outlives the request, that they still may.

    Nobody takes it from them before the commit. Raises Refused (403).
    """
    if operator.actor.kind is ActorKind.USER:
        row = await transaction.fetch_one(_STILL_MEMBER, operator.actor.id, operator.role)
    else:
        row = await transaction.fetch_one(_STILL_KEY, operator.actor.id)
    if row is None:
        raise Refused(Code.FORBIDDEN, "You may not do this any more.", status=403)


def _beyond(keys: tuple[KeyMade, ...], left: Operator | None, ended: list[KeyMade]) -> list[KeyMade]:
    """Of the keys those that could not be made by what is left."""
    known = {key.key_id for key in ended}
    may = left.permissions if left is not None and Permission.KEYS_WRITE in left.permissions else frozenset()
    return [key for key in keys if key.key_id not in known and not set(key.scopes) <= may]


async def _require_keeper(transaction: Transaction, operator: Operator, user_id: UUID, keys: list[KeyMade]) -> None:
    if await transaction.fetch_one(_IS_THEIRS, user_id, operator.actor.id) is not None:
        raise Refused(Code.CONFLICT, "Only somebody else can answer for these API keys.", status=409)
    wanted = {Permission.KEYS_WRITE}.union(*(key.scopes for key in keys))
    beyond = sorted(wanted - operator.permissions)
    if beyond:
        raise Refused(Code.FORBIDDEN, f"You cannot answer for {', '.join(beyond)}.", status=403)


async def _end(transaction: Transaction, operator: Operator, key: KeyMade, now: datetime, *, is_kept: bool) -> None:
    if is_kept:
        await transaction.execute(_KEEP, key.key_id, operator.actor.id)
    else:
        await transaction.execute(_REVOKE, key.key_id, now)
    subject, deed = Subject(SubjectKind.API_KEY, key.key_id), _DEEDS[is_kept]
    await audit.record(transaction, operator.actor, operator.tenant_id, deed, subject, after={"name": key.name})


def _shown(model: type[M], row: Row) -> M:
    return model.model_validate(dict(row), strict=False)
