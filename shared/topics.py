"""Every MQTT topic of Larder, built and parsed nowhere else: larder/v1/{machine}/{device}/{channel}."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

ROOT = "larder/v1"
KNOWN = 4096
"""Topics kept in mind: a site has some hundred, and each message asks for its own several times."""


class Channel(StrEnum):
    """The last level of a topic. `COMMAND` runs gateway → device, all others device → gateway."""

    COMMAND = "cmd"
    CLAIM = "claim"
    HELLO = "hello"
    HEARTBEAT = "heartbeat"
    STATE = "state"
    OUTCOME = "outcome"
    DROP = "drop"
    CREDIT = "credit"
    SENSOR = "sensor"
    STOCK = "stock"
    LOG = "log"
    OTA = "ota"
    ASK = "ask"
    ANSWER = "answer"
    SETTINGS = "settings"
    OFFLINE = "offline"


UP = frozenset(Channel) - {Channel.COMMAND}


class TopicError(ValueError):
    """The text is no topic of Larder."""


@dataclass(frozen=True, slots=True)
class Topic:
    """Where a message goes or came from."""

    machine_id: UUID
    device_id: UUID
    channel: Channel

    def __str__(self) -> str:
        return f"{ROOT}/{self.machine_id}/{self.device_id}/{self.channel}"


def device_of(text: str) -> str:
    """The device's level of a topic that somebody has vouched for, unparsed: the last but one."""
    return text.rpartition("/")[0].rpartition("/")[2]


@lru_cache(maxsize=KNOWN)
def parse(text: str) -> Topic:
    """The topic behind `text`. Only the canonical spelling is accepted: lower-case ids with hyphens, no extra levels.

    Raises TopicError.
    """
    levels = text.split("/")
    if len(levels) != 5 or f"{levels[0]}/{levels[1]}" != ROOT:
        raise TopicError("not a Larder topic")
    try:
        topic = Topic(UUID(levels[2]), UUID(levels[3]), Channel(levels[4]))
    except ValueError as error:
        raise TopicError("not a Larder topic") from error
    if str(topic) != text:
        raise TopicError("not the canonical spelling")
    return topic
