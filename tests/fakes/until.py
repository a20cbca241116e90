"""Waiting for something to become true, with an end."""

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    """Return once `holds()`. Raises AssertionError after `seconds`."""
    for _ in range(round(seconds / 0.01)):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not within {seconds} s")
