"""/v1/api-keys, /v1/oauth/token and /v1/me: programs, and what they may do."""

from datetime import UTC, datetime
from uuid import UUID

from quart import Blueprint, Response, request

from cloud.auth.keys import CreateKey, KeyRow, KeyService, TokensGranted
from cloud.callers import ActorKind
from cloud.errors import Refused
from cloud.operations import Access, current_operator, operation
from cloud.permissions import Permission, Role
from cloud.web import answer, as_id, bearer, decode_cursor, encode_cursor, page_size, read_form, read_message
from cloud.web import cursor_instant as instant
from shared.contract import Message, Name
from shared.errors import Code

NEWEST = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))


class KeyPage(Message):
    """A page of keys, the newest first; also those that ended."""

    api_keys: tuple[KeyRow, ...]
    next_cursor: str | None


class Me(Message):
    """Who asks, and what they may do."""

    tenant_id: UUID
    kind: ActorKind
    id: UUID
    name: Name
    role: Role | None
    permissions: tuple[Permission, ...]
    sites: tuple[UUID, ...]
    machines: tuple[UUID, ...]


class KeyRoutes:
    """What is done with keys and tokens."""

    def __init__(self, keys: KeyService) -> None:
        self._keys = keys

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("keys", __name__)
        routes.add_url_rule("/api-keys", view_func=self.list_keys, methods=["GET"])
        routes.add_url_rule("/api-keys", view_func=self.create_key, methods=["POST"])
        routes.add_url_rule("/api-keys/<uuid:key_id>/rotation", view_func=self.rotate_key, methods=["POST"])
        routes.add_url_rule("/api-keys/<uuid:key_id>", view_func=self.revoke_key, methods=["DELETE"])
        routes.add_url_rule("/oauth/token", view_func=self.token, methods=["POST"])
        routes.add_url_rule("/me", view_func=self.me, methods=["GET"])
        return routes

    @operation(Permission.KEYS_READ)
    async def list_keys(self) -> Response:
        """GET ?limit=&cursor=."""
        limit, before = page_size(), NEWEST
        if "cursor" in request.args:
            created_at, key_id = decode_cursor(request.args["cursor"], 2)
            before = (instant(created_at), as_id("cursor", key_id))
        rows = await self._keys.keys(current_operator(), before, limit + 1)
        shown = rows[:limit]
        last = shown[-1] if len(rows) > limit else None
        more = None if last is None else encode_cursor([last.created_at.isoformat(), str(last.key_id)])
        return answer(KeyPage(api_keys=tuple(shown), next_cursor=more))

    @operation(Permission.KEYS_WRITE)
    async def create_key(self) -> Response:
        """POST a CreateKey; its secret is in the answer, this once."""
        return answer(await self._keys.create(current_operator(), await read_message(CreateKey)), 201)

    @operation(Permission.KEYS_WRITE)
    async def rotate_key(self, key_id: UUID) -> Response:
        """POST: a second key like it, to take its place; then revoke the old one."""
        return answer(await self._keys.rotate(current_operator(), key_id), 201)

    @operation(Permission.KEYS_WRITE)
    async def revoke_key(self, key_id: UUID) -> Response:
        """DELETE: it and all tokens made with it are refused from now on."""
        await self._keys.revoke(current_operator(), key_id)
        return Response(status=204)

    @operation(Access.PUBLIC)
    async def token(self) -> Response:
        """POST, as RFC 6749 has it: `grant_type=client_credentials` with an API key as bearer (4.4), perhaps with
        `scope`, or `grant_type=refresh_token` (6)."""
        form = await read_form()
        match form.get("grant_type"):
            case "client_credentials":
                scope = form.get("scope")
                granted = await self._keys.grant(bearer(), scope.split() if scope is not None else None)
            case "refresh_token":
                granted = await self._keys.refresh(form.get("refresh_token", ""))
            case _:
                detail = "grant_type must be client_credentials or refresh_token."
                raise Refused(Code.VALIDATION_FAILED, detail, status=400)
        return _uncached(granted)

    @operation(Access.ANY_OPERATOR)
    async def me(self) -> Response:
        """GET who asks."""
        operator = current_operator()
        return answer(
            Me(
                tenant_id=operator.tenant_id,
                kind=operator.actor.kind,
                id=operator.actor.id,
                name=operator.actor.name,
                role=operator.role,
                permissions=tuple(sorted(operator.permissions)),
                sites=tuple(sorted(operator.scope.sites)),
                machines=tuple(sorted(operator.scope.machines)),
            )
        )


def _uncached(granted: TokensGranted) -> Response:
    response = answer(granted)
    response.headers["Cache-Control"] = "no-store"
    return response
