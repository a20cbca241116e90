"""API keys of programs, and the short-lived tokens made with them. Only hashes are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import Field

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.auth import rules
from cloud.auth.leaving import Made, end_what_was_made, made_by, require_still
from cloud.auth.members import know_actor
from cloud.cache import Cache, Caches, Owned
from cloud.callers import Actor, ActorKind, Operator
from cloud.clock import Clock, new_id
from cloud.database import Database, Row, Transaction
from cloud.errors import NotFound, Refused, Unauthenticated, there
from cloud.lists import Listing, PageQuery, Sort, read_page
from cloud.permissions import FOR_PEOPLE, Permission
from shared.contract import Instant, Message, Name
from shared.errors import Code

LONGEST_LIFE_DAYS = 365
USED_EVERY = timedelta(minutes=1)
_KNOWN = frozenset(permission.value for permission in Permission)
LIVE_OF_A_NAME = 2
"""The key in use, and the one that takes its place."""

_BY_HASH = """
    SELECT id, tenant_id, name, scopes, last_used_at, expires_at FROM api_keys
    WHERE secret_sha256 = $1 AND revoked_at IS NULL AND expires_at > $2
"""
_MAKERS = """
    SELECT k.id FROM unnest($1::uuid[]) AS k (id)
    WHERE EXISTS (SELECT 1 FROM api_keys c WHERE c.created_by = k.id)
        OR EXISTS (SELECT 1 FROM invitations i WHERE i.inviter_id = k.id)
