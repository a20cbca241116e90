"""API keys: which programs may do what."""

from datetime import datetime
from functools import partial
from uuid import UUID

from pydantic import ValidationError
from quart import Blueprint, Response, request
from werkzeug.wrappers import Response as PlainResponse

from cloud.auth.gate import current_person
from cloud.auth.identity import Identity
from cloud.auth.keys import CreateKey, KeyCreated, KeyQuery, KeyRow
from cloud.auth.leaving import Made
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.page import add_page, page_query
from cloud.dashboard.roles import PERMISSIONS
from cloud.dashboard.signed_in import SignedInPages
from cloud.database import Work
from cloud.errors import Refused
from cloud.operations import current_operator, operation
from cloud.permissions import FOR_PEOPLE, SECOND_FACTOR, Permission, permissions_of
from cloud.web import invalid

HERE = "/keys"
LIVES = (("30", "30 days"), ("90", "90 days"), ("180", "180 days"), ("365", "A year"))


class KeyPages:
    """What is done with API keys."""

    def __init__(self, pages: SignedInPages, identity: Identity) -> None:
        self._pages = pages
        self._database = identity.database
        self._keys = identity.keys
        self._clock = identity.clock

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, HERE, self.show, "GET")
        add_page(pages, f"{HERE}/new", self.show_new, "GET")
        add_page(pages, f"{HERE}/new", self.create, "POST")
        add_page(pages, f"{HERE}/<uuid:key_id>/rotation", self.rotate, "POST")
        add_page(pages, f"{HERE}/<uuid:key_id>/revocation", self.revoke, "POST")

    @operation(Permission.KEYS_READ)
    async def show(self) -> Response:
        """GET /keys?cursor=: the newest first, also those that ended."""
        operator, now = current_operator(), self._clock.now()
        page = await self._keys.keys(operator, page_query(KeyQuery))
        states = {key.key_id: _state(key, now) for key in page.api_keys}
        return await self._pages.show(
            "keys.html",
            keys=page.api_keys,
            made_by_key=await self._keys.made(operator, [key_id for key_id, state in states.items() if state[1]]),
            states=states,
            next_cursor=page.next_cursor,
            first_page="cursor" not in request.args,
            may_write=Permission.KEYS_WRITE in operator.permissions,
        )

    @operation(Permission.KEYS_WRITE)
    async def show_new(self) -> Response:
        """GET /keys/new."""
        return await self._ask(Form({"days": ["90"]}))

    @operation(Permission.KEYS_WRITE)
    async def create(self) -> Response:
        """POST /keys/new: the answer shows the key, this once."""
        form = await read_form()
        try:
            made = await self._make(partial(self._keys.create, operator=current_operator(), wish=_wish(form)))
        except Refused as error:
            return await self._ask(form.answered(error), error.status)
        return await self._made(made)

    @operation(Permission.KEYS_WRITE)
    async def rotate(self, key_id: UUID) -> Response | PlainResponse:
        """POST /keys/…/rotation: a second one like it, shown this once."""
        try:
            made = await self._make(partial(self._keys.rotate, operator=current_operator(), key_id=key_id))
        except Refused as error:
            return lead(HERE, error.detail, "bad")
        return await self._made(made, is_rotation=True)

    @operation(Permission.KEYS_WRITE)
    async def revoke(self, key_id: UUID) -> PlainResponse:
        """POST /keys/…/revocation."""
        with_made = (await read_form()).get("with_made") == "yes"
        revoked = await self._keys.revoke(current_operator(), key_id, with_made=with_made)
        also = _also(revoked.made) if with_made else ""
        return lead(HERE, f"The key is revoked. Programs that use it are refused from now on.{also}", "plain")

    async def _make(self, work: Work[KeyCreated]) -> KeyCreated:
        return await self._database.unit("dashboard.keys", work, caller=current_operator())

    async def _made(self, made: KeyCreated, *, is_rotation: bool = False) -> Response:
        return await self._pages.show("key_made.html", made=made, is_rotation=is_rotation)

    async def _ask(self, form: Form, status: int = 200) -> Response:
        """What they cannot give is not offered; what asks for their second factor first is named."""
        operator, person = current_operator(), current_person()
        may_give = operator.permissions - FOR_PEOPLE
        groups = [
            (label, [(right.value, words, right.value) for right, words in rights if right in may_give])
            for label, rights in PERMISSIONS
        ]
        own = permissions_of(operator.role) if operator.role else operator.permissions
        is_stale = bool(SECOND_FACTOR & own - operator.permissions)
        return await self._pages.show(
            "key_new.html", form=form, groups=groups, lives=LIVES, is_stale=is_stale, person=person, status=status
        )


def _wish(form: Form) -> CreateKey:
    """What the form asks for. Raises Refused."""
    scopes = [scope for scope in form.all("scopes") if scope in set(Permission)]
    if not form.get("name").strip():
        raise invalid("name", "must say what the key is for")
    if not scopes:
        raise invalid("scopes", "choose at least one thing that the key may do")
    if form.get("days") not in dict(LIVES):
        raise invalid("days", "must be chosen")
    try:
        granted = tuple(Permission(scope) for scope in scopes)
        return CreateKey(name=form.get("name").strip(), scopes=granted, days=int(form.get("days")))
    except ValidationError:
        raise invalid("name", "is too long, or has characters that no name has") from None


def _also(made: Made) -> str:
    """What ended with a key, as a sentence that follows another."""
    told = ((made.api_keys, "API key"), (made.invitations, "open invitation"))
    parts = [f"{len(rows)} {what}{'' if len(rows) == 1 else 's'}" for rows, what in told if rows]
    return f" So ended what it made: {' and '.join(parts)}." if parts else ""


def _state(key: KeyRow, now: datetime) -> tuple[str, str]:
    """Words and the tone of a badge."""
    if key.revoked_at is not None:
        return "revoked", ""
    if key.expires_at <= now:
        return "expired", ""
    left = (key.expires_at - now).days
    return (f"{left} days left", "busy") if left < 14 else ("in force", "good")
