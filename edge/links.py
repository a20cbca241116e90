"""The gateway's end of each device's link: who is connected, which nonce and key commands need, how they are sent.

All of it lives only as long as the process; a device tells it anew with each hello.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import structlog

from edge.access import Identity, IdentityKind
from edge.broker import BrokerUnavailable
from edge.clock import Clock
from edge.mqtt import LocalMqtt
from edge.watch import Watch
from shared.commands import Command, mac_of
from shared.devices import Hello
from shared.topics import Channel, Topic

LINKS_KEY = "links"
"""Touched when a device comes or goes (watch.py)."""

UNSIGNED = "0" * 64
"""Stands in a command's `mac` until it is sent."""

log = structlog.get_logger()


@dataclass(slots=True)
class Link:
    """One device's connection."""

    machine_id: UUID
    since: float = float("-inf")
    """When it came up; monotonic seconds."""
    hang_up: Callable[[str], None] = lambda reason: None
    """Ends the connection, for a reason."""
    connected: bool = False
    refused: bool = False
    """Its hello was heard and is not to be believed; another connection would bring the same."""
    unheard: bool = False
    """Something it says once a connection could not be taken: it takes a new connection."""
    nonce: str | None = None
    """The device's newest; None until it has said hello on this connection."""
    key: bytes | None = None
    at_once: int = 1
    """So many vends it takes together at most."""
    firmware: str | None = None
    boot_id: UUID | None = None
    """Of the hello: what another boot says, perhaps with another journal, is not of the device that was met."""
    leaves_until: float = float("-inf")
    """It may be switching itself off until then; monotonic seconds."""

    def open(self, hello: Hello, key: bytes) -> None:
        """The device was met: it can be commanded."""
        self.nonce, self.key, self.firmware, self.boot_id = hello.nonce, key, hello.firmware, hello.boot_id
        self.at_once = hello.at_once

    def renew(self, boot_id: UUID, nonce: str) -> bool:
        """Take the device's newest nonce, if the link is open to this very boot of it; whether it was news."""
        is_news = self.nonce is not None and boot_id == self.boot_id and nonce != self.nonce
        if is_news:
            self.nonce = nonce
        return is_news


@dataclass(frozen=True, slots=True)
class SignedCommand:
    """A command that is ready to go over one connection of one device; a device that claims has no `link` yet."""

    link: Link | None
    topic: str
    payload: bytes


class Links:
    """All devices of the site."""

    def __init__(self, mqtt: LocalMqtt, clock: Clock, watch: Watch) -> None:
        self._mqtt = mqtt
        self._clock = clock
        self._watch = watch
        self._links: dict[UUID, Link] = {}

    def of(self, topic: Topic) -> Link:
        """The device's newest link."""
        return self._links.setdefault(topic.device_id, Link(topic.machine_id))

    def carried(self, topic: Topic, received: float) -> bool:
        """Whether a message of this moment (monotonic seconds) came over the device's newest link."""
        return received >= self.of(topic).since

    def nonce(self, device_id: UUID) -> str | None:
        """What a command to the device must quote now; None while it cannot be commanded."""
        link = self._links.get(device_id)
        return link.nonce if link is not None and link.connected else None

    def boot_id(self, device_id: UUID) -> UUID | None:
        """In which boot the device was met; None while it cannot be commanded."""
        link = self._links.get(device_id)
        return link.boot_id if link is not None and self.online(device_id) else None

    def online(self, device_id: UUID) -> bool:
        """Whether the device can be commanded."""
        return self.nonce(device_id) is not None

    def at_once(self, device_id: UUID) -> int:
        """How many vends the device takes together at most, as it said when it was met last."""
        link = self._links.get(device_id)
        return 1 if link is None else link.at_once

    def let_go(self, device_id: UUID, seconds: float) -> None:
        """From now on, for so long or until it connects anew, the device may be switching itself off."""
        if (link := self._links.get(device_id)) is not None:
            link.leaves_until = self._clock.monotonic() + seconds

    def leaves(self, device_id: UUID) -> bool:
        """Whether the device has leave to switch itself off: nothing may be begun with it."""
        link = self._links.get(device_id)
        return link is not None and self._clock.monotonic() < link.leaves_until

    def can_begin(self, device_id: UUID) -> bool:
        """Whether something may be begun with the device: it can be commanded now, and is not about to boot."""
        return self.online(device_id) and not self.leaves(device_id)

    def since(self, device_id: UUID) -> float | None:
        """When the device's newest link came up (monotonic seconds); None if it has had none."""
        link = self._links.get(device_id)
        return None if link is None else link.since

    def reachable(self) -> list[tuple[UUID, UUID, str]]:
        """(machine id, device id, nonce) of each device that can be commanded."""
        there = ((link.machine_id, device_id, self.nonce(device_id)) for device_id, link in self._links.items())
        return [(machine_id, device_id, nonce) for machine_id, device_id, nonce in there if nonce is not None]

    def connected(self, identity: Identity, hang_up: Callable[[str], None]) -> None:
        """A device has logged in; it is of use once it has said hello."""
        if identity.kind is IdentityKind.DEVICE:
            link = Link(identity.machine_id, self._clock.monotonic(), hang_up, connected=True)
            self._links[identity.device_id] = link
            self._watch.touch([LINKS_KEY])

    def disconnected(self, identity: Identity, reason: str) -> None:
        """A device's connection has ended."""
        if identity.kind is IdentityKind.DEVICE and identity.device_id in self._links:
            self._links[identity.device_id].connected = False
            log.warning("device_disconnected", device_id=str(identity.device_id), reason=reason)
            self._watch.touch([LINKS_KEY])

    def send(self, machine_id: UUID, device_id: UUID, command: Command, key: bytes | None = None) -> None:
        """Sign and publish a command, by the device's key unless another is given. Nobody learns whether it arrives."""
        if (signed := self.sign(machine_id, device_id, command, key)) is not None:
            self.publish(signed)

    def sign(
        self, machine_id: UUID, device_id: UUID, command: Command, key: bytes | None = None
    ) -> SignedCommand | None:
        """The command as it goes over the device's link as it is now; None while there is no key."""
        link = self._links.get(device_id)
        key = key or (link.key if link is not None else None)
        if key is None:
            log.warning("command_without_key", device_id=str(device_id), type=command.type)
            return None
        signed = command.model_copy(update={"mac": mac_of(key, machine_id, device_id, command)})
        return SignedCommand(link, str(Topic(machine_id, device_id, Channel.COMMAND)), signed.to_line())

    def holds(self, device_id: UUID, signed: SignedCommand) -> bool:
        """Whether the link that the command was signed for is still the device's, and up."""
        link = self._links.get(device_id)
        return link is not None and link is signed.link and link.connected

    def publish(self, signed: SignedCommand) -> None:
        """Let the command go. Nobody learns whether it arrives."""
        try:
            self._mqtt.publish(signed.topic, signed.payload)
        except BrokerUnavailable:
            # Whatever matters is repeated until the device answers; the broker's own watch tells whether it is dead.
            log.warning("command_not_sent", topic=signed.topic)
