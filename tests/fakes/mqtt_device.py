"""The fake device behind a real connection: TLS, login, topics. Everything a gateway sees of a device is real."""

import asyncio
import hashlib
import json
import secrets
import ssl
from contextlib import suppress
from typing import Any
from uuid import UUID

from shared.devices import Claim, DeviceMessage
from shared.topics import Channel, Topic
from tests.fakes.device import FakeDevice
from tests.fakes.raw_mqtt import RawMqtt, publish_packet

PUBLISH = 3


class MqttDevice:
    """Claims itself with a code, then serves commands. `fake` is the device itself, `told` all it was told."""

    def __init__(self, machine_id: UUID, device_id: UUID, slots: frozenset[str]) -> None:
        self.fake = FakeDevice(machine_id, device_id, self._publish, slots)
        self.told: list[dict[str, Any]] = []
        self.token = secrets.token_hex(32).encode()
        self._link: RawMqtt | None = None
        self._serving: asyncio.Task[None] | None = None

    async def claim(self, port: int, ca_pem: str, code: str) -> None:
        """Register token and key; returns once the gateway has confirmed. The gateway must expect the device."""
        await self._open(port, ca_pem, b"claim:" + code.encode())
        claim = Claim(token_sha256=hashlib.sha256(self.token).hexdigest(), command_key=self.fake.key.hex())
        await self._publish(self._topic(Channel.CLAIM), claim.to_line())
        assert self._link is not None
        _, payload = (await self._link.receive(PUBLISH)).message()
        assert b'"claimed"' in payload
        await self.disconnect()

    async def connect(self, port: int, ca_pem: str) -> None:
        """Log in, say hello, and serve until `disconnect` or the end of the connection."""
        await self._open(port, ca_pem, self.token)
        self._serving = asyncio.create_task(self._serve(), name="fake device")
        await self.fake.hello()
        await self.fake.report_open()

    async def say(self, channel: Channel, message: DeviceMessage) -> None:
        """Tell the gateway anything."""
        await self._publish(self._topic(channel), message.to_line())

    async def disconnect(self) -> None:
        """Hang up."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
            self._serving = None
        if self._link is not None:
            await self._link.close()
            self._link = None

    async def _open(self, port: int, ca_pem: str, password: bytes) -> None:
        self._link = await RawMqtt.open(port, ssl.create_default_context(cadata=ca_pem))
        assert await self._link.log_in(str(self.fake.device_id), password, keep_alive=600) == 0
        assert await self._link.subscribe(self._topic(Channel.COMMAND)) == b"\0"

    async def _serve(self) -> None:
        assert self._link is not None
        self._link.patience = 600
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                received = await self._link.receive()
                if received.kind == PUBLISH:
                    topic, payload = received.message()
                    self.told.append(json.loads(payload))
                    await self.fake.receive(topic, payload)

    async def _publish(self, topic: str, payload: bytes) -> None:
        if self._link is not None:
            await self._link.send(publish_packet(topic, payload))

    def _topic(self, channel: Channel) -> str:
        return str(Topic(self.fake.machine_id, self.fake.device_id, channel))
