"""A device makes itself known to its gateway: once in its life, so that only then is this in RAM."""

import hashlib

from . import TYPE_CHECKING, const, messages, topics
from .log import log
from .mqtt import MqttError

if TYPE_CHECKING:
    from .clock import Clock
    from .credentials import Credentials
    from .mqtt import MqttClient
    from .session import Session

_CLAIM_MS = const(10_000)


async def claim(session: "Session", client: "MqttClient", credentials: "Credentials", clock: "Clock") -> None:
    """Register the device's own credentials; returns when the gateway says it has them. Raises MqttError.

    The token goes as SHA-256 of its 64 hex digits as ASCII text, the form in which it is sent at login.
    """
    await client.subscribe(session.topic(topics.COMMAND))
    token_sha256 = messages.to_hex(hashlib.sha256(credentials.token.encode()).digest())
    await client.publish(session.topic(topics.CLAIM), message(token_sha256, credentials.command_key), 1)
    deadline = clock.ms() + _CLAIM_MS
    while clock.ms() < deadline:
        command = session.authentic(await client.receive(deadline - clock.ms()))
        if command is not None and command.type == "claimed":
            log("claimed")
            return
    raise MqttError("claim unanswered")


def message(token_sha256: str, command_key: str) -> bytes:
    """shared.devices.Claim: both as 64 hex digits."""
    return messages.pack({"token_sha256": token_sha256, "command_key": command_key})
