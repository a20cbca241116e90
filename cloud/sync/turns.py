"""One push at a time for each gateway, so that none can sit on the pool while it waits for its own row."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from cloud.errors import Unavailable

WAITERS = 2
"""A gateway pushes one batch after the other; another comes at most when it gave up on an answer."""
WAIT_SECONDS = 5.0


@dataclass
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    present: int = 0


class Turns:
    """Locks of one process, by gateway; each lives as long as somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._turns: dict[UUID, _Turn] = {}

    @asynccontextmanager
    async def of(self, gateway_id: UUID) -> AsyncIterator[None]:
        """The gateway's turn. Raises Unavailable when WAITERS wait already, or after WAIT_SECONDS."""
        turn = self._turns.setdefault(gateway_id, _Turn())
        if turn.present > WAITERS:
            raise Unavailable
        turn.present += 1
        try:
            await _acquire(turn.lock)
            try:
                yield
            finally:
                turn.lock.release()
        finally:
            turn.present -= 1
            if not turn.present:
                del self._turns[gateway_id]


async def _acquire(lock: asyncio.Lock) -> None:
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await lock.acquire()
    except TimeoutError as error:
        raise Unavailable from error
