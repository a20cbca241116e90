"""Takes over changed settings while the cloud runs: on SIGHUP, and when something moves in the folder of their file.

The folder is watched, not the file: who replaces a file whole, or swaps a link to its folder, leaves a watch on the
file looking at what is gone.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import structlog
from watchfiles import awatch

from cloud import logs
from cloud.errors import LarderError, SettingsError
from cloud.live import LiveSettings
from cloud.settings import Live, Settings
from cloud.sources import Loaded, load

log = structlog.get_logger()

OnReload = Callable[[Live, Live], Awaitable[None]]
"""Told what was in force and what is now, after the swap: for the audit log."""

_SETTLE_MILLISECONDS = 100
_SECRETS = {name for name, field in Settings.model_fields.items() if not field.repr}


async def _tell_nobody(_before: Live, _after: Live) -> None:
    """Where nobody keeps a record."""


class Reloading:
    """Reads all settings anew, checks them as a start would, and swaps the live part whole, or changes nothing."""

    def __init__(
        self,
        environment: Mapping[str, str],
        loaded: Loaded,
        live: LiveSettings,
        *,
        on_reload: OnReload = _tell_nobody,
        renew: Callable[[], None] = lambda: None,
        more_files: Sequence[Path] = (),
    ) -> None:
        """`renew` is called whenever something may have changed, also in the folders of `more_files`."""
        self._environment = environment
        self._in_force = loaded.settings
        self._live = live
        self._on_reload = on_reload
        self._renew = renew
        self._folders = {path.absolute().parent for path in (loaded.file, *more_files) if path is not None}
        self._last_error = ""

    async def run(self) -> None:
        """Until cancelled."""
        hung_up = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, hung_up.set)
        try:
            async with asyncio.TaskGroup() as together:
                together.create_task(self._on_signal(hung_up), name="reload on SIGHUP")
                if self._folders:
                    together.create_task(self._on_change(), name="reload on change")
        finally:
            loop.remove_signal_handler(signal.SIGHUP)

    async def once(self) -> None:
        """Look now. What is wrong is logged once, until it is another wrong."""
        self._renew()
        try:
            found = load(self._environment).settings
        except SettingsError as error:
            if str(error) != self._last_error:
                self._last_error = str(error)
                log.error("settings_not_reloaded", error=str(error))
            return
        self._last_error = ""
        before, self._in_force = self._in_force, found
        changed = [name for name in Settings.model_fields if getattr(before, name) != getattr(found, name)]
        if waiting := [name for name in changed if name not in Live.model_fields]:
            log.warning("settings_need_restart", names=waiting)
        if taken := [name for name in changed if name in Live.model_fields]:
            await self._swap(before.live(), found.live(), taken)

    async def _swap(self, before: Live, after: Live, names: list[str]) -> None:
        self._live.swap(after)
        logs.configure(after.log_level)
        changes = {name: f"{_shown(before, name)} -> {_shown(after, name)}" for name in names}
        log.warning("settings_reloaded", changes=changes)
        try:
            await self._on_reload(before, after)
        except LarderError as error:
            log.error("settings_reload_not_recorded", error=str(error))

    async def _on_signal(self, hung_up: asyncio.Event) -> None:
        while True:
            await hung_up.wait()
            hung_up.clear()
            self._last_error = ""  # somebody asked: they are told again
            await self.once()

    async def _on_change(self) -> None:
        async for _ in awatch(*self._folders, debounce=_SETTLE_MILLISECONDS, recursive=False, watch_filter=None):
            await self.once()


def _shown(live: Live, name: str) -> str:
    return "…" if name in _SECRETS else str(getattr(live, name))
