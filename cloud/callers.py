"""Who speaks to the cloud, once it is known: what each use case gets to know of them. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from cloud.permissions import OF_THE_WHOLE, Permission, Role, permissions_of


class ActorKind(StrEnum):
    """What sort of somebody did a thing."""

    USER = "user"
    API_KEY = "api_key"
    GATEWAY = "gateway"
    PLATFORM = "platform"
    SYSTEM = "system"


@dataclass(frozen=True)
class Actor:
    """Who did it, as the audit log and the records name them. In a tenant its id is unique."""

    kind: ActorKind
    id: UUID
    name: str


def system(name: str) -> Actor:
    """Larder itself, at somebody's command or by a job of this name: who gave the command it cannot tell."""
    return Actor(ActorKind.SYSTEM, UUID(int=0), name)


@dataclass(frozen=True)
class Scope:
    """The part of a tenant that somebody sees: whole sites, and single machines. None of both: all of it."""

    sites: frozenset[UUID] = frozenset()
    machines: frozenset[UUID] = frozenset()

    @property
    def is_everything(self) -> bool:
        """Nothing is kept from them."""
        return not self.sites and not self.machines

    def setting(self) -> str:
        """As Postgres is told it (`app.scope`): the ids of sites and machines, empty for all."""
        return ",".join(sorted(map(str, self.sites | self.machines)))


EVERYTHING = Scope()


class Caller(Protocol):
    """For whom a unit of work runs: its tenant, and the part of it that they see."""

    @property
    def tenant_id(self) -> UUID: ...

    @property
    def scope(self) -> Scope: ...


@dataclass(frozen=True)
class Operator:
    """A person or program of a tenant that proved who they are. Holds at most what its role or key may do."""

    tenant_id: UUID
    actor: Actor
    permissions: frozenset[Permission]
    scope: Scope = EVERYTHING
    role: Role | None = None
    """Of a person; a key has none."""


def member(tenant_id: UUID, actor: Actor, role: Role, scope: Scope) -> Operator:
    """A person of a tenant, with all that their role may do on the part that they see."""
    allowed = permissions_of(role) if scope.is_everything else permissions_of(role) - OF_THE_WHOLE
    return Operator(tenant_id, actor, allowed, scope, role)
