"""The account of who has signed in: their name, password and sessions, and the business they act for."""

from uuid import UUID

from quart import Blueprint, Response
from werkzeug.wrappers import Response as PlainResponse

from cloud.auth.gate import current_person
from cloud.auth.identity import Identity
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.page import add_page
from cloud.dashboard.sign_in import told
from cloud.dashboard.signed_in import SignedInPages
from cloud.errors import Refused, TooManyRequests
from cloud.operations import Access, operation
from cloud.web import as_id

HERE = "/account"


class AccountPages:
    """What people do about themselves."""

    def __init__(self, pages: SignedInPages, identity: Identity) -> None:
        self._pages = pages
        self._identity = identity

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, HERE, self.show)
        add_page(pages, f"{HERE}/name", self.rename, "POST")
        add_page(pages, f"{HERE}/password", self.change_password, "POST")
        add_page(pages, f"{HERE}/sessions/others", self.end_others, "POST")
        add_page(pages, f"{HERE}/sessions/<uuid:session_id>", self.end_session, "POST")
        add_page(pages, "/tenant", self.act_for, "POST")

    @operation(Access.SIGNED_IN)
    async def show(self) -> Response:
        """GET /account."""
        return await self._show()

    @operation(Access.SIGNED_IN)
    async def rename(self) -> Response | PlainResponse:
        """POST /account/name."""
        form = await read_form("name")
        try:
            await self._identity.sessions.rename(current_person(), form.get("name"))
        except Refused as error:
            return await self._show(name=form.answered(error), status=error.status)
        return lead(HERE, "Your name is changed.")

    @operation(Access.SIGNED_IN)
    async def change_password(self) -> Response | PlainResponse:
        """POST /account/password."""
        form = await read_form("password")
        try:
            await self._identity.sign_in.change_password(current_person(), form.get("old"), form.get("new"))
        except Refused as error:
            return await self._show(password=form.answered(error), status=error.status)
        except TooManyRequests as error:
            return await self._show(password=form.wrong("", told(error)), status=error.status)
        return lead(HERE, "Your password is changed. You are signed out everywhere else.")

    @operation(Access.SIGNED_IN)
    async def end_session(self, session_id: UUID) -> PlainResponse:
        """POST /account/sessions/…: sign it out."""
        await self._identity.sessions.end(current_person(), session_id)
        return lead(HERE, "That session is signed out.")

    @operation(Access.SIGNED_IN)
    async def end_others(self) -> PlainResponse:
        """POST /account/sessions/others."""
        ended = await self._identity.sessions.end_others(current_person())
        return lead(HERE, f"Signed out everywhere else ({ended}).")

    @operation(Access.SIGNED_IN)
    async def act_for(self) -> PlainResponse:
        """POST /tenant: show the pages of another business from now on."""
        tenant_id = as_id("tenant_id", (await read_form()).get("tenant_id"))
        await self._identity.sessions.act_for(current_person(), tenant_id)
        return lead("/", "You see another business now.", "plain")

    async def _show(self, name: Form | None = None, password: Form | None = None, status: int = 200) -> Response:
        person = current_person()
        return await self._pages.show(
            "account.html",
            person=person,
            name=name or Form({"name": [person.name]}, prefix="name"),
            password=password or Form(prefix="password"),
            sessions=await self._identity.sessions.sessions(person),
            codes_left=await self._identity.second_factors.recovery_codes_left(person),
            status=status,
        )
