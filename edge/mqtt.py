"""The gateway's own end of MQTT: in process, without a socket."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import structlog

from edge.access import GATEWAY, Action, allowed

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Message:
    """What a device published, and when it arrived (monotonic seconds). The guard vouches for the ids in the topic."""

    topic: str
    payload: bytes
    received_monotonic: float


class Inbox:
    """Messages that wait to be handled, oldest first.

    A full inbox drops the newest: devices repeat what matters until it is acknowledged, and the rest keeps its order.
    Each spell of dropping is logged when it begins and when it ends; `dropped` counts over the whole life.
    """

    def __init__(self, monotonic: Callable[[], float], limit: int = 1024) -> None:
        self._monotonic = monotonic
        self._queue: asyncio.Queue[Message] = asyncio.Queue(limit)
        self._dropped_before = 0
        self.dropped = 0

    def put(self, topic: str, payload: bytes) -> None:
        """Take a message in, or drop it. Never waits, never raises."""
        message = Message(topic, payload, self._monotonic())
        if self._queue.full():
            if self.dropped == self._dropped_before:
                log.error("inbox_full", topic=topic, waiting=self._queue.qsize())
            self.dropped += 1
            return
        if self.dropped > self._dropped_before and self._queue.empty():
            log.warning("inbox_flows_again", dropped=self.dropped - self._dropped_before)
            self._dropped_before = self.dropped
        self._queue.put_nowait(message)

    async def get(self) -> Message:
        """The oldest message; waits for one as long as it takes."""
        return await self._queue.get()


class LocalMqtt:
    """Publishes as the gateway and reads what devices publish. `send` is `EmbeddedBroker.publish`."""

    def __init__(self, send: Callable[[str, bytes], None], inbox: Inbox) -> None:
        self._send = send
        self._inbox = inbox

    def publish(self, topic: str, payload: bytes) -> None:
        """Send once, QoS 0, never retained; nobody is told whether it arrived.

        Raises ValueError for a topic the gateway has no business on, and BrokerUnavailable.
        """
        if not allowed(GATEWAY, Action.PUBLISH, topic):
            raise ValueError(f"the gateway does not publish on {topic!r}")
        self._send(topic, payload)

    async def messages(self) -> AsyncGenerator[Message, None]:
        """All messages of all devices, for ever. One consumer."""
        while True:
            yield await self._inbox.get()
