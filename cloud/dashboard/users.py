"""Users and roles: who belongs to the business, as what, and who is invited."""

from uuid import UUID

from pydantic import ValidationError
from quart import Blueprint, Response, request
from werkzeug.wrappers import Response as PlainResponse

from cloud.auth.gate import current_person
from cloud.auth.identity import Identity
from cloud.auth.invitations import InvitationQuery, InvitationRow, InviteUser
from cloud.auth.leaving import Ended
from cloud.auth.members import ChangeUser, UserQuery, UserRow
from cloud.auth.resetting import Proof
from cloud.auth.rules import may_decide_about
from cloud.catalog.service import Place, places
from cloud.conditional import ANY
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.page import add_page, page_query
from cloud.dashboard.roles import ROLES
from cloud.dashboard.sign_in import told
from cloud.dashboard.signed_in import SignedInPages
from cloud.database import Transaction
from cloud.errors import Refused, TooManyRequests
from cloud.mail import Mail
from cloud.operations import current_operator, operation
from cloud.permissions import Permission, Role
from cloud.web import as_id, invalid
from cloud.webhooks.service import WebhookService

HERE = "/users"
INVITATIONS = 200
"""Shown at most of those that wait; the API knows of more."""
SOME = "some"


class UserPages:
    """What is done with users."""

    def __init__(self, pages: SignedInPages, identity: Identity, webhooks: WebhookService) -> None:
        self._pages = pages
        self._identity = identity
        self._webhooks = webhooks

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, HERE, self.show)
        add_page(pages, f"{HERE}/invite", self.show_invite, "GET")
        add_page(pages, f"{HERE}/invite", self.invite, "POST")
        add_page(pages, f"{HERE}/<uuid:user_id>", self.show_user, "GET")
        add_page(pages, f"{HERE}/<uuid:user_id>", self.change, "POST")
        add_page(pages, f"{HERE}/<uuid:user_id>/removal", self.remove, "POST")
        add_page(pages, f"{HERE}/<uuid:user_id>/sessions", self.end_sessions, "POST")
        add_page(pages, f"{HERE}/<uuid:user_id>/second-factor", self.reset_second_factor, "POST")
        one = f"{HERE}/invitations/<uuid:invitation_id>"
        add_page(pages, f"{one}/mail", self.send_again, "POST")
        add_page(pages, f"{one}/withdrawal", self.withdraw, "POST")

    @operation(Permission.USERS_READ)
    async def show(self) -> Response:
        """GET /users?cursor=."""
        operator = current_operator()
        page = await self._identity.members.users(operator, page_query(UserQuery))
        waiting = await self._identity.invitations.invitations(operator, InvitationQuery(limit=INVITATIONS))
        return await self._pages.show(
            "users.html",
            users=page.users,
            next_cursor=page.next_cursor,
            first_page="cursor" not in request.args,
            invitations=waiting.invitations,
            part=_Parts(await self._places()).told,
            roles=ROLES,
            own_id=operator.actor.id,
            may_write=Permission.USERS_WRITE in operator.permissions,
        )

    @operation(Permission.USERS_WRITE)
    async def show_invite(self) -> Response:
        """GET /users/invite."""
        return await self._ask("invite.html", Form({"role": [Role.OPERATOR.value], "part": ["all"]}))

    @operation(Permission.USERS_WRITE)
    async def invite(self) -> Response | PlainResponse:
        """POST /users/invite."""
        form = await read_form()
        try:
            role, sites, machines = _standing(form)
            try:
                wish = InviteUser(email=form.get("email").strip(), role=role, sites=sites, machines=machines)
            except ValidationError:
                raise invalid("email", "is no e-mail address") from None
            invited = await self._invite(wish)
        except Refused as error:
            return await self._ask("invite.html", form.answered(error), error.status)
        return lead(HERE, f"{invited.email} is invited. The link in their mail works for a week.")

    async def _invite(self, wish: InviteUser) -> InvitationRow:
        """Raises Refused."""
        operator, invitations = current_operator(), self._identity.invitations

        async def work(transaction: Transaction) -> tuple[InvitationRow, Mail]:
            return await invitations.invite(transaction, operator, wish)

        invited, mail = await self._identity.database.unit("dashboard.invite", work, caller=operator)
        invitations.send([mail])
        return invited

    @operation(Permission.USERS_WRITE)
    async def show_user(self, user_id: UUID) -> Response:
        """GET /users/…: one of them, to change or remove."""
        user = await self._identity.members.user(current_operator(), user_id)
        return await self._ask_about(user, _form_of(user))

    @operation(Permission.USERS_WRITE)
    async def change(self, user_id: UUID) -> Response | PlainResponse:
        """POST /users/…: another role, or another part of the business."""
        form, operator = await read_form(), current_operator()
        user = await self._identity.members.user(operator, user_id)
        try:
            role, sites, machines = _standing(form)
            wish = ChangeUser(role=role, sites=sites, machines=machines)
            keep = form.get("keep_keys") == "yes"
            changed = await self._identity.members.change(operator, user_id, wish, ANY, keep_keys=keep)
        except Refused as error:
            return await self._ask_about(user, form.answered(error), error.status)
        return lead(HERE, f"{user.name} is changed. It holds from their next click on.{_told(changed.ended)}")

    @operation(Permission.USERS_WRITE)
    async def remove(self, user_id: UUID) -> PlainResponse:
        """POST /users/…/removal."""
        form, operator = await read_form(), current_operator()
        user = await self._identity.members.user(operator, user_id)
        try:
            keep = form.get("keep_keys") == "yes"
            ended = await self._identity.members.remove(operator, user_id, keep_keys=keep)
        except Refused as error:
            return lead(f"{HERE}/{user_id}", error.detail, "bad")
        return lead("/" if user_id == operator.actor.id else HERE, f"{user.name} is removed.{_told(ended)}")

    @operation(Permission.USERS_WRITE)
    async def end_sessions(self, user_id: UUID) -> PlainResponse:
        """POST /users/…/sessions: they are signed out everywhere."""
        operator = current_operator()
        user = await self._identity.members.user(operator, user_id)
        try:
            ended = await self._identity.members.end_sessions(operator, user_id)
        except Refused as error:
            return lead(f"{HERE}/{user_id}", error.detail, "bad")
        many = f"{ended.sessions} session{'' if ended.sessions == 1 else 's'} ended."
        return lead(f"{HERE}/{user_id}", f"{user.name} is signed out everywhere. {many}", "plain")

    @operation(Permission.SECOND_FACTORS_RESET)
    async def reset_second_factor(self, user_id: UUID) -> Response | PlainResponse:
        """POST /users/…/second-factor: it is taken away, for who has lost it."""
        form, operator = await read_form("reset"), current_operator()
        user = await self._identity.members.user(operator, user_id)
        proof = Proof(form.get("password"), form.get("code"))
        try:
            await self._identity.factor_resets.reset(current_person(), operator, user_id, proof)
        except Refused as error:
            return await self._ask_about(user, _form_of(user), error.status, reset=form.answered(error))
        except TooManyRequests as error:
            return await self._ask_about(user, _form_of(user), error.status, reset=form.wrong("", told(error)))
        return lead(f"{HERE}/{user_id}", f"{user.name} sets up a new second factor. A mail tells them so.")

    @operation(Permission.USERS_WRITE)
    async def send_again(self, invitation_id: UUID) -> PlainResponse:
        """POST /users/invitations/…/mail."""
        row = await self._identity.invitations.send_again(current_operator(), invitation_id)
        return lead(HERE, f"{row.email} gets a new link. The one before does not work any more.")

    @operation(Permission.USERS_WRITE)
    async def withdraw(self, invitation_id: UUID) -> PlainResponse:
        """POST /users/invitations/…/withdrawal."""
        await self._identity.invitations.withdraw(current_operator(), invitation_id)
        return lead(HERE, "The invitation is withdrawn. Its link does not work any more.", "plain")

    async def _ask_about(self, user: UserRow, form: Form, status: int = 200, reset: Form | None = None) -> Response:
        operator = current_operator()
        made = await self._identity.members.made_by(operator, user.user_id)
        may_decide = may_decide_about(operator, user.role)
        return await self._ask(
            "user.html",
            form,
            status,
            user=user,
            made=made,
            webhooks=await self._webhooks.made_by(operator, user.user_id),
            reset=reset or Form(prefix="reset"),
            may_end=may_decide,
            may_reset=may_decide and Permission.SECOND_FACTORS_RESET in operator.permissions,
            person=current_person(),
        )

    async def _ask(self, template: str, form: Form, status: int = 200, **shown: object) -> Response:
        operator = current_operator()
        roles = [(role.value, *words) for role, words in ROLES.items() if may_decide_about(operator, role)]
        sites: dict[UUID, list[Place]] = {}
        for place in await self._places():
            sites.setdefault(place.site_id, []).append(place)
        return await self._pages.show(
            template,
            form=form,
            roles=roles,
            sites=list(sites.values()),
            own_id=operator.actor.id,
            status=status,
            **shown,
        )

    async def _places(self) -> list[Place]:
        async def work(transaction: Transaction) -> list[Place]:
            return await places(transaction)

        return await self._identity.database.unit("dashboard.places", work, caller=current_operator())


