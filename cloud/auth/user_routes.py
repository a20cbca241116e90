"""/v1/users and /v1/invitations: who belongs to the business."""

from datetime import UTC, datetime
from uuid import UUID

from quart import Blueprint, Response, request

from cloud.auth.invitations import InvitationRow, InvitationService, InviteUser
from cloud.auth.members import ChangeUser, MemberService, UserRow
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import answer, as_id, decode_cursor, encode_cursor, page_size, read_message
from cloud.web import cursor_instant as instant
from shared.contract import Message

NEWEST = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))


class UserPage(Message):
    """A page of users by name."""

    users: tuple[UserRow, ...]
    next_cursor: str | None


class InvitationPage(Message):
    """A page of invitations that wait, the newest first."""

    invitations: tuple[InvitationRow, ...]
    next_cursor: str | None


class UserRoutes:
    """What is done with users."""

    def __init__(self, members: MemberService, invitations: InvitationService) -> None:
        self._members = members
        self._invitations = invitations

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("users", __name__)
        routes.add_url_rule("/users", view_func=self.list_users, methods=["GET"])
        routes.add_url_rule("/users/<uuid:user_id>", view_func=self.show_user, methods=["GET"])
        routes.add_url_rule("/users/<uuid:user_id>", view_func=self.change_user, methods=["PATCH"])
        routes.add_url_rule("/users/<uuid:user_id>", view_func=self.remove_user, methods=["DELETE"])
        routes.add_url_rule("/invitations", view_func=self.list_invitations, methods=["GET"])
        routes.add_url_rule("/invitations", view_func=self.invite, methods=["POST"])
        one = "/invitations/<uuid:invitation_id>"
        routes.add_url_rule(one, view_func=self.withdraw_invitation, methods=["DELETE"])
        routes.add_url_rule(f"{one}/mail", view_func=self.send_again, methods=["POST"])
        return routes

    @operation(Permission.USERS_READ)
    async def list_users(self) -> Response:
        """GET ?limit=&cursor=."""
        limit, after = page_size(), ("", UUID(int=0))
        if "cursor" in request.args:
            name, user_id = decode_cursor(request.args["cursor"], 2)
            after = (name, as_id("cursor", user_id))
        rows = await self._members.users(current_operator(), after, limit + 1)
        shown = rows[:limit]
        more = encode_cursor([shown[-1].name, str(shown[-1].user_id)]) if len(rows) > limit else None
        return answer(UserPage(users=tuple(shown), next_cursor=more))

    @operation(Permission.USERS_READ)
    async def show_user(self, user_id: UUID) -> Response:
        """GET one."""
        return answer(await self._members.user(current_operator(), user_id))

    @operation(Permission.USERS_WRITE)
    async def change_user(self, user_id: UUID) -> Response:
        """PATCH a ChangeUser: another role, or another part of the business to see."""
        return answer(await self._members.change(current_operator(), user_id, await read_message(ChangeUser)))

    @operation(Permission.USERS_WRITE)
    async def remove_user(self, user_id: UUID) -> Response:
        """DELETE: they see nothing of this business any more."""
        await self._members.remove(current_operator(), user_id)
        return Response(status=204)

    @operation(Permission.USERS_READ)
    async def list_invitations(self) -> Response:
        """GET ?limit=&cursor=: those that wait."""
        limit, before = page_size(), NEWEST
        if "cursor" in request.args:
            created_at, invitation_id = decode_cursor(request.args["cursor"], 2)
            before = (instant(created_at), as_id("cursor", invitation_id))
        rows = await self._invitations.invitations(current_operator(), before, limit + 1)
        shown = rows[:limit]
        last = shown[-1] if len(rows) > limit else None
        more = None if last is None else encode_cursor([last.created_at.isoformat(), str(last.invitation_id)])
        return answer(InvitationPage(invitations=tuple(shown), next_cursor=more))

    @operation(Permission.USERS_WRITE)
    async def invite(self) -> Response:
        """POST an InviteUser: they get a link by mail."""
        return answer(await self._invitations.invite(current_operator(), await read_message(InviteUser)), 201)

    @operation(Permission.USERS_WRITE)
    async def send_again(self, invitation_id: UUID) -> Response:
        """POST: a new link, in place of the one before."""
        return answer(await self._invitations.send_again(current_operator(), invitation_id))

    @operation(Permission.USERS_WRITE)
    async def withdraw_invitation(self, invitation_id: UUID) -> Response:
        """DELETE: its link is worth nothing any more."""
        await self._invitations.withdraw(current_operator(), invitation_id)
        return Response(status=204)
