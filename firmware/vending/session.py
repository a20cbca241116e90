"""What is said over one connection: heartbeats, reports, commands and their answers. First of all comes greeting.py."""

import binascii

from . import TYPE_CHECKING, const, messages, topics
from .log import kept, warn

if TYPE_CHECKING:
    from . import rules
    from .clock import Clock
    from .commands import Commands
    from .credentials import Credentials
    from .errands import Errands
    from .health import Health
    from .mqtt import MqttClient
    from .nonces import Nonces
    from .reports import Reports
    from .settings import Settings

_HEARTBEAT_MS = const(10_000)


class Session:
    """Over a client that has logged in; every method raises MqttError when the connection is of no more use."""

    def __init__(
        self,
        settings: "Settings",
        credentials: "Credentials",
        health: "Health",
        clock: "Clock",
        nonces: "Nonces",
        reports: "Reports",
        commands: "Commands",
        errands: "Errands",
        boot_id: str,
    ) -> None:
        self._settings = settings
        self._health = health
        self._clock = clock
        self._nonces = nonces
        self._reports = reports
        self._commands = commands
        self._errands = errands
        self._boot_id = boot_id
        self._key = binascii.unhexlify(credentials.command_key)
        self._beat_ms = 0

    def begin(self) -> str:
        """A connection begins: the nonce for its hello (greeting.py)."""
        self._nonces.start_over()
        self._beat_ms = self._clock.ms() + _HEARTBEAT_MS
        return self._nonces.current

    async def tend(self, client: "MqttClient") -> None:
        """Send what is due, then hear at most one command and answer it. To be called for ever."""
        if self._clock.ms() >= self._beat_ms:
            self._beat_ms = self._clock.ms() + _HEARTBEAT_MS
            await self._beat(client)
        for channel, payload in self._reports.due():
            await client.publish(self.topic(channel), payload)
        for payload in kept.take(self._boot_id):
            await client.publish(self.topic(topics.LOG), payload)
        wait_ms = min(self._reports.next_ms(), max(0, self._beat_ms - self._clock.ms()))
        command = self.authentic(await client.receive(wait_ms))
        if command is not None and command.type != "claimed":
            await self._obey(client, command)

    def close(self) -> None:
        """The connection is gone, and with it what its nonces and its word on money were worth."""
        self._reports.disconnected()
        self._commands.link_lost()

    async def _beat(self, client: "MqttClient") -> None:
        self._nonces.renew()
        beat = messages.heartbeat(self._boot_id, self._nonces.current, self._health.take())
        await client.publish(self.topic(topics.HEARTBEAT), beat)

    async def _obey(self, client: "MqttClient", command: "rules.Command | messages.Errand") -> None:
        if isinstance(command, messages.Errand):
            self._errands.take(command)
            return
        told = self._commands.handle(command)
        if told is not None:
            channel, payload = self._reports.answer(told)
            await client.publish(self.topic(channel), payload)

    def authentic(self, received: "tuple | None") -> "rules.Command | messages.Errand | None":
        """The command in what was received; None, and one line of log, if it is nothing to act on."""
        if received is None:
            return None
        topic, payload = received
        if topic != self.topic(topics.COMMAND):
            warn("message_refused", reason="unknown topic")
            return None
        try:
            command = messages.parse(payload)
        except messages.MessageError as error:
            warn("message_refused", reason=str(error))
            return None
        if not messages.is_authentic(self._key, self._settings.machine_id, self._settings.device_id, command):
            warn("message_refused", reason="wrong MAC", type=command.type)
            return None
        return command

    def topic(self, channel: str) -> str:
        """Where this device says or hears what belongs to `channel`."""
        return topics.topic(self._settings.machine_id, self._settings.device_id, channel)
