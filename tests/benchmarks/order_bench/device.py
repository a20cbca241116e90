"""A device as a hand-written client: its journal is in memory, its motor takes no time, and it notes when it hears."""

import asyncio
import time
from contextlib import suppress
from uuid import UUID

from firmware.vending import messages
from shared.devices import HEARTBEAT_S
from shared.topics import Channel
from tests.fakes.device import FakeDevice, Send
from tests.fakes.mqtt_device import MqttDevice

RETRY_S = 0.02


class InstantDevice(FakeDevice):
    """`arrived` holds when each vend's dispense came (perf_counter seconds), `ended` the vends acknowledged since."""

    def __init__(self, machine_id: UUID, device_id: UUID, send: Send, slots: frozenset[str]) -> None:
        super().__init__(machine_id, device_id, send, slots)
        self.arrived: dict[str, float] = {}
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self.commanded = asyncio.Event()

    async def receive(self, topic: str, payload: bytes) -> None:
        """Note the time, then do as a device does."""
        now = time.perf_counter()
        await super().receive(topic, payload)
        command = messages.parse(payload)
        if isinstance(command, messages.Errand):
            return
        if command.type == "dispense":
            self.arrived.setdefault(command.vend_id, now)
            self.commanded.set()
        elif command.type == "acknowledge":
            self.ended.put_nowait(command.vend_id)

    async def heartbeat(self) -> None:
        """Tell that it lives."""
        await self._say(Channel.HEARTBEAT, messages.heartbeat(self.boot_id, self.nonce, {"uptime_s": 1}))


class BenchDevice(MqttDevice):
    """An InstantDevice on a real connection."""

    def __init__(self, machine_id: UUID, device_id: UUID, slots: frozenset[str]) -> None:
        super().__init__(machine_id, device_id, slots)
        self.fake: InstantDevice = InstantDevice(machine_id, device_id, self._publish, slots)

    async def return_to(self, port: int, ca_pem: str) -> None:
        """Log in anew as soon as the gateway lets it."""
        await self.disconnect()
        while True:
            with suppress(OSError, EOFError):
                return await self.connect(port, ca_pem)
            await asyncio.sleep(RETRY_S)

    async def live(self) -> None:
        """Send heartbeats for ever."""
        while True:
            with suppress(OSError):
                await self.fake.heartbeat()
            await asyncio.sleep(HEARTBEAT_S)
