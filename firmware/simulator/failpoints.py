"""Places where a test lets the simulated device lose its power: LARDER_FAILPOINT=name, or name#3 for the third time.

The firmware knows nothing of them: they sit in the fake flash, the fake motor and around its MQTT client.
"""

import json
import os
from pathlib import Path

from firmware.simulator.board import SimulatedBoard
from firmware.simulator.coil import Habits
from firmware.vending.flash import Flash
from firmware.vending.mqtt import MqttClient
from firmware.vending.settings import Settings

VARIABLE = "LARDER_FAILPOINT"
_RECORD_KINDS = ("A", "S", "L", "P", "D", "K", "X", "C", "KC")
_CHANNELS = ("outcome", "state", "credit")
NAMES = tuple(
    f"{place}.{moment}"
    for place in (
        *(f"journal.{kind}" for kind in _RECORD_KINDS),
        "journal.compact",
        *(f"{channel}.publish" for channel in _CHANNELS),
        "motor.on",
        "motor.off",
    )
    for moment in ("before", "after")
)


class UnknownFailpoint(Exception):
    """No place of this name."""


class Failpoints:
    """`hit` ends the process like a power cut when the chosen place is reached for the chosen time."""

    def __init__(self, chosen: str | None) -> None:
        name, _, count = (chosen or "").partition("#")
        if name and name not in NAMES:
            raise UnknownFailpoint(name)
        self._name = name
        self._left = int(count or 1)

    def hit(self, name: str) -> None:
        if name != self._name:
            return
        self._left -= 1
        if self._left == 0:
            os._exit(137)


class FailingFlash(Flash):
    """Flash with a failpoint before and after each record, named by its kind, and each compaction."""

    def __init__(self, folder: str, failpoints: Failpoints) -> None:
        super().__init__(folder)
        self._failpoints = failpoints

    def append(self, name: str, data: bytes) -> None:
        kind = json.loads(data.partition(b" ")[2])[0]
        self._failpoints.hit(f"journal.{kind}.before")
        super().append(name, data)
        self._failpoints.hit(f"journal.{kind}.after")

    def replace(self, name: str, data: bytes) -> None:
        if not name.startswith("journal."):
            super().replace(name, data)
            return
        self._failpoints.hit("journal.compact.before")
        super().replace(name, data)
        self._failpoints.hit("journal.compact.after")


class FailingBoard(SimulatedBoard):
    """A board with a failpoint around each switch of a motor."""

    def __init__(self, failpoints: Failpoints, settings: Settings, state: Path, habits: Habits) -> None:
        super().__init__(settings, state, habits)
        self._failpoints = failpoints

    def motor_on(self, slot: str, label: str) -> None:
        self._failpoints.hit("motor.on.before")
        super().motor_on(slot, label)
        self._failpoints.hit("motor.on.after")

    def motor_off(self, slot: str) -> None:
        self._failpoints.hit("motor.off.before")
        super().motor_off(slot)
        self._failpoints.hit("motor.off.after")


def failing_client(failpoints: Failpoints) -> type[MqttClient]:
    """An MQTT client with a failpoint around what it publishes on some channels."""

    class FailingClient(MqttClient):
        async def publish(self, topic: str, payload: bytes, qos: int = 0) -> None:
            channel = topic.rpartition("/")[2]
            failpoints.hit(f"{channel}.publish.before")
            await super().publish(topic, payload, qos)
            failpoints.hit(f"{channel}.publish.after")

    return FailingClient
