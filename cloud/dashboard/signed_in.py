"""Pages for who has signed in: the shell as it stands around what is theirs."""

from typing import Any

from quart import Response

from cloud.auth.gate import current_person
from cloud.auth.identity import Identity
from cloud.auth.sessions import Person
from cloud.auth.visits import Visit
from cloud.dashboard.navigation import PLATFORM, Right
from cloud.dashboard.roles import role_name
from cloud.dashboard.shell import Account, Choice, Shell

LINKS = (("Your account", "/account"),)


class SignedInPages:
    """Shows pages to who has signed in."""

    def __init__(self, shell: Shell, identity: Identity) -> None:
        self._shell = shell
        self._identity = identity

    async def show(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """A page inside the shell."""
        return await self._shell.page(template, await self.account(), status=status, **context)

    async def account(self) -> Account:
        """Whose page it is."""
        person = current_person()
        visit = await self._identity.visits.running(person) if person.is_platform_admin else None
        tenants = [Choice(str(found.tenant_id), found.name) for found in await self._identity.sessions.tenants(person)]
        here = "" if person.operator is None else str(person.operator.tenant_id)
        if here and here not in {choice.tenant_id for choice in tenants}:
            tenants.append(Choice(here, person.tenant_name or ""))
        is_visit = visit is not None and str(visit.tenant_id) == here
        return Account(
            person.name,
            _standing(person, visit if is_visit else None),
            here,
            tuple(tenants),
            rights_of(person),
            LINKS,
            visit if is_visit else None,
            str(person.user_id),
        )


def rights_of(person: Person) -> frozenset[Right]:
    """What decides where they can go. Who still has to set up a second factor can go nowhere."""
    if person.needs_second_factor and not person.has_second_factor:
        return frozenset()
    rights: frozenset[Right] = person.operator.permissions if person.operator else frozenset()
    return rights | {PLATFORM} if person.is_platform_admin else rights


def _standing(person: Person, visit: Visit | None) -> str:
    if visit is not None:
        return "Visitor"
    if person.operator is None or person.operator.role is None:
        return "Platform admin" if person.is_platform_admin else "No business"
    return role_name(person.operator.role)