"""
_USED = "UPDATE api_keys SET last_used_at = $2 WHERE id = $1"
_ADD = """
    INSERT INTO api_keys (tenant_id, id, name, prefix, secret_sha256, scopes, created_by, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_ROWS = """
    SELECT k.id AS key_id, k.name, k.prefix, k.scopes, a.name AS created_by, b.name AS kept_by, k.created_at,
           k.expires_at, k.revoked_at, k.last_used_at
    FROM {picked}
    LEFT JOIN actors a ON a.tenant_id = k.tenant_id AND a.id = k.created_by
    LEFT JOIN actors b ON b.tenant_id = k.tenant_id AND b.id = k.kept_by
"""
_LIVE = "SELECT count(*) AS live FROM api_keys WHERE name = $1 AND revoked_at IS NULL AND expires_at > $2"
_LOCK_NAME = "SELECT pg_advisory_xact_lock(hashtextextended('key ' || current_setting('app.tenant') || $1, 0))"
_ONE = "SELECT id, name, scopes, expires_at, created_at FROM api_keys WHERE id = $1 AND revoked_at IS NULL"
_REVOKE = "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL"
_GRANTED = """
    SELECT t.id, t.tenant_id, t.api_key_id, t.family, t.scopes, t.used_at, t.revoked_at, t.expires_at
    FROM access_tokens t WHERE t.secret_sha256 = $1 AND t.kind = $2
"""
_KEY_OF = (
    "SELECT id, tenant_id, name, expires_at FROM api_keys WHERE id = $1 AND revoked_at IS NULL AND expires_at > $2"
)
_ADD_GRANTED = """
    INSERT INTO access_tokens (tenant_id, id, api_key_id, family, kind, scopes, secret_sha256, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_EXCHANGED = "UPDATE access_tokens SET used_at = $2 WHERE id = $1 AND used_at IS NULL"
_END_FAMILY = "UPDATE access_tokens SET revoked_at = $2 WHERE family = $1 AND revoked_at IS NULL"


class CreateKey(Message):
    """A key for a program: what it may do, and for how long."""

    name: Name
    scopes: Annotated[tuple[Permission, ...], Field(min_length=1)]
    days: Annotated[int, Field(ge=1, le=LONGEST_LIFE_DAYS)] = 90


class KeyRow(Message):
    """A key as people see it: by its first characters."""

    key_id: UUID
    name: Name
    prefix: str
    scopes: tuple[Permission, ...]
    created_by: Name | None
    kept_by: Name | None
    """Who answers for it since its maker is gone, or may not make it any more."""
    created_at: Instant
    expires_at: Instant
    revoked_at: Instant | None
    last_used_at: Instant | None


class KeyQuery(PageQuery):
    """Keys, the newest first."""

    row = KeyRow


class KeyPage(Message):
    """A page of keys, the newest first; also those that ended."""

    api_keys: tuple[KeyRow, ...]
    next_cursor: str | None


_KEYS = Listing(
    name="api keys",
    row=KeyRow,
    page=KeyPage,
    table="api_keys k",
    show=_ROWS,
    read=lambda row: KeyRow.model_validate(dict(row), strict=False),
    sorts={"-created_at": Sort({"created_at": "k.created_at", "key_id": "k.id"}, descending=True)},
)


class KeyCreated(Message):
    """A new key; `secret` is shown this once."""

    key_id: UUID
    name: Name
    secret: str
    scopes: tuple[Permission, ...]
    expires_at: Instant


class WithMade(Message):
    """What becomes of what a key has made."""

    with_made: Annotated[
        bool,
        Field(
            description="It ends, too: the keys that it made, those that they made, and so on, and open invitations."
            " Without it they go on."
        ),
    ] = False


class KeyRevoked(Message):
    """A key that has ended. `made`: what it, and the keys that it made, had made and was in force then."""

    made: Made
    with_made: bool
    """It ended, too."""


class TokensGranted(Message):
    """As RFC 6749 (5.1) has it; lives in seconds."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str
    scope: str


@dataclass(frozen=True)
class _Grant:
    """For whom tokens are made."""

    tenant_id: UUID
    key_id: UUID
    family: UUID
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class _Program:
    """Who shows a key or token, and until when it is worth something."""

    operator: Operator
    expires_at: datetime


class KeyService:
    """Looks after keys and tokens, and knows who shows one."""

    def __init__(self, database: Database, clock: Clock, caches: Caches) -> None:
        self._database = database
        self._clock = clock
        self._programs: Cache[str, _Program] = caches.make(rules.CALLERS)
        """By the hash of what they show."""

    async def operator(self, bearer: str) -> Operator:
        """The program behind an API key or an access token. Raises Unauthenticated."""
        hashed = rules.sha256_hex(bearer)
        is_token = bearer.startswith(rules.ACCESS_PREFIX)
        program = await self._programs.get(hashed, lambda: self._by_token(hashed) if is_token else self._by_key(hashed))
        if program is None or program.expires_at <= self._clock.now():
            raise Unauthenticated(f"This {'access token' if is_token else 'API key'} is not valid.")
        return program.operator

    async def _by_key(self, hashed: str) -> Owned[_Program] | None:
        now = self._clock.now()

        async def work(transaction: Transaction) -> Row | None:
            key = await transaction.fetch_one(_BY_HASH, hashed, now)
            if key is not None and (key["last_used_at"] is None or now - key["last_used_at"] > USED_EVERY):
                await transaction.become(key["tenant_id"])
                await transaction.execute(_USED, key["id"], now)
            return key

        key = await self._database.unit("keys.operator", work, secret_sha256=hashed)
        return None if key is None else _program(key, key["scopes"], key["expires_at"])

    async def _by_token(self, hashed: str) -> Owned[_Program] | None:
        now = self._clock.now()

        async def work(transaction: Transaction) -> Owned[_Program] | None:
            token = await transaction.fetch_one(_GRANTED, hashed, "access")
            if token is None or token["revoked_at"] is not None or token["expires_at"] <= now:
                return None
            await transaction.become(token["tenant_id"])
            key = await transaction.fetch_one(_KEY_OF, token["api_key_id"], now)
            return None if key is None else _program(key, token["scopes"], min(key["expires_at"], token["expires_at"]))

        return await self._database.unit("keys.by_token", work, secret_sha256=hashed)

    async def keys(self, operator: Operator, query: KeyQuery) -> KeyPage:
        """All keys, also those that ended. Raises Refused for a cursor that is not theirs."""

        async def work(transaction: Transaction) -> KeyPage:
            return await read_page(transaction, _KEYS, query)

        return await self._database.unit("keys.list", work, caller=operator)

    async def create(self, transaction: Transaction, operator: Operator, wish: CreateKey) -> KeyCreated:
        """Inside a unit of the operator's: a key that may do no more than its maker.

        Raises Refused (403; 409: two of this name live).
        """
        beyond = sorted(set(wish.scopes) - (operator.permissions - FOR_PEOPLE))
        if beyond or not operator.scope.is_everything:
            raise Refused(Code.FORBIDDEN, f"You cannot give {', '.join(beyond) or 'this'}.", status=403)
        scopes, life = sorted(set(wish.scopes)), timedelta(days=wish.days)
        return await self._add(transaction, operator, wish.name, scopes, self._clock.now(), life)

    async def rotate(self, transaction: Transaction, operator: Operator, key_id: UUID) -> KeyCreated:
        """Inside a unit of the operator's: one more key like it, for as long.

        It takes the place of the old one, which is revoked when nobody uses it. Raises NotFound, Refused (403, 409).
        """
        key = there(await transaction.fetch_one(_ONE, key_id))
        if not set(key["scopes"]) <= operator.permissions:
            raise Refused(Code.FORBIDDEN, "This key may do more than you.", status=403)
        life = key["expires_at"] - key["created_at"]
        return await self._add(transaction, operator, key["name"], key["scopes"], self._clock.now(), life)

    async def _add(
        self,
        transaction: Transaction,
        operator: Operator,
        name: str,
        scopes: Sequence[str],
        now: datetime,
        life: timedelta,
    ) -> KeyCreated:
        await require_still(transaction, operator)
        await transaction.execute(_LOCK_NAME, name)
        live = await transaction.fetch_one(_LIVE, name, now)
        if live is not None and live["live"] >= LIVE_OF_A_NAME:
            raise Refused(Code.CONFLICT, "Two keys of this name are in use: revoke the older one.", status=409)
        return await create_key(transaction, operator.tenant_id, operator.actor, name, scopes, now, life)

    async def made(self, operator: Operator, key_ids: Sequence[UUID]) -> dict[UUID, Made]:
        """What each of these keys, and the keys that it made, have made and is in force; none of those without."""
        now = self._clock.now()

        async def work(transaction: Transaction) -> dict[UUID, Made]:
            makers = [row["id"] for row in await transaction.fetch(_MAKERS, list(key_ids))]
            found = {maker: await made_by(transaction, maker, now) for maker in makers}
            return {maker: made for maker, made in found.items() if made.api_keys or made.invitations}

        return await self._database.unit("keys.made", work, caller=operator)

    async def revoke(self, operator: Operator, key_id: UUID, *, with_made: bool = False) -> KeyRevoked:
        """Refuse it, and all tokens made with it, from now on; perhaps also all that it made. Raises NotFound."""
        now = self._clock.now()

        async def work(transaction: Transaction) -> KeyRevoked:
            # What it makes in this moment is there when this is done, or is not made: makers lock their key.
            if not await transaction.execute(_REVOKE, key_id, now):
                raise NotFound
            await transaction.ring(rules.CALLERS, operator.tenant_id)
            subject = Subject(SubjectKind.API_KEY, key_id)
            await audit.record(transaction, operator.actor, operator.tenant_id, AuditAction.API_KEY_REVOKED, subject)
            if not with_made:
                return KeyRevoked(made=await made_by(transaction, key_id, now), with_made=False)
            ended = await end_what_was_made(transaction, operator, key_id, None, now, keep_keys=False)
            made = Made(api_keys=ended.revoked_keys, invitations=ended.withdrawn_invitations)
            return KeyRevoked(made=made, with_made=True)

        return await self._database.unit("keys.revoke", work, caller=operator)

    async def grant(self, api_key: str, scopes: Sequence[str] | None) -> TokensGranted:
        """Tokens for an API key, with some or all of its scopes. Raises Unauthenticated, Refused (400)."""
        if api_key.startswith(rules.ACCESS_PREFIX):  # else a token that was stolen would never end
            raise Unauthenticated("Show the API key itself.")
        operator = await self.operator(api_key)
        wanted = tuple(sorted(operator.permissions if scopes is None else set(scopes)))
        if not set(wanted) <= operator.permissions or not wanted:
            raise Refused(Code.MALFORMED_BODY, "This key has not got these scopes.", status=400)
        grant = _Grant(operator.tenant_id, operator.actor.id, new_id(), wanted)
        return await self._database.unit("keys.grant", lambda t: self._tokens(t, grant), tenant_id=grant.tenant_id)

    async def refresh(self, refresh_token: str) -> TokensGranted:
        """New tokens for a refresh token, which is worth nothing from then on.

        Shown a second time it was stolen, from or by whoever showed it: all tokens of its family end. Raises
        Unauthenticated.
        """
        now, hashed = self._clock.now(), rules.sha256_hex(refresh_token)

        async def work(transaction: Transaction) -> TokensGranted | None:
            token = await transaction.fetch_one(_GRANTED, hashed, "refresh")
            if token is None or token["revoked_at"] is not None or token["expires_at"] <= now:
                return None
            await transaction.become(token["tenant_id"])
            if not await transaction.execute(_EXCHANGED, token["id"], now):
                await transaction.execute(_END_FAMILY, token["family"], now)
                await transaction.ring(rules.CALLERS, token["tenant_id"])
                return None
            if await transaction.fetch_one(_KEY_OF, token["api_key_id"], now) is None:
                return None
            grant = _Grant(token["tenant_id"], token["api_key_id"], token["family"], tuple(token["scopes"]))
            return await self._tokens(transaction, grant)

        granted = await self._database.unit("keys.refresh", work, secret_sha256=hashed)
        if granted is None:
            raise Unauthenticated("This refresh token is not valid any more.")
        return granted

    async def _tokens(self, transaction: Transaction, grant: _Grant) -> TokensGranted:
        now = self._clock.now()
        made = {}
        for kind, prefix, life in (
            ("access", rules.ACCESS_PREFIX, rules.TOKEN_LIFE),
            ("refresh", rules.REFRESH_PREFIX, rules.REFRESH_LIFE),
        ):
            made[kind] = prefix + rules.new_secret()
            what = (grant.tenant_id, new_id(), grant.key_id, grant.family, kind, list(grant.scopes))
            await transaction.execute(_ADD_GRANTED, *what, rules.sha256_hex(made[kind]), now, now + life)
        return TokensGranted(
            access_token=made["access"],
            token_type="Bearer",  # noqa: S106  its kind, no secret
            expires_in=int(rules.TOKEN_LIFE.total_seconds()),
            refresh_token=made["refresh"],
            scope=" ".join(grant.scopes),
        )


async def create_key(
    transaction: Transaction,
    tenant_id: UUID,
    maker: Actor,
    name: str,
    scopes: Sequence[str],
    now: datetime,
    life: timedelta,
) -> KeyCreated:
    """Inside a unit of the tenant: a new key, whose secret is shown this once."""
    secret, key_id = rules.KEY_PREFIX + rules.new_secret(), new_id()
    await know_actor(transaction, tenant_id, maker)
    await know_actor(transaction, tenant_id, Actor(ActorKind.API_KEY, key_id, name))
    kept = (secret[: rules.SHOWN_CHARACTERS], rules.sha256_hex(secret), list(scopes), maker.id, now, now + life)
    await transaction.execute(_ADD, tenant_id, key_id, name, *kept)
    subject, told = Subject(SubjectKind.API_KEY, key_id), {"name": name, "scopes": list(scopes)}
    await audit.record(transaction, maker, tenant_id, AuditAction.API_KEY_CREATED, subject, after=told)
    granted = tuple(Permission(scope) for scope in scopes)
    return KeyCreated(key_id=key_id, name=name, secret=secret, scopes=granted, expires_at=now + life)


def _program(key: Row, scopes: Sequence[str], expires_at: datetime) -> Owned[_Program]:
    known = frozenset(Permission(scope) for scope in scopes if scope in _KNOWN)
    operator = Operator(key["tenant_id"], Actor(ActorKind.API_KEY, key["id"], key["name"]), known)
    return Owned(operator.tenant_id, _Program(operator, expires_at))
