"""Signing in and out."""

from http import HTTPStatus

from quart import Blueprint, Response, redirect, render_template, request
from werkzeug.wrappers import Response as PlainResponse

from cloud.auth.gate import COOKIE, current_person
from cloud.auth.identity import Identity
from cloud.auth.sessions import Visitor
from cloud.auth.sign_in import SignedIn
from cloud.errors import TooManyRequests, Unauthenticated
from cloud.operations import Access, operation
from cloud.throttle import Throttle
from cloud.web import read_form

HOME = "/orders"


class SignInPages:
    """The pages between nobody and somebody."""

    def __init__(self, identity: Identity, throttle: Throttle) -> None:
        self._identity = identity
        self._throttle = throttle

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        pages.add_url_rule("/login", view_func=self.show, methods=["GET"])
        pages.add_url_rule("/login", view_func=self.sign_in, methods=["POST"])
        pages.add_url_rule("/login/code", view_func=self.show_code, methods=["GET"])
        pages.add_url_rule("/login/code", view_func=self.second_factor, methods=["POST"])
        pages.add_url_rule("/logout", view_func=self.sign_out, methods=["POST"])

    @operation(Access.PUBLIC)
    async def show(self) -> str:
        """GET /login."""
        return await render_template("login.html")

    @operation(Access.PUBLIC)
    async def sign_in(self) -> PlainResponse | Response:
        """POST /login: an address and a password for a session."""
        form = await read_form()
        email = form.get("email", "")
        try:
            signed_in = await self._identity.sign_in.sign_in(email, form.get("password", ""), self._visitor())
        except (Unauthenticated, TooManyRequests) as error:
            return await self._again("login.html", error, email=email)
        return _let_in(signed_in, "/login/code" if signed_in.is_half else HOME)

    @operation(Access.HALF_SIGNED_IN)
    async def show_code(self) -> str:
        """GET /login/code."""
        return await render_template("login_code.html")

    @operation(Access.HALF_SIGNED_IN)
    async def second_factor(self) -> PlainResponse | Response:
        """POST /login/code: a code of the app, or a recovery code."""
        code = (await read_form()).get("code", "")
        try:
            signed_in = await self._identity.sign_in.show_second_factor(current_person(), code, self._visitor())
        except (Unauthenticated, TooManyRequests) as error:
            return await self._again("login_code.html", error)
        return _let_in(signed_in, HOME)

    @operation(Access.PUBLIC)
    async def sign_out(self) -> PlainResponse:
        """POST /logout."""
        await self._identity.sessions.end_by_secret(request.cookies.get(COOKIE, ""))
        answer = redirect("/login", HTTPStatus.SEE_OTHER)
        answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Strict")
        return answer

    def _visitor(self) -> Visitor:
        return Visitor(self._throttle.address(), request.headers.get("User-Agent", ""))

    async def _again(self, template: str, error: Unauthenticated | TooManyRequests, **shown: str) -> Response:
        return Response(await render_template(template, error=error.detail, **shown), error.status)


def _let_in(signed_in: SignedIn, where: str) -> PlainResponse:
    answer = redirect(where, HTTPStatus.SEE_OTHER)
    life = int(signed_in.life.total_seconds())
    answer.set_cookie(COOKIE, signed_in.secret, max_age=life, secure=True, httponly=True, samesite="Strict")
    return answer
