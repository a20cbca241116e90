"""A board on a pseudo-terminal: MicroPython's VM at its raw REPL, for tools that expect a serial port."""

import asyncio
import json
import os
import pty
import subprocess
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.firmware.vm.device import HERE, NODE

CHUNK = 4096


@asynccontextmanager
async def repl_board(flash: Path, wired: dict[str, Any], log: Path) -> AsyncIterator[str]:
    """The path of its port; its files lie in `flash`, its cabinet is `wired` as vm.mjs has it."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(str(NODE), str(HERE / "repl.mjs"), str(flash), str(HERE / "modules"), json.dumps(wired)),
            env={"PATH": os.environ.get("PATH", "")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdin is not None
    typing = process.stdin
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, lambda: typing.write(os.read(ours, CHUNK)))
    speaking = asyncio.create_task(_speak(process, ours), name="board speaks")
    try:
        yield os.ttyname(theirs)
    finally:
        loop.remove_reader(ours)
        if process.returncode is None:
            process.kill()
        await process.wait()
        await speaking
        os.close(ours)
        os.close(theirs)


async def _speak(process: asyncio.subprocess.Process, ours: int) -> None:
    assert process.stdout is not None
    while data := await process.stdout.read(CHUNK):
        os.write(ours, data)
