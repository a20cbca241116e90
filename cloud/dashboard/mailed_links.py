"""What mailed links lead to: choosing a password, and joining a business. And asking for a link."""

from contextlib import suppress

from quart import Blueprint, Response, request
from werkzeug.wrappers import Response as PlainResponse

from cloud.auth.gate import current_person, session_secret
from cloud.auth.identity import Identity
from cloud.auth.invitations import Offer
from cloud.auth.sessions import Person
from cloud.dashboard.cookies import let_in
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.page import add_page
from cloud.dashboard.roles import ROLES
from cloud.dashboard.shell import Shell
from cloud.dashboard.sign_in import SignInPages, told
from cloud.errors import Refused, TooManyRequests, Unauthenticated
from cloud.operations import Access, operation
from shared.errors import Code


class MailedLinkPages:
    """The pages behind links that work once."""

    def __init__(self, shell: Shell, identity: Identity, entrance: SignInPages) -> None:
        self._shell = shell
        self._identity = identity
        self._entrance = entrance

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, "/forgot", self.show_forgot, "GET")
        add_page(pages, "/forgot", self.forgot, "POST")
        add_page(pages, "/reset/<secret>", self.show_reset, "GET")
        add_page(pages, "/reset/<secret>", self.reset, "POST")
        add_page(pages, "/invitations/<secret>", self.show_invitation, "GET")
        add_page(pages, "/invitations/<secret>", self.join, "POST")
        add_page(pages, "/invitations/<secret>/accept", self.accept, "POST")

    @operation(Access.PUBLIC)
    async def show_forgot(self) -> Response:
        """GET /forgot."""
        return await self._shell.bare("forgot.html", form=Form(), is_sent=False)

    @operation(Access.PUBLIC)
    async def forgot(self) -> Response:
        """POST /forgot: the same answer, whoever has the address."""
        form = await read_form()
        try:
            await self._identity.sign_in.forget(form.get("email"))
        except TooManyRequests as error:
            wrong = form.wrong("", told(error))
            return await self._shell.bare("forgot.html", form=wrong, is_sent=False, status=error.status)
        return await self._shell.bare("forgot.html", form=form, is_sent=True)

    @operation(Access.PUBLIC)
    async def show_reset(self, secret: str) -> Response:
        """GET /reset/…."""
        try:
            user = await self._identity.sign_in.check_reset(secret)
        except Refused as error:
            return await self._no_good(error)
        return await self._shell.bare("reset.html", form=Form(), email=user["email"])

    @operation(Access.PUBLIC)
    async def reset(self, secret: str) -> Response | PlainResponse:
        """POST /reset/…: a new password."""
        form = await read_form()
        try:
            user = await self._identity.sign_in.check_reset(secret)
            await self._identity.sign_in.reset(secret, form.get("password"))
        except Refused as error:
            if error.code is Code.LINK_EXPIRED:
                return await self._no_good(error)
            return await self._shell.bare(
                "reset.html", form=form.answered(error), email=user["email"], status=error.status
            )
        return lead("/login", "Your password is set. Sign in with it.")

    @operation(Access.PUBLIC)
    async def show_invitation(self, secret: str) -> Response:
        """GET /invitations/…: for somebody new, for who has an account, or for who has signed in."""
        try:
            offer = await self._identity.invitations.offer(secret)
        except Refused as error:
            return await self._no_good(error)
        return await self._offer(offer, Form())

    @operation(Access.PUBLIC)
    async def join(self, secret: str) -> Response | PlainResponse:
        """POST /invitations/…: as somebody new, who is signed in at once."""
        form = await read_form()
        try:
            offer = await self._identity.invitations.offer(secret)
            await self._identity.invitations.accept_as_new(secret, form.get("name"), form.get("password"))
        except Refused as error:
            if error.code is Code.LINK_EXPIRED:
                return await self._no_good(error)
            return await self._offer(offer, form.answered(error), error.status)
        with suppress(Unauthenticated, TooManyRequests):  # then they sign in by themselves
            visitor = self._entrance.visitor()
            signed_in = await self._identity.sign_in.sign_in(offer.email, form.get("password"), visitor)
            answer = lead("/", f"Welcome to {offer.tenant_name}.")
            let_in(answer, signed_in)
            return answer
        return lead("/login", f"You belong to {offer.tenant_name} now. Sign in.")

    @operation(Access.SIGNED_IN)
    async def accept(self, secret: str) -> Response | PlainResponse:
        """POST /invitations/…/accept: as who has signed in."""
        person = current_person()
        try:
            tenant_id = await self._identity.invitations.accept(person, secret)
        except Refused as error:
            if error.code is Code.LINK_EXPIRED:
                return await self._no_good(error)
            return lead("/account", error.detail, "bad")
        await self._identity.sessions.act_for(person, tenant_id)
        return lead("/", "You have joined.")

    async def _offer(self, offer: Offer, form: Form, status: int = 200) -> Response:
        here, person = request.path, await self._person()
        role = ROLES[offer.role]
        return await self._shell.bare(
            "invitation.html", form=form, offer=offer, role=role, here=here, person=person, status=status
        )

    async def _person(self) -> Person | None:
        try:
            person = await self._identity.sessions.person(session_secret())
        except Unauthenticated:
            return None
        return None if person.is_half else person

    async def _no_good(self, error: Refused) -> Response:
        return await self._shell.bare("link_expired.html", error=error, status=error.status)
