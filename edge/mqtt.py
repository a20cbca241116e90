"""The gateway's own end of MQTT: in process, without a socket."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import structlog

from edge.access import GATEWAY, Action, allowed
from shared.topics import device_of

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Message:
    """What a device published, and when it arrived (monotonic seconds). The guard vouches for the ids in the topic."""

    topic: str
    payload: bytes
    received_monotonic: float


class Inbox:
    """Messages that wait to be handled: one of each device in turn, of each device the oldest first.

    Of a device at most `limit` wait, a hello and all it may have to tell of 60 slots and 32 coins, and the guard bounds
    the devices. What comes above that is dropped: devices repeat
    what matters until it is acknowledged, and one that says too much takes nobody else's turn. Each device's spell of
    dropping is logged when it begins, and when all that waited is handled; `dropped` counts over the whole life.
    """

    def __init__(self, monotonic: Callable[[], float], limit: int = 128) -> None:
        self._monotonic = monotonic
        self._limit = limit
        self._came = asyncio.Event()
        # By device, none empty, the next in turn first.
        self._waiting: OrderedDict[str, deque[Message]] = OrderedDict()
        # How many messages of a device were dropped since its queue was last empty.
        self._spells: dict[str, int] = {}
        self.dropped = 0

    def put(self, topic: str, payload: bytes) -> None:
        """Take a message in, or drop it. Never waits, never raises."""
        device_id = device_of(topic)
        waiting = self._waiting.get(device_id)
        if waiting is None:
            waiting = self._waiting[device_id] = deque()
        elif len(waiting) >= self._limit:
            self._drop(device_id)
            return
        waiting.append(Message(topic, payload, self._monotonic()))
        self._came.set()

    async def get(self) -> Message:
        """The next message; waits for one as long as it takes. One consumer."""
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        device_id, waiting = self._waiting.popitem(last=False)
        message = waiting.popleft()
        if waiting:
            self._waiting[device_id] = waiting
        elif device_id in self._spells:
            log.warning("inbox_flows_again", device_id=device_id, dropped=self._spells.pop(device_id))
        return message

    def _drop(self, device_id: str) -> None:
        if device_id not in self._spells:
            log.error("inbox_full", device_id=device_id, waiting=self._limit)
        self._spells[device_id] = self._spells.get(device_id, 0) + 1
        self.dropped += 1


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
        """All messages of all devices in turn, for ever. One consumer."""
        while True:
            yield await self._inbox.get()
