"""Setting up the second factor, replacing it, taking it away, and the recovery codes."""

import segno
from markupsafe import Markup
from quart import Blueprint, Response, redirect
from werkzeug.wrappers import Response as PlainResponse

from cloud.auth.gate import current_person
from cloud.auth.identity import Identity
from cloud.auth.second_factor import Enrolment
from cloud.dashboard.cookies import keep_session
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.links import following, with_next
from cloud.dashboard.page import add_page
from cloud.dashboard.sign_in import SECOND_FACTOR, SignInPages, told
from cloud.dashboard.signed_in import SignedInPages
from cloud.errors import Refused, TooManyRequests
from cloud.operations import Access, operation

REPLACEMENT = f"{SECOND_FACTOR}/replacement"


class SecondFactorPages:
    """What people do about their second factor."""

    def __init__(self, pages: SignedInPages, identity: Identity, entrance: SignInPages) -> None:
        self._pages = pages
        self._factors = identity.second_factors
        self._replacements = identity.replacements
        self._entrance = entrance

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, SECOND_FACTOR, self.show, "GET")
        add_page(pages, SECOND_FACTOR, self.confirm, "POST")
        add_page(pages, REPLACEMENT, self.show_replacement, "GET")
        add_page(pages, REPLACEMENT, self.begin_replacement, "POST")
        add_page(pages, f"{REPLACEMENT}/code", self.replace, "POST")
        add_page(pages, f"{SECOND_FACTOR}/removal", self.remove, "POST")
        add_page(pages, f"{SECOND_FACTOR}/recovery-codes", self.renew_codes, "POST")

    @operation(Access.SIGNED_IN)
    async def show(self) -> Response:
        """GET /account/second-factor: what to scan, or what can be done with the one there is."""
        return await self._show(Form())

    @operation(Access.SIGNED_IN)
    async def confirm(self) -> Response:
        """POST: the first code. The answer shows the recovery codes, this once."""
        form, person = await read_form(), current_person()
        try:
            enrolled = await self._factors.confirm(person, form.get("code"), self._entrance.visitor())
        except Refused as error:
            return await self._show(form.answered(error), error.status)
        answer = await self._pages.show("recovery_codes.html", codes=enrolled.recovery_codes, next=following())
        keep_session(answer, enrolled.session_secret)
        return answer

    @operation(Access.SIGNED_IN)
    async def show_replacement(self) -> Response | PlainResponse:
        """GET …/replacement: what the new phone shall scan."""
        return await self._show_replacement(Form())

    @operation(Access.SIGNED_IN)
    async def begin_replacement(self) -> Response | PlainResponse:
        """POST …/replacement: with the password and a code of the old one."""
        form = await read_form("new")
        try:
            await self._replacements.begin(current_person(), form.get("password"), form.get("code"))
        except Refused as error:
            return await self._show(Form(), error.status, replacement=form.answered(error))
        except TooManyRequests as error:
            return await self._show(Form(), error.status, replacement=form.wrong("", told(error)))
        return redirect(REPLACEMENT, 303)

    @operation(Access.SIGNED_IN)
    async def replace(self) -> Response | PlainResponse:
        """POST …/replacement/code: the first code of the new one. The answer shows new recovery codes, this once."""
        form = await read_form()
        try:
            codes = await self._replacements.confirm(current_person(), form.get("code"))
        except Refused as error:
            return await self._show_replacement(form.answered(error), error.status)
        except TooManyRequests as error:
            return await self._show_replacement(form.wrong("", told(error)), error.status)
        return await self._pages.show("recovery_codes.html", codes=codes, next="/account")

    @operation(Access.SIGNED_IN)
    async def remove(self) -> Response | PlainResponse:
        """POST …/removal: with one more code of it."""
        form = await read_form()
        try:
            await self._factors.remove(current_person(), form.get("code"))
        except Refused as error:
            return await self._show(form.answered(error), error.status)
        return lead("/account", "Your second factor is removed.", "plain")

    @operation(Access.SIGNED_IN)
    async def renew_codes(self) -> Response:
        """POST …/recovery-codes: new ones, shown this once."""
        codes = await self._factors.renew_recovery_codes(current_person())
        return await self._pages.show("recovery_codes.html", codes=codes, next="/account")

    async def _show(self, form: Form, status: int = 200, replacement: Form | None = None) -> Response:
        person = current_person()
        if not person.has_second_factor:
            enrolment = await self._factors.pending(person) or await self._factors.begin(person)
            return await self._ask_code(enrolment, form, with_next(SECOND_FACTOR, following()), status)
        return await self._pages.show(
            "second_factor.html",
            form=form,
            replacement=replacement or Form(prefix="new"),
            person=person,
            left=await self._factors.recovery_codes_left(person),
            status=status,
        )

    async def _show_replacement(self, form: Form, status: int = 200) -> Response | PlainResponse:
        begun = await self._replacements.pending(current_person())
        if begun is None:
            return lead(SECOND_FACTOR, "Begin anew: this was too long ago, or in another session.", "bad")
        return await self._ask_code(begun.enrolment, form, f"{REPLACEMENT}/code", status, is_replacement=True)

    async def _ask_code(
        self, enrolment: Enrolment, form: Form, action: str, status: int, *, is_replacement: bool = False
    ) -> Response:
        return await self._pages.show(
            "second_factor_setup.html",
            form=form,
            action=action,
            is_replacement=is_replacement,
            person=current_person(),
            drawing=_drawing(enrolment.link),
            seed=" ".join(enrolment.seed[place : place + 4] for place in range(0, len(enrolment.seed), 4)),
            link=enrolment.link,
            status=status,
        )


def _drawing(text: str) -> Markup:
    """A QR code as SVG: black on white in both themes, or cameras cannot read it."""
    code = segno.make(text, error="m", micro=False)
    return Markup(code.svg_inline(omitsize=True, border=3, dark="#000", light="#fff", svgclass=None, lineclass=None))  # noqa: S704  drawn by us
