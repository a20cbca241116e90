"""For who looks after all businesses: which there are, and visiting one for a reason and for a while."""

from uuid import UUID

from quart import Blueprint, Response, request
from werkzeug.wrappers import Response as PlainResponse

from cloud.auth.gate import current_person
from cloud.auth.identity import Identity
from cloud.auth.resetting import Proof
from cloud.auth.visits import LONGEST_MINUTES, LONGEST_REASON, require_platform_admin
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.page import add_page, page_query
from cloud.dashboard.sign_in import told
from cloud.dashboard.signed_in import SignedInPages
from cloud.errors import Refused, TooManyRequests
from cloud.lists import Bookmark, PageQuery
from cloud.operations import Access, operation

HERE = "/platform"
_PLACE = Bookmark("platform", (str, UUID))


class PlatformPages:
    """What platform admins do."""

    def __init__(self, pages: SignedInPages, identity: Identity) -> None:
        self._pages = pages
        self._visits = identity.visits
        self._resets = identity.factor_resets

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, HERE, self.show)
        add_page(pages, f"{HERE}/<uuid:tenant_id>", self.show_visit, "GET")
        add_page(pages, f"{HERE}/<uuid:tenant_id>", self.visit, "POST")
        add_page(pages, f"{HERE}/leave", self.leave, "POST")
        add_page(pages, f"{HERE}/second-factor", self.show_reset, "GET")
        add_page(pages, f"{HERE}/second-factor", self.reset, "POST")

    @operation(Access.SIGNED_IN)
    async def show(self) -> Response:
        """GET /platform?cursor=: all businesses by name."""
        query, after = page_query(PageQuery), ("", UUID(int=0))
        match _PLACE.read(query):
            case (str() as name, UUID() as tenant_id):
                after = (name, tenant_id)
        rows = await self._visits.tenants(current_person(), after, query.limit + 1)
        shown, more = _PLACE.cut(rows, query, lambda row: (row.name, row.tenant_id))
        return await self._pages.show(
            "platform.html",
            tenants=shown,
            next_cursor=more,
            first_page="cursor" not in request.args,
        )

    @operation(Access.SIGNED_IN)
    async def show_visit(self, tenant_id: UUID) -> Response:
        """GET /platform/…: why, and for how long?"""
        return await self._ask(tenant_id, Form({"minutes": ["30"]}))

    @operation(Access.SIGNED_IN)
    async def visit(self, tenant_id: UUID) -> Response | PlainResponse:
        """POST /platform/…: begin."""
        form = await read_form()
        text = form.get("minutes")
        minutes = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
        try:
            await self._visits.begin(current_person(), tenant_id, form.get("reason"), minutes)
        except Refused as error:
            return await self._ask(tenant_id, form.answered(error), error.status)
        return lead("/", "Your visit has begun. The business sees it in its audit log.", "plain")

    @operation(Access.SIGNED_IN)
    async def leave(self) -> PlainResponse:
        """POST /platform/leave."""
        await self._visits.end(current_person())
        return lead(HERE, "Your visit has ended.", "plain")

    @operation(Access.SIGNED_IN)
    async def show_reset(self) -> Response:
        """GET /platform/second-factor: whose shall be reset, and why?"""
        require_platform_admin(current_person())
        return await self._ask_reset(Form())

    @operation(Access.SIGNED_IN)
    async def reset(self) -> Response | PlainResponse:
        """POST /platform/second-factor."""
        form, person = await read_form(), current_person()
        address, proof = form.get("address"), Proof(form.get("password"), form.get("code"))
        try:
            await self._resets.reset_anybodys(person, address, form.get("reason"), proof)
        except Refused as error:
            return await self._ask_reset(form.answered(error), error.status)
        except TooManyRequests as error:
            return await self._ask_reset(form.wrong("", told(error)), error.status)
        return lead(
            HERE, f"The second factor of {address.strip()} is reset. Their businesses see it in their audit logs."
        )

    async def _ask_reset(self, form: Form, status: int = 200) -> Response:
        person = current_person()
        return await self._pages.show(
            "platform_reset.html", form=form, person=person, longest=LONGEST_REASON, status=status
        )

    async def _ask(self, tenant_id: UUID, form: Form, status: int = 200) -> Response:
        tenant = await self._visits.tenant(current_person(), tenant_id)
        limits = {"minutes": LONGEST_MINUTES, "reason": LONGEST_REASON}
        return await self._pages.show("visit.html", form=form, tenant=tenant, limits=limits, status=status)
