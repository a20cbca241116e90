"""Setting up the second factor, taking it away, and the recovery codes."""

import segno
from markupsafe import Markup
from quart import Blueprint, Response
from werkzeug.wrappers import Response as PlainResponse

from cloud.auth.gate import current_person
from cloud.auth.identity import Identity
from cloud.dashboard.cookies import keep_session
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.links import following
from cloud.dashboard.page import add_page
from cloud.dashboard.sign_in import SECOND_FACTOR, SignInPages
from cloud.dashboard.signed_in import SignedInPages
from cloud.errors import Refused
from cloud.operations import Access, operation


class SecondFactorPages:
    """What people do about their second factor."""

    def __init__(self, pages: SignedInPages, identity: Identity, entrance: SignInPages) -> None:
        self._pages = pages
        self._factors = identity.second_factors
        self._entrance = entrance

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, SECOND_FACTOR, self.show, "GET")
        add_page(pages, SECOND_FACTOR, self.confirm, "POST")
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

    async def _show(self, form: Form, status: int = 200) -> Response:
        person = current_person()
        if person.has_second_factor:
            left = await self._factors.recovery_codes_left(person)
            return await self._pages.show("second_factor.html", form=form, person=person, left=left, status=status)
        enrolment = await self._factors.pending(person) or await self._factors.begin(person)
        return await self._pages.show(
            "second_factor_setup.html",
            form=form,
            person=person,
            drawing=_drawing(enrolment.link),
            seed=" ".join(enrolment.seed[place : place + 4] for place in range(0, len(enrolment.seed), 4)),
            link=enrolment.link,
            next=following(),
            status=status,
        )


def _drawing(text: str) -> Markup:
    """A QR code as SVG: black on white in both themes, or cameras cannot read it."""
    code = segno.make(text, error="m", micro=False)
    return Markup(code.svg_inline(omitsize=True, border=3, dark="#000", light="#fff", svgclass=None, lineclass=None))  # noqa: S704  drawn by us
