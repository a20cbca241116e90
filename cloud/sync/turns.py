"""One push at a time for each gateway, so that none can sit on the pool while it waits for its own row."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from cloud.errors import Unavailable

T = TypeVar("T")
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
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, gateway_id: UUID, work: Callable[[], Awaitable[T]]) -> T:
        """Run `work` in the gateway's turn, to its end even if the caller leaves: the next in line must not meet it.

        Raises Unavailable when WAITERS wait already, or after WAIT_SECONDS, and what `work` raises.
        """
        task = asyncio.create_task(self._in_turn(gateway_id, work), name=f"turn of gateway {gateway_id}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """Forget the task. What it raised was told to its caller, or by the unit it ran, if the caller left."""
        self._running.discard(task)
        if not task.cancelled():
            task.exception()

    async def _in_turn(self, gateway_id: UUID, work: Callable[[], Awaitable[T]]) -> T:
        async with self._turn(gateway_id):
            return await work()

    @asynccontextmanager
    async def _turn(self, gateway_id: UUID) -> AsyncIterator[None]:
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
