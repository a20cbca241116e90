"""Who may do what on which topic: default-deny, pure, the only place that says yes."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from shared import topics
from shared.topics import UP, Channel


class IdentityKind(StrEnum):
    """What a login proved."""

    DEVICE = "device"
    CLAIMING_DEVICE = "claiming_device"
    GATEWAY = "gateway"


class Action(StrEnum):
    """What an identity wants to do with a topic or topic filter."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"
    RECEIVE = "receive"
    WILL = "will"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is at the other end. A gateway stands for every device of its site, so its ids are not looked at."""

    kind: IdentityKind
    machine_id: UUID
    device_id: UUID


NIL = UUID(int=0)
GATEWAY = Identity(IdentityKind.GATEWAY, NIL, NIL)
"""The process itself, which publishes and receives without a socket."""

_COMMAND = frozenset({Channel.COMMAND})
_NONE: frozenset[Channel] = frozenset()

_CHANNELS: dict[IdentityKind, dict[Action, frozenset[Channel]]] = {
    IdentityKind.DEVICE: {
        Action.PUBLISH: UP - {Channel.CLAIM},
        Action.SUBSCRIBE: _COMMAND,
        Action.RECEIVE: _COMMAND,
        Action.WILL: frozenset({Channel.OFFLINE}),
    },
    IdentityKind.CLAIMING_DEVICE: {
        Action.PUBLISH: frozenset({Channel.CLAIM}),
        Action.SUBSCRIBE: _COMMAND,
        Action.RECEIVE: _COMMAND,
        Action.WILL: _NONE,
    },
    IdentityKind.GATEWAY: {
        Action.PUBLISH: _COMMAND,
        Action.SUBSCRIBE: _NONE,
        Action.RECEIVE: UP,
        Action.WILL: _NONE,
    },
}


def allowed(identity: Identity, action: Action, topic: str, *, retain: bool = False) -> bool:
    """Whether `identity` may do `action` on `topic`, a topic name or (to subscribe) a topic filter.

    Only the canonical spelling of a Larder topic can pass (`shared.topics.parse`), which rules out wildcards, `$`,
    empty levels and foreign ids in one stroke. Nothing is ever retained: commands must not outlive their moment.
    """
    if retain:
        return False
    try:
        parsed = topics.parse(topic)
    except topics.TopicError:
        return False
    own = identity.kind is IdentityKind.GATEWAY or (
        parsed.machine_id == identity.machine_id and parsed.device_id == identity.device_id
    )
    return own and parsed.channel in _CHANNELS[identity.kind][action]
