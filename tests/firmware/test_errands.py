"""What is asked of a device beside vends: done by borrowed code, one at a time, and files fetched piece by piece."""

import asyncio
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from firmware import vending
from firmware.vending.errands import Errands
from firmware.vending.messages import Errand
from firmware.vending.nonces import Nonces
from tests.fakes.set_clock import SetClock

DIGEST = "ab" * 32


class Reports:
    """Remembers what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def tell(self, channel: str, payload: bytes) -> None:
        self.told.append(channel)


class Bench:
    """Errands with one module, `trade`, that does as it is told to."""

    def __init__(self) -> None:
        clock = SetClock()
        self.nonces = nonces = Nonces(clock)
        nonces.start_over()
        self.nonce = nonces.current
        self.performed: list[dict[str, Any]] = []
        self.may_go_on = asyncio.Event()
        self.errands = Errands(nonces, {}, {"trade": ("trade",), "offer": ("trade",)})
        self.reports = Reports()
        self.parts: Any = SimpleNamespace(boot_id="boot", clock=clock, reports=self.reports, perform=self.perform)

    async def perform(self, fields: dict[str, Any]) -> None:
        await self.may_go_on.wait()
        self.performed.append(fields)
        if fields.get("fails"):
            raise MemoryError

    def offer(self, kind: str = "trade", **fields: Any) -> None:
        self.errands.take(Errand(kind, {"nonce": self.nonce, **fields}, ""))

    async def rest(self) -> None:
        """Let the task of the errands do what it can."""
        for _ in range(10):
            await asyncio.sleep(0)


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[None]:
    task = asyncio.create_task(bench.errands.run(bench.parts))
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench()
    (tmp_path / "trade.py").write_text("async def perform(parts, fields):\n    await parts.perform(fields)\n")
    vending.__path__.append(str(tmp_path))
    yield bench
    vending.__path__.remove(str(tmp_path))


async def test_borrowed_code_does_it_and_is_forgotten(bench: Bench) -> None:
    bench.may_go_on.set()
    async with running(bench):
        bench.offer(number=1)
        await bench.rest()
    assert [fields["number"] for fields in bench.performed] == [1]
    assert "firmware.vending.trade" not in sys.modules
    assert not hasattr(vending, "trade")


async def test_one_waits_for_the_other_and_one_too_many_is_dropped(bench: Bench) -> None:
    async with running(bench):
        bench.offer(number=0)
        await bench.rest()
        for number in range(1, 7):
            bench.offer(number=number)
        await bench.rest()
        assert bench.performed == []
        bench.may_go_on.set()
        await bench.rest()
    assert [fields["number"] for fields in bench.performed] == [0, 1, 2, 3, 4]


async def test_an_offer_that_is_repeated_is_seen_to_once(bench: Bench) -> None:
    async with running(bench):
        for _ in range(3):
            bench.offer(digest=DIGEST, kind="offer")
            await bench.rest()
        assert not bench.errands.others_wait()
        bench.offer(digest="cd" * 32, kind="offer")
        assert bench.errands.others_wait()
        bench.may_go_on.set()
        await bench.rest()
        bench.offer(digest=DIGEST, kind="offer")
        await bench.rest()
    assert [fields["digest"][:2] for fields in bench.performed] == ["ab", "cd", "ab"]


async def test_one_that_fails_is_over_and_the_next_is_done(bench: Bench) -> None:
    bench.may_go_on.set()
    async with running(bench):
        bench.offer(fails=True)
        await bench.rest()
        bench.offer(number=2)
        await bench.rest()
    assert [fields.get("number") for fields in bench.performed] == [None, 2]


async def test_one_that_has_waited_too_long_is_not_done(bench: Bench) -> None:
    async with running(bench):
        bench.offer(number=0)
        await bench.rest()
        bench.offer(number=1)
        bench.nonces.start_over()
        bench.may_go_on.set()
        await bench.rest()
    assert [fields["number"] for fields in bench.performed] == [0]


async def test_a_stale_or_unknown_one_is_not_done(bench: Bench) -> None:
    bench.may_go_on.set()
    async with running(bench):
        bench.errands.take(Errand("trade", {"nonce": "0" * 16}, ""))
        bench.errands.take(Errand("juggle", {"nonce": bench.nonce}, ""))
        await bench.rest()
    assert bench.performed == []


async def test_a_piece_is_taken_if_it_is_the_one_that_was_asked_for(bench: Bench) -> None:
    fetching = asyncio.create_task(bench.errands.fetch(bench.parts, DIGEST, 1536, 4))
    await bench.rest()
    assert bench.reports.told == ["ask"]
    for digest, offset in (("cd" * 32, 1536), (DIGEST, 0)):
        bench.errands.take(Errand("piece", {"digest": digest, "offset": offset, "data": ""}, ""))
        await bench.rest()
        assert not fetching.done()
    bench.errands.take(Errand("piece", {"digest": DIGEST, "offset": 1536, "data": b64encode(b"data").decode()}, ""))
    assert await fetching == b"data"


async def test_a_piece_that_does_not_come_is_no_piece(bench: Bench) -> None:
    fetching = asyncio.create_task(bench.errands.fetch(bench.parts, DIGEST, 0, 4))
    await bench.rest()
    bench.parts.clock.time_ms = 10**6
    bench.errands.take(Errand("piece", {"digest": "cd" * 32, "offset": 0, "data": ""}, ""))
    assert await fetching is None


async def test_a_piece_that_is_no_base64_is_no_piece(bench: Bench) -> None:
    fetching = asyncio.create_task(bench.errands.fetch(bench.parts, DIGEST, 0, 4))
    await bench.rest()
    bench.errands.take(Errand("piece", {"digest": DIGEST, "offset": 0, "data": "a"}, ""))
    assert await fetching is None
