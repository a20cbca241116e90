"""Who waits for what to change. A touch wakes; it carries no data, so a missed one between two reads costs nothing."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Watch:
    """Wakes everyone who watches a key. Loop-bound: touch and wait on the same event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def touch(self, keys: Iterable[str]) -> None:
        """Wake all watchers of these keys."""
        for key in keys:
            for event in self._waiting.get(key, ()):
                event.set()

    @contextmanager
    def on(self, *keys: str) -> Iterator[asyncio.Event]:
        """An event that is set by each touch of any of `keys` while the context lasts.

        Clear it, then read, then wait: whatever changes after the read sets it again.
        """
        event = asyncio.Event()
        for key in keys:
            self._waiting.setdefault(key, set()).add(event)
        try:
            yield event
        finally:
            for key in keys:
                self._waiting[key].discard(event)
                if not self._waiting[key]:
                    del self._waiting[key]
