"""A kiosk's end of HTTP/1.1, as thin as can be: what it costs is not the gateway's."""

import asyncio
import json
import time
from typing import Any, Self
from uuid import UUID, uuid4


class Kiosk:
    """One kept-alive connection to the gateway. Every exchange ends within `patience` seconds."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: float = 10) -> None:
        self._reader = reader
        self._writer = writer
        self._patience = patience

    @classmethod
    async def open(cls, port: int) -> Self:
        """Raises OSError."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def close(self) -> None:
        """Hang up."""
        self._writer.transport.abort()

    async def order(self, machine_id: UUID, slot: str) -> tuple[float, int, dict[str, Any]]:
        """Tap: one unit of a slot. When the request left (perf_counter seconds), the status, the answer's body."""
        wish = {
            "machine_id": str(machine_id),
            "planogram_version": 1,
            "lines": [{"slot": slot, "quantity": 1}],
        }
        body = json.dumps(wish).encode()
        head = (
            "POST /kiosk/v1/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Idempotency-Key: {uuid4()}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return await self._exchange(head.encode() + body)

    async def status(self) -> dict[str, Any]:
        """The gateway's ledger in figures."""
        return (await self._exchange(b"GET /kiosk/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))[2]

    async def _exchange(self, request: bytes) -> tuple[float, int, dict[str, Any]]:
        async with asyncio.timeout(self._patience):
            left = time.perf_counter()
            self._writer.write(request)
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].split("\r\n", 1)[0])
            body = json.loads(await self._reader.readexactly(length))
        return left, int(head.split(" ", 2)[1]), body
