"""Argon2id, and how soon a password would be guessed: off the event loop, and only so many at once, since each takes a
core for a while and 19 MiB.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from zxcvbn import zxcvbn

from cloud.auth import rules
from cloud.errors import Unavailable

T = TypeVar("T")

AT_ONCE = 2
WAIT_SECONDS = 5.0
LOOKED_AT = 32
"""So many characters are searched for what is guessed first: 72 of the worst take a second, these a quarter of one."""
GOOD_SCORE = 3
"""Of zxcvbn's 0 to 4: more than 10⁸ guesses, in the order in which people who guess make them."""

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's second choice for Argon2id: 19 MiB, two passes."""


@lru_cache(maxsize=4)
def _of_nobody(hasher: PasswordHasher) -> str:
    """What is compared with where there is no password. Made before anybody asks, or the first to ask would see it."""
    return hasher.hash("the password of nobody")


class Passwords:
    """Hashes passwords and compares them, in as much time whether there is one to compare with or not."""

    def __init__(self, hasher: PasswordHasher = _HASHER) -> None:
        self._hasher = hasher
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        self._places = asyncio.Semaphore(AT_ONCE)
        self._nobodys = _of_nobody(hasher)

    async def hash(self, password: str) -> str:
        """As it is kept. Raises Unavailable when too many wait."""
        return await self._run(self._hasher.hash, password)

    async def why_weak(self, password: str, address: str, name: str) -> str | None:
        """What is wrong with a new password, for people; None if nothing is. Raises Unavailable when too many wait."""
        return rules.why_weak(password, address, name) or await self._run(_why_guessed, password)

    async def match(self, kept: str | None, password: str) -> bool:
        """Whether it is the one that was kept. Raises Unavailable when too many wait."""
        return await self._run(self._compare, kept, password)

    def is_outdated(self, kept: str) -> bool:
        """Whether it was hashed with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _compare(self, kept: str | None, password: str) -> bool:
        try:
            self._hasher.verify(kept or self._nobodys, password)
        except (VerifyMismatchError, InvalidHashError):
            return False
        return kept is not None

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError as error:
            raise Unavailable from error
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        finally:
            self._places.release()


def _why_guessed(password: str) -> str | None:
    """Against lists of the passwords, names and words that are used most, with their usual disguises."""
    # It takes words of the person, too, but keeps them where another thread's call finds them.
    if int(zxcvbn(password[:LOOKED_AT])["score"]) >= GOOD_SCORE:
        return None
    return "is guessed too soon: it is a common password, or made of common words, names, dates or rows of keys"
