"""/v1/me/second-factor: what people do about their own second factor."""

from typing import Annotated

from pydantic import StringConstraints
from quart import Blueprint, Response

from cloud.auth import rules
from cloud.auth.gate import current_person
from cloud.auth.replacement import ReplacementService
from cloud.operations import Access, operation
from cloud.web import answer
from shared.contract import Instant, Message
from shared.errors import Code

OneTimeCode = Annotated[str, StringConstraints(min_length=1, max_length=32)]
_PROBLEMS = (Code.FORBIDDEN, Code.SECOND_FACTOR_REQUIRED)


class ReplaceSecondFactor(Message):
    """Who asks for another second factor: their password, and a code of the one in force or a recovery code."""

    password: Annotated[str, StringConstraints(min_length=1, max_length=rules.LONGEST_PASSWORD)]
    code: OneTimeCode


class NewSecondFactor(Message):
    """What the new authenticator app has to be told: as a link in a QR code, or typed. It waits until then."""

    seed: str
    link: str
    expires_at: Instant


class ConfirmSecondFactor(Message):
    """The first code of the new authenticator app."""

    code: OneTimeCode


class RecoveryCodes(Message):
    """Each lets in once in place of a code; they are shown this once."""

    recovery_codes: tuple[str, ...]


class FactorRoutes:
    """What is done with second factors."""

    def __init__(self, replacements: ReplacementService) -> None:
        self._replacements = replacements

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("second-factor", __name__, url_prefix="/me/second-factor/replacement")
        routes.add_url_rule("", view_func=self.begin, methods=["POST"])
        routes.add_url_rule("/confirmation", view_func=self.confirm, methods=["POST"])
        return routes

    @operation(
        Access.SIGNED_IN,
        summary="Begin to replace your second factor",
        answers={200: NewSecondFactor},
        problems=(*_PROBLEMS, Code.SECOND_FACTOR_MISSING),
    )
    async def begin(self, body: ReplaceSecondFactor) -> Response:
        """For a new phone. The one in force counts until the new one is confirmed, in this session."""
        begun = await self._replacements.begin(current_person(), body.password, body.code)
        enrolment = begun.enrolment
        return answer(NewSecondFactor(seed=enrolment.seed, link=enrolment.link, expires_at=begun.until))

    @operation(
        Access.SIGNED_IN,
        summary="Replace your second factor",
        answers={200: RecoveryCodes},
        problems=(*_PROBLEMS, Code.CONFLICT),
    )
    async def confirm(self, body: ConfirmSecondFactor) -> Response:
        """The old one and its recovery codes are worth nothing any more, and all other sessions end. You get a mail."""
        codes = await self._replacements.confirm(current_person(), body.code)
        return answer(RecoveryCodes(recovery_codes=tuple(codes)))
