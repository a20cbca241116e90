"""POST /v1/claim: all that a claim code can do."""

from quart import Blueprint, Response

from cloud.errors import Unavailable
from cloud.failpoints import Failpoints
from cloud.live import LiveSettings
from cloud.onboarding.service import OnboardingService
from cloud.operations import Access, operation
from cloud.settings import Feature
from cloud.web import answer
from shared.errors import Code
from shared.onboarding import ClaimGateway, GatewayClaimed


def blueprint(onboarding: OnboardingService, failpoints: Failpoints, live: LiveSettings) -> Blueprint:
    """The claim route."""
    routes = Blueprint("onboarding", __name__)

    @routes.post("/claim")
    @operation(
        Access.PUBLIC,
        summary="Claim a gateway",
        answers={200: GatewayClaimed},
        problems=(Code.CLAIM_CODE_UNKNOWN, Code.CLAIM_CODE_USED, Code.CLAIM_CODE_EXPIRED),
    )
    async def claim(body: ClaimGateway) -> Response:
        """The first contact of a gateway: its one-time code for a place, under the key it made.

        The same code with the same key gives the same answer again.
        """
        if Feature.CLAIMS in live.now.features_off:
            raise Unavailable
        claimed = await onboarding.claim(body)
        failpoints.hit("claim.before_reply")
        return answer(claimed)

    return routes