def _form_of(user: UserRow) -> Form:
    """As the user is now."""
    part = SOME if user.sites or user.machines else "all"
    sites, machines = [str(site) for site in user.sites], [str(machine) for machine in user.machines]
    return Form({"role": [user.role.value], "part": [part], "sites": sites, "machines": machines})


class _Parts:
    """The part of a business that somebody sees, in words."""

    def __init__(self, known: list[Place]) -> None:
        self._sites = {place.site_id: place.site_name for place in known}
        self._machines = {
            place.machine_id: f"{place.machine_name}, {place.site_name}" for place in known if place.machine_id
        }

    def told(self, sites: tuple[UUID, ...], machines: tuple[UUID, ...]) -> list[str]:
        """Names, sites first; empty for all of it."""
        named = [self._sites.get(site, "a site") for site in sites]
        return named + [self._machines.get(machine, "a machine") for machine in machines]


def _told(ended: Ended) -> str:
    """What else became of it, as sentences that follow others."""
    told = (
        (ended.revoked_keys, "API key", "revoked"),
        (ended.kept_keys, "API key", "kept"),
        (ended.withdrawn_invitations, "invitation", "withdrawn"),
    )
    return "".join(f" {len(rows)} {what}{'' if len(rows) == 1 else 's'} {deed}." for rows, what, deed in told if rows)


def _standing(form: Form) -> tuple[Role, tuple[UUID, ...], tuple[UUID, ...]]:
    """The role, sites and machines that a form asks for. Raises Refused."""
    if form.get("role") not in set(Role):
        raise invalid("role", "must be chosen")
    role = Role(form.get("role"))
    if form.get("part") != SOME:
        return role, (), ()
    sites = tuple(as_id("part", site) for site in form.all("sites"))
    machines = tuple(as_id("part", machine) for machine in form.all("machines"))
    if not sites and not machines:
        raise invalid("part", "choose at least one site or machine")
    return role, sites, machines
