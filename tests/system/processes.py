"""Programs as real processes: ready when they say so, stopped by pid with their children, gone with their parent."""

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
POLL_S = 0.02
STOP_S = 5.0
KILL_S = 5.0
ROOT = Path(__file__).resolve().parents[2]


class ProcessFailed(Exception):
    """A program ended, or did not become ready in time. The text ends with the last lines it said."""


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """One program of ours, `python -m MODULE ARGUMENTS`, whose JSON log lines go to `log`."""

    def __init__(self, name: str, log: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._log = log
        self._arguments = arguments
        self._environment = dict(environment or {})
        self._child: subprocess.Popen[bytes] | None = None
        self._begin = 0

    @property
    def pid(self) -> int:
        """Of the running program."""
        return self._running.pid

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise ProcessFailed(f"{self.name} was not started")
        return self._child

    def start(self, **environment: str) -> None:
        """Start it, with what is given added to its environment this once."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as out:
            self._begin = out.tell()
            self._child = subprocess.Popen(
                [sys.executable, "-m", *self._arguments],
                cwd=ROOT,
                env={**os.environ, **self._environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - no other thread runs when the supervisor forks
            )

    async def said(self, event: str, seconds: float) -> dict[str, Any]:
        """The first log line with this event since the start. Raises ProcessFailed."""
        deadline = time.monotonic() + seconds
        while True:
            for line in self.events():
                if line.get("event") == event:
                    return line
            if self.ended or time.monotonic() > deadline:
                what = "ended" if self.ended else f"said no {event!r} within {seconds:.0f} s"
                raise ProcessFailed(f"{self.name} {what}:\n{self.tail()}")
            await asyncio.sleep(POLL_S)

    def events(self) -> Iterator[dict[str, Any]]:
        """The JSON log lines since the start."""
        with self._log.open("rb") as file:
            file.seek(self._begin)
            for line in file:
                if line.startswith(b"{") and line.endswith(b"}\n"):
                    yield json.loads(line)

    def said_ever(self, event: str) -> Iterator[dict[str, Any]]:
        """All log lines with this event, also those of earlier starts."""
        with self._log.open("rb") as file:
            for line in file:
                if line.startswith(b"{") and line.endswith(b"}\n") and (found := json.loads(line))["event"] == event:
                    yield found

    @property
    def ended(self) -> bool:
        """Whether the program is gone."""
        return self._child is None or self._child.poll() is not None

    @property
    def status(self) -> int | None:
        """What it ended with."""
        return None if self._child is None else self._child.poll()

    async def end(self, seconds: float = KILL_S) -> None:
        """Wait until it has ended by itself. Raises ProcessFailed."""
        deadline = time.monotonic() + seconds
        while not self.ended:
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self.name} did not end within {seconds:.0f} s:\n{self.tail()}")
            await asyncio.sleep(POLL_S)

    async def stop(self) -> float:
        """Ask it to stop, and make it; the seconds it took. Its whole group is gone afterwards."""
        began = time.monotonic()
        if not self.ended:
            self._running.terminate()
            try:
                await self.end(STOP_S)
            except ProcessFailed:
                self._kill_group()
        await self.kill()
        return time.monotonic() - began

    async def kill(self) -> None:
        """Pull its plug: kill -9 to its whole group."""
        if self._child is not None:
            self._kill_group()
            await self.end()

    def _kill_group(self) -> None:
        try:
            os.killpg(self._running.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])
