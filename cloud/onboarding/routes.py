"""POST /v1/claim, and /v1/sites."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response

from cloud.conditional import precondition
from cloud.database import Database, Transaction
from cloud.errors import Unavailable
from cloud.failpoints import Failpoints
from cloud.lists import answer_page
from cloud.live import LiveSettings
from cloud.onboarding import service
from cloud.onboarding.models import SiteEdit, SitePage
from cloud.onboarding.rules import SiteRow
from cloud.onboarding.service import OnboardingService, SiteQuery
from cloud.operations import Access, current_operator, operation
from cloud.permissions import Permission
from cloud.settings import Feature
from cloud.web import answer
from shared.errors import Code
from shared.onboarding import ClaimGateway, GatewayClaimed


class OnboardingRoutes:
    """Where machines stand, and how a gateway comes in."""

    def __init__(
        self, database: Database, onboarding: OnboardingService, failpoints: Failpoints, live: LiveSettings
    ) -> None:
        self._database = database
        self._onboarding = onboarding
        self._failpoints = failpoints
        self._live = live

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("onboarding", __name__)
        routes.add_url_rule("/claim", view_func=self.claim, methods=["POST"])
        routes.add_url_rule("/sites", view_func=self.list_sites, methods=["GET"])
        routes.add_url_rule("/sites/<uuid:site_id>", view_func=self.show_site, methods=["GET"])
        routes.add_url_rule("/sites/<uuid:site_id>", view_func=self.edit_site, methods=["PATCH"])
        return routes

    @operation(
        Access.PUBLIC,
        summary="Claim a gateway",
        answers={200: GatewayClaimed},
        problems=(Code.CLAIM_CODE_UNKNOWN, Code.CLAIM_CODE_USED, Code.CLAIM_CODE_EXPIRED),
    )
    async def claim(self, body: ClaimGateway) -> Response:
        """The first contact of a gateway: its one-time code for a place, under the key it made.

        The same code with the same key gives the same answer again.
        """
        if Feature.CLAIMS in self._live.now.features_off:
            raise Unavailable
        claimed = await self._onboarding.claim(body)
        self._failpoints.hit("claim.before_reply")
        return answer(claimed)

    @operation(Permission.SITES_READ, summary="List sites", answers={200: SitePage}, conditional=True)
    async def list_sites(self, query: SiteQuery) -> Response:
        """Where machines stand, by name."""
        work = partial(service.site_page, query=query)
        return answer_page(await self._database.unit("sites.list", work, caller=current_operator()), query)

    @operation(Permission.SITES_READ, summary="Show a site", answers={200: SiteRow}, conditional=True)
    async def show_site(self, site_id: UUID) -> Response:
        """One place with its address and coordinates."""

        async def work(_: Transaction) -> SiteRow:
            return await service.site(site_id)

        return answer(await self._database.unit("sites.show", work, caller=current_operator()))

    @operation(Permission.SITES_WRITE, summary="Edit a site", answers={200: SiteRow}, guarded=True)
    async def edit_site(self, site_id: UUID, body: SiteEdit) -> Response:
        """Its name, its address, its coordinates."""
        operator = current_operator()
        work = partial(service.edit_site, operator=operator, site_id=site_id, edit=body, expected=precondition())
        return answer(await self._database.unit("sites.edit", work, caller=operator))
