"""POST /v1/claim: all that a claim code can do."""

from quart import Blueprint, Response

from cloud.failpoints import Failpoints
from cloud.onboarding.service import OnboardingService
from cloud.operations import Access, operation
from cloud.web import answer, read_message
from shared.onboarding import ClaimGateway


def blueprint(onboarding: OnboardingService, failpoints: Failpoints) -> Blueprint:
    """The claim route."""
    routes = Blueprint("onboarding", __name__)

    @routes.post("/claim")
    @operation(Access.PUBLIC)
    async def claim() -> Response:
        claimed = await onboarding.claim(await read_message(ClaimGateway))
        failpoints.hit("claim.before_reply")
        return answer(claimed)

    return routes
