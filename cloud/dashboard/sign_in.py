"""Signing in, showing the second factor, and signing out."""

from quart import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as PlainResponse

from cloud.auth.gate import COOKIE, current_person
from cloud.auth.identity import Identity
from cloud.auth.sessions import Visitor
from cloud.dashboard.cookies import let_in, let_out
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.links import following, with_next
from cloud.dashboard.page import add_page
from cloud.dashboard.shell import Shell
from cloud.errors import TooManyRequests, Unauthenticated
from cloud.operations import Access, operation
from cloud.throttle import Throttle

SECOND_FACTOR = "/account/second-factor"


class SignInPages:
    """The pages between nobody and somebody."""

    def __init__(self, shell: Shell, identity: Identity, throttle: Throttle) -> None:
        self._shell = shell
        self._identity = identity
        self._throttle = throttle

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, "/login", self.show, "GET")
        add_page(pages, "/login", self.sign_in, "POST")
        add_page(pages, "/login/code", self.show_code, "GET")
        add_page(pages, "/login/code", self.second_factor, "POST")
        add_page(pages, "/logout", self.sign_out, "POST")

    @operation(Access.PUBLIC)
    async def show(self) -> Response:
        """GET /login?next=."""
        return await self._again("login.html", Form())

    @operation(Access.PUBLIC)
    async def sign_in(self) -> PlainResponse | Response:
        """POST /login?next=: an address and a password for a session."""
        form = await read_form()
        try:
            signed_in = await self._identity.sign_in.sign_in(form.get("email"), form.get("password"), self.visitor())
        except (Unauthenticated, TooManyRequests) as error:
            return await self._again("login.html", form.wrong("", told(error)), error.status)
        where = with_next("/login/code", following()) if signed_in.is_half else following()
        answer = redirect(where, 303)
        let_in(answer, signed_in)
        return answer

    @operation(Access.HALF_SIGNED_IN)
    async def show_code(self) -> Response | PlainResponse:
        """GET /login/code?next=."""
        if not current_person().has_second_factor:
            return redirect(with_next(SECOND_FACTOR, following()))
        return await self._again("login_code.html", Form(), person=current_person())

    @operation(Access.HALF_SIGNED_IN)
    async def second_factor(self) -> PlainResponse | Response:
        """POST /login/code?next=: a code of the app, or a recovery code."""
        form, person = await read_form(), current_person()
        try:
            signed_in = await self._identity.sign_in.show_second_factor(person, form.get("code"), self.visitor())
        except (Unauthenticated, TooManyRequests) as error:
            return await self._again("login_code.html", form.wrong("code", told(error)), error.status, person=person)
        answer = redirect(following(), 303)
        let_in(answer, signed_in)
        return answer

    @operation(Access.PUBLIC)
    async def sign_out(self) -> PlainResponse:
        """POST /logout."""
        await self._identity.sessions.end_by_secret(request.cookies.get(COOKIE, ""))
        answer = lead("/login", "You are signed out.", "plain")
        let_out(answer)
        return answer

    def visitor(self) -> Visitor:
        """From where somebody comes in."""
        return Visitor(self._throttle.address(), request.headers.get("User-Agent", ""))

    async def _again(self, template: str, form: Form, status: int = 200, **shown: object) -> Response:
        return await self._shell.bare(template, status=status, form=form, next=following(), **shown)


def told(error: Unauthenticated | TooManyRequests) -> str:
    """Why somebody is not let in, with what to do about it."""
    if isinstance(error, TooManyRequests):
        return f"Too many tries. Wait {error.retry_after_s} seconds, then try again."
    return error.detail
