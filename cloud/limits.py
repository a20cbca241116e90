"""Who may ask how often: token buckets in Postgres, so that all processes together grant no more than one would.

A process that is asked often takes tokens in blocks and grants those without asking again. A block is a quarter of what
was spent of late at most, and a tenth of the bucket, and dies after BLOCK_SECONDS. So in any time T all processes
together grant at most capacity + refill × (T + BLOCK_SECONDS), and since their first grant capacity + refill × T.
"""

import asyncio
import math
from dataclasses import dataclass, field

from cloud.database import Database, Transaction
from cloud.errors import Unavailable
from cloud.rates import Rate

BLOCK_SECONDS = 2.0
BLOCK_SHARE = 10
KNOWN_BUCKETS = 20_000
"""So many a process keeps in mind; about 1 KB each."""

_TAKE = "SELECT granted, remaining FROM take_tokens($1, $2, $3, $4, $5)"


@dataclass(frozen=True)
class Bucket:
    """What is counted together: one `key` under one `policy`, the name that clients are told."""

    policy: str
    key: str
    rate: Rate


@dataclass(frozen=True)
class Decision:
    """Whether it is granted. `remaining` is an estimate: other processes take from the bucket too."""

    bucket: Bucket
    allowed: bool
    remaining: int
    reset_s: int
    """Until the bucket is full again."""
    retry_after_s: int
    """Until as much is granted; 0 when it was."""

    @property
    def limit(self) -> int:
        """How much the bucket holds."""
        return self.bucket.rate.capacity


@dataclass
class _Known:
    """What this process knows of a bucket, in seconds of the loop's clock."""

    rate: Rate
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    """Tokens that those at the lock need."""
    in_hand: int = 0
    dies_at: float = 0.0
    level: float = math.inf
    """Of the bucket, when it was last asked. Others only take from it."""
    asked_at: float = 0.0
    failed_at: float = -1.0
    spent: int = 0
    spent_since: float = 0.0
    spent_before: float = 0.0
    """In BLOCK_SECONDS before `spent_since`."""

    def spend(self, tokens: int, now: float) -> None:
        """Count what was granted."""
        self.in_hand -= tokens
        if (passed := now - self.spent_since) >= BLOCK_SECONDS:
            self.spent_before = self.spent * BLOCK_SECONDS / passed
            self.spent, self.spent_since = 0, now
        self.spent += tokens

    def wish(self, needed: int) -> int:
        """How many to take out of the bucket at once."""
        lately = max(self.spent, self.spent_before)
        return max(needed, min(self.rate.capacity // BLOCK_SHARE, max(self.waiting, int(lately) // 4)))

    def in_bucket(self, now: float) -> float:
        """Tokens that the bucket holds at most, by what was seen of it last."""
        return min(self.rate.capacity, self.level + self.rate.per_s * (now - self.asked_at))

    def available(self, now: float) -> float:
        """Tokens in hand and in the bucket."""
        return min(self.rate.capacity, self.in_hand + self.in_bucket(now))


class Limits:
    """The buckets, as one process sees them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[tuple[str, str], _Known] = {}

    async def take(self, bucket: Bucket, cost: int = 1) -> Decision:
        """Take `cost` tokens, or none. Raises Unavailable: without Postgres nothing is granted."""
        loop = asyncio.get_running_loop()
        came_at, known = loop.time(), self._of(bucket)
        known.waiting += cost
        try:
            async with known.lock:
                if known.failed_at >= came_at:  # while we waited: asking once more would only keep others waiting
                    raise Unavailable
                await self._fill_hand(bucket, known, cost)
                now = loop.time()
                if allowed := known.in_hand >= cost:
                    known.spend(cost, now)
        finally:
            known.waiting -= cost
        return _decision(bucket, known, cost, now, allowed=allowed)

    def _of(self, bucket: Bucket) -> _Known:
        name = (bucket.policy, bucket.key)
        known = self._known.get(name)
        if known is None or known.rate != bucket.rate:
            if known is None and len(self._known) >= KNOWN_BUCKETS:
                del self._known[next(iter(self._known))]
            known = self._known[name] = _Known(bucket.rate)
        return known

    async def _fill_hand(self, bucket: Bucket, known: _Known, cost: int) -> None:
        """Ask for tokens unless there are enough in hand, or surely none to have."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if known.dies_at <= now:
            known.in_hand = 0
        needed = cost - known.in_hand
        if needed <= 0 or known.in_bucket(now) < needed:
            return
        try:
            granted, level = await self._ask(bucket, needed, known.wish(needed))
        except Unavailable:
            known.failed_at = loop.time()
            raise
        known.asked_at, known.level = now, level
        if granted:
            # A block's life begins before it is asked for; tokens that were left die no later for it.
            known.dies_at = min(known.dies_at, now + BLOCK_SECONDS) if known.in_hand else now + BLOCK_SECONDS
            known.in_hand += granted

    async def _ask(self, bucket: Bucket, needed: int, wanted: int) -> tuple[int, float]:
        rate = bucket.rate
        values = (f"{bucket.policy} {bucket.key}", float(rate.capacity), rate.per_s, needed, wanted)

        async def work(transaction: Transaction) -> tuple[int, float]:
            row = await transaction.fetch_one(_TAKE, *values)
            assert row is not None  # noqa: S101  a function answers with one row
            return row["granted"], row["remaining"]

        return await self._database.unit("limits.take", work)


def _decision(bucket: Bucket, known: _Known, cost: int, now: float, *, allowed: bool) -> Decision:
    available, rate = known.available(now), bucket.rate
    retry = 0 if allowed else max(1, math.ceil((cost - available) / rate.per_s))
    reset = math.ceil((rate.capacity - available) / rate.per_s)
    return Decision(bucket, allowed, max(0, int(available)), reset, retry)
