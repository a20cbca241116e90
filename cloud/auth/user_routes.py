"""/v1/users and /v1/invitations: who belongs to the business."""

from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints
from quart import Blueprint, Response

from cloud.auth import rules
from cloud.auth.factor_routes import OneTimeCode
from cloud.auth.gate import current_person
from cloud.auth.invitations import InvitationPage, InvitationQuery, InvitationRow, InvitationService, InviteUser
from cloud.auth.leaving import Ended, KeptKeys, Made
from cloud.auth.members import ChangeUser, MemberService, SessionsEnded, UserChanged, UserPage, UserQuery, UserRow
from cloud.auth.resetting import FactorResets, Proof
from cloud.conditional import precondition
from cloud.database import Transaction
from cloud.idempotency import Once
from cloud.lists import answer_page
from cloud.mail import Mail
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import answer
from shared.contract import Message
from shared.errors import Code


class ResetSecondFactor(Message):
    """Who resets somebody's second factor: their own password, and a code of their own or a recovery code."""

    password: Annotated[str, StringConstraints(min_length=1, max_length=rules.LONGEST_PASSWORD)]
    code: OneTimeCode


class UserRoutes:
    """What is done with users."""

    def __init__(
        self, members: MemberService, invitations: InvitationService, resets: FactorResets, once: Once
    ) -> None:
        self._members = members
        self._invitations = invitations
        self._resets = resets
        self._once = once

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("users", __name__)
        routes.add_url_rule("/users", view_func=self.list_users, methods=["GET"])
        routes.add_url_rule("/users/<uuid:user_id>", view_func=self.show_user, methods=["GET"])
        routes.add_url_rule("/users/<uuid:user_id>", view_func=self.change_user, methods=["PATCH"])
        routes.add_url_rule("/users/<uuid:user_id>", view_func=self.remove_user, methods=["DELETE"])
        routes.add_url_rule("/users/<uuid:user_id>/made", view_func=self.show_made, methods=["GET"])
        routes.add_url_rule("/users/<uuid:user_id>/sessions", view_func=self.end_sessions, methods=["DELETE"])
        reset = "/users/<uuid:user_id>/second-factor/reset"
        routes.add_url_rule(reset, view_func=self.reset_second_factor, methods=["POST"])
        routes.add_url_rule("/invitations", view_func=self.list_invitations, methods=["GET"])
        routes.add_url_rule("/invitations", view_func=self.invite, methods=["POST"])
        one = "/invitations/<uuid:invitation_id>"
        routes.add_url_rule(one, view_func=self.withdraw_invitation, methods=["DELETE"])
        routes.add_url_rule(f"{one}/mail", view_func=self.send_again, methods=["POST"])
        return routes

    @operation(Permission.USERS_READ, summary="List users", answers={200: UserPage}, conditional=True)
    async def list_users(self, query: UserQuery) -> Response:
        """Who belongs to the business, by name."""
        return answer_page(await self._members.users(current_operator(), query), query)

    @operation(Permission.USERS_READ, summary="Show a user", answers={200: UserRow}, conditional=True)
    async def show_user(self, user_id: UUID) -> Response:
        """One user, their role and the part of the business that they see."""
        return answer(await self._members.user(current_operator(), user_id))

    @operation(
        Permission.KEYS_READ,
        summary="Show what a user has made",
        answers={200: Made},
        conditional=True,
    )
    async def show_made(self, user_id: UUID) -> Response:
        """Live API keys that they, or keys of theirs, have made or kept, and open invitations. It ends with them."""
        return answer(await self._members.made_by(current_operator(), user_id))

    @operation(
        Permission.USERS_WRITE,
        summary="Change a user",
        answers={200: UserChanged},
        problems=(Code.CONFLICT,),
        guarded=True,
    )
    async def change_user(self, user_id: UUID, query: KeptKeys, body: ChangeUser) -> Response:
        """Another role, or another part of the business to see: from their next request on.

        What they have made and could not make any more ends: API keys, unless you keep them, and open invitations.
        """
        operator, keep = current_operator(), query.keep_keys
        return answer(await self._members.change(operator, user_id, body, precondition(), keep_keys=keep))

    @operation(Permission.USERS_WRITE, summary="Remove a user", answers={200: Ended}, problems=(Code.CONFLICT,))
    async def remove_user(self, user_id: UUID, query: KeptKeys) -> Response:
        """From their next request on they see nothing of this business any more. The last owner stays.

        What they have made ends: API keys, unless you keep them, and open invitations.
        """
        return answer(await self._members.remove(current_operator(), user_id, keep_keys=query.keep_keys))

    @operation(Permission.USERS_WRITE, summary="End all sessions of a user", answers={200: SessionsEnded})
    async def end_sessions(self, user_id: UUID) -> Response:
        """They are signed out everywhere, at once. Whoever knows their password signs in again: this takes no right."""
        return answer(await self._members.end_sessions(current_operator(), user_id))

    @operation(
        Permission.SECOND_FACTORS_RESET,
        summary="Reset the second factor of a user",
        answers={204: None},
        problems=(Code.CONFLICT,),
    )
    async def reset_second_factor(self, user_id: UUID, body: ResetSecondFactor) -> Response:
        """For who has lost both phone and recovery codes: they sign in with their password, and set up a new one.

        All their sessions end, and they get a mail. You show your own password and second factor; nobody does it for
        themselves. Whoever belongs to another business, too, asks who looks after all businesses.
        """
        proof = Proof(body.password, body.code)
        await self._resets.reset(current_person(), current_operator(), user_id, proof)
        return Response(status=204)

    @operation(Permission.USERS_READ, summary="List invitations", answers={200: InvitationPage}, conditional=True)
    async def list_invitations(self, query: InvitationQuery) -> Response:
        """Those that wait, the newest first."""
        return answer_page(await self._invitations.invitations(current_operator(), query), query)

    @operation(
        Permission.USERS_WRITE,
        summary="Invite a user",
        answers={201: InvitationRow},
        problems=(Code.CONFLICT,),
        idempotent=True,
    )
    async def invite(self, body: InviteUser) -> Response:
        """They get a link by mail, which works once, for a week."""
        operator = current_operator()
        mails: list[Mail] = []

        async def work(transaction: Transaction) -> InvitationRow:
            row, mail = await self._invitations.invite(transaction, operator, body)
            mails[:] = [mail]  # a unit may be tried again
            return row

        done = await self._once("invitations.invite", work, body)
        self._invitations.send(mails)
        return done

    @operation(Permission.USERS_WRITE, summary="Send an invitation again", answers={200: InvitationRow})
    async def send_again(self, invitation_id: UUID) -> Response:
        """A new link, for another week, in place of the one before."""
        return answer(await self._invitations.send_again(current_operator(), invitation_id))

    @operation(Permission.USERS_WRITE, summary="Withdraw an invitation", answers={204: None})
    async def withdraw_invitation(self, invitation_id: UUID) -> Response:
        """Its link is worth nothing any more."""
        await self._invitations.withdraw(current_operator(), invitation_id)
        return Response(status=204)
