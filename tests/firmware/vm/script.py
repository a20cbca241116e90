"""A script in MicroPython's VM beside the compiled firmware: what needs the real modules, but not a whole device."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.fakes.until import until
from tests.firmware.vm.device import HERE, NODE


class VmScript:
    """What runs: its lines of JSON so far, and the heap that is live between two of its steps."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.told: list[dict[str, Any]] = []
        self.other: list[str] = []
        self.status: int | None = None
        """How it ended: CUT, RESTARTED or ENDED (device.py)."""
        self._process = process

    def said(self, event: str) -> list[dict[str, Any]]:
        return [told for told in self.told if told["event"] == event]

    async def heap(self) -> int:
        """The bytes that are live on the VM's heap now."""
        assert self._process.stdin is not None
        count = len(self.said("heap"))
        self._process.stdin.write(b"heap\n")
        await until(lambda: len(self.said("heap")) > count, 5)
        return int(self.said("heap")[-1]["bytes"])

    async def listen(self) -> None:
        """To the end of the script."""
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            if line.startswith(b"{"):
                self.told.append(json.loads(line))
            else:
                self.other.append(line.decode())


@asynccontextmanager
async def booted(
    flash: Path, seconds: float = 60, cut: tuple[int, int] | None = None, modules: Path = HERE / "modules"
) -> AsyncIterator[VmScript]:
    """What the flash holds, from power-on. On exit its end is waited for; it is killed if that does not come.

    `cut` takes the power in the middle of a write: after so many others, and so many bytes of it.
    """
    arguments = [str(flash), str(modules), "{}", *([] if cut is None else [f"{cut[0]} {cut[1]}"])]
    process = await asyncio.create_subprocess_exec(
        *(str(NODE), str(HERE / "vm.mjs"), *arguments),
        env={"PATH": os.environ.get("PATH", "")},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    run = VmScript(process)
    listening = asyncio.create_task(run.listen(), name="serial line")
    try:
        yield run
        async with asyncio.timeout(seconds):
            await listening
            run.status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        listening.cancel()
        await process.wait()


async def boot(
    flash: Path, seconds: float = 60, cut: tuple[int, int] | None = None, modules: Path = HERE / "modules"
) -> VmScript:
    """One boot, from power-on to its end."""
    async with booted(flash, seconds, cut, modules) as run:
        pass
    return run


@asynccontextmanager
async def running(flash: Path, app: Path, script: str, seconds: float = 60) -> AsyncIterator[VmScript]:
    """The script as main.py on a flash beside the modules of `app`; it ends by `_pc.end()`."""
    shutil.copytree(app / "a", flash, dirs_exist_ok=True)
    (flash / "main.py").write_text(script)
    async with booted(flash, seconds) as run:
        yield run
