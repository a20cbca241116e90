"""POST /v1/claim: all that a claim code can do."""

from quart import Blueprint, Response

from cloud.errors import Unavailable
from cloud.failpoints import Failpoints
from cloud.live import LiveSettings
from cloud.onboarding.service import OnboardingService
from cloud.operations import Access, operation
from cloud.settings import Feature
from cloud.web import answer, read_message
from shared.onboarding import ClaimGateway


def blueprint(onboarding: OnboardingService, failpoints: Failpoints, live: LiveSettings) -> Blueprint:
    """The claim route."""
    routes = Blueprint("onboarding", __name__)

    @routes.post("/claim")
    @operation(Access.PUBLIC)
    async def claim() -> Response:
        if Feature.CLAIMS in live.now.features_off:
            raise Unavailable
        claimed = await onboarding.claim(await read_message(ClaimGateway))
        failpoints.hit("claim.before_reply")
        return answer(claimed)

    return routes
