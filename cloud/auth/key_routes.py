"""/v1/api-keys, /v1/oauth/token and /v1/me: programs, and what they may do."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response

from cloud.auth.keys import CreateKey, KeyCreated, KeyPage, KeyQuery, KeyRevoked, KeyService, TokensGranted, WithMade
from cloud.callers import ActorKind
from cloud.errors import Refused
from cloud.idempotency import Once
from cloud.lists import answer_page
from cloud.operations import Access, Raw, current_operator, operation
from cloud.permissions import Permission, Role
from cloud.web import answer, bearer, read_form
from shared.contract import Message, Name
from shared.errors import Code

FORM = Raw(
    "`grant_type`, and `scope` or `refresh_token`.",
    ("application/x-www-form-urlencoded",),
    example="grant_type=client_credentials&scope=orders:read",
)


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

    def __init__(self, keys: KeyService, once: Once) -> None:
        self._keys = keys
        self._once = once

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

    @operation(Permission.KEYS_READ, summary="List API keys", answers={200: KeyPage}, conditional=True)
    async def list_keys(self, query: KeyQuery) -> Response:
        """All keys, the newest first, also those that ended. Of a secret only its beginning is shown."""
        return answer_page(await self._keys.keys(current_operator(), query), query)

    @operation(
        Permission.KEYS_WRITE,
        summary="Create an API key",
        answers={201: KeyCreated},
        problems=(Code.CONFLICT,),
        idempotent=True,
    )
    async def create_key(self, body: CreateKey) -> Response:
        """Its secret is in this answer, and shown nowhere else. Two keys of a name may live at once."""
        work = partial(self._keys.create, operator=current_operator(), wish=body)
        return await self._once("keys.create", work, body)

    @operation(
        Permission.KEYS_WRITE,
        summary="Rotate an API key",
        answers={201: KeyCreated},
        problems=(Code.CONFLICT,),
        idempotent=True,
    )
    async def rotate_key(self, key_id: UUID) -> Response:
        """A second key like it, to take its place; then revoke the old one."""
        work = partial(self._keys.rotate, operator=current_operator(), key_id=key_id)
        return await self._once("keys.rotate", work)

    @operation(Permission.KEYS_WRITE, summary="Revoke an API key", answers={200: KeyRevoked})
    async def revoke_key(self, key_id: UUID, query: WithMade) -> Response:
        """It and all tokens made with it are refused from now on.

        What it made goes on, since a program changes its key by making the next one. When a key has leaked, end that,
        too: `with_made`.
        """
        return answer(await self._keys.revoke(current_operator(), key_id, with_made=query.with_made))

    @operation(
        Access.PUBLIC,
        summary="Get tokens for an API key",
        takes=FORM,
        answers={200: TokensGranted},
        problems=(Code.UNAUTHENTICATED,),
    )
    async def token(self) -> Response:
        """As RFC 6749 has it: `grant_type=client_credentials` with an API key as bearer (4.4), perhaps with `scope`, or
        `grant_type=refresh_token` (6)."""
        form = dict(await read_form())
        match form.get("grant_type"):
            case "client_credentials":
                scope = form.get("scope")
                granted = await self._keys.grant(bearer(), scope.split() if scope is not None else None)
            case "refresh_token":
                granted = await self._keys.refresh(form.get("refresh_token", ""))
            case _:
                detail = "grant_type must be client_credentials or refresh_token."
                raise Refused(Code.MALFORMED_BODY, detail, status=400)  # RFC 6749 (5.2)
        return _uncached(granted)

    @operation(Access.ANY_OPERATOR, summary="Show who asks", answers={200: Me}, conditional=True)
    async def me(self) -> Response:
        """Whoever sends this, and what they may do on which part of the business."""
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
