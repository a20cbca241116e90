"""`./dev demo`: the whole of Larder on one machine, as real processes.

./dev demo            start, show the URLs, take commands, stop at Ctrl-C
./dev demo --check    prove the promises without a person or a browser; exit 0 only if all of them held
./dev demo --reset    forget everything the demo has stored
"""

import argparse
import asyncio
import fcntl
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.system.check import check
from tests.system.kiosk import Customer, NotInTime
from tests.system.processes import ROOT, ProcessFailed
from tests.system.stage import WANTED, Machine, Stage, choose_ports, clear

FOLDER = ROOT / ".larder/demo"
COIN_LIMIT = 500
WATCH = f".venv/bin/python -m firmware.simulator.watch {FOLDER.relative_to(ROOT)}/device-*"
HELP = """\
  coin 20     insert a coin of ₹20 into the cash machine
  cut         cut the internet between gateway and cloud; the kiosks go on selling
  back        let the internet come back; everything arrives, once
  status      how far the cloud has heard the gateway
  quit        stop (Ctrl-C does the same)"""


def say(text: str) -> None:
    """To the person at the terminal, at once."""
    print(text, flush=True)


class Demo:
    """A running stage and the person's commands."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._customer = Customer(stage)
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Start everything, then serve the person until they have seen enough. Raises ProcessFailed, NotInTime."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop.set)
        try:
            start = asyncio.create_task(self._start(), name="start")
            stopped = asyncio.create_task(self._stop.wait(), name="stop")
            await asyncio.wait({start, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not start.done():
                start.cancel()
                return
            await start
            self._show()
            await self._attend()
        finally:
            say("· stopping")
            await self._customer.close()
            began = time.monotonic()
            await self._stage.stop()
            say(f"· stopped in {time.monotonic() - began:.1f} s")

    async def _start(self) -> None:
        began = time.monotonic()
        async with _step("cloud (Postgres, migrations, demo data)"):
            await self._stage.start_cloud()
            await self._stage.internet.restore()
        async with _step("gateway (ledger, broker, kiosk)"):
            await self._stage.start_gateway()
        async with _step("devices (find the gateway by mDNS, log in over TLS)"):
            await self._stage.until_advertised()
            for machine in self._stage.machines:
                self._stage.start_device(machine)
            for machine in self._stage.machines:
                await self._customer.until_open(machine, 60)
        say(f"· ready to sell after {time.monotonic() - began:.1f} s")

    def _show(self) -> None:
        say("\nLarder runs. Buy something, then look at it in the cloud:\n")
        for machine in self._stage.machines:
            say(f"  kiosk {machine.name + ' (' + machine.rail + ')':<16} {self._kiosk(machine)}")
        say(f"  {'cloud, orders':<22} {self._stage.cloud_url}/orders")
        say(f"  {'  sign in as':<22} {self._stage.email}")
        say(f"  {'  with the password':<22} {self._stage.password}")
        say(f"  {'  mail it sends':<22} {self._stage.cloud_url}/mail\n")
        say("To see the machines and to jam, open or unplug them, in another terminal:\n")
        say(f"  {WATCH}\n")
        say(f"Type a command and Enter:\n{HELP}\n")

    def _kiosk(self, machine: Machine) -> str:
        return f"{self._stage.kiosk_url}/machines/{machine.machine_id}"

    async def _attend(self) -> None:
        async with _typed_lines() as lines:
            while not self._stop.is_set():
                line = asyncio.create_task(lines.get(), name="typed")
                dead = asyncio.create_task(self._until_one_dies(), name="watch the programs")
                stopped = asyncio.create_task(self._stop.wait(), name="stop")
                done, waiting = await asyncio.wait({line, dead, stopped}, return_when=asyncio.FIRST_COMPLETED)
                for task in waiting:
                    task.cancel()
                if dead in done:
                    await dead
                if line in done:
                    await self._obey(line.result().split())

    async def _until_one_dies(self) -> None:
        programs = [self._stage.cloud, self._stage.gateway, *self._stage.devices.values()]
        while True:
            for program in programs:
                if program.ended:
                    raise ProcessFailed(f"{program.name} has ended:\n{program.tail()}")
            await asyncio.sleep(0.2)

    async def _obey(self, words: list[str]) -> None:
        match words:
            case ["coin", rupees] if rupees.isdigit() and 0 < int(rupees) <= COIN_LIMIT:
                cash = next(machine for machine in self._stage.machines if machine.rail == "cash")
                told = self._stage.ask_device(cash, "coin", str(int(rupees) * 100))
                say(f"· ₹{rupees} inserted into {cash.name}" if told["ok"] else f"· {cash.name}: {told['error']}")
            case ["cut"]:
                await self._stage.internet.cut()
                say("· the internet is cut")
            case ["back"]:
                await self._stage.internet.restore()
                say("· the internet is back")
            case ["status"]:
                await self._tell_status()
            case ["quit"]:
                self._stop.set()
            case []:
                pass
            case _:
                say(f"· not understood; there are:\n{HELP}")

    async def _tell_status(self) -> None:
        facts = (await self._customer.gateway_status())["facts"]
        heard = await self._customer.cloud(f"/gateways/{self._stage.gateway_id}/sync")
        internet = "up" if self._stage.internet.is_up else "cut"
        say(f"· internet {internet}; gateway wrote {facts['seq']} facts, cloud has {heard['seq']}")


@asynccontextmanager
async def _step(what: str) -> AsyncIterator[None]:
    began = time.monotonic()
    say(f"· starting {what} …")
    yield
    say(f"  … {time.monotonic() - began:.1f} s")


@asynccontextmanager
async def _typed_lines() -> AsyncIterator["asyncio.Queue[str]"]:
    """Lines from the terminal; none if there is none, or once it is closed."""
    lines: asyncio.Queue[str] = asyncio.Queue(100)
    loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()

    def read() -> None:
        line = sys.stdin.readline()
        if not line:
            loop.remove_reader(descriptor)
        elif not lines.full():
            lines.put_nowait(line)

    readable = os.isatty(descriptor)
    if readable:
        loop.add_reader(descriptor, read)
    try:
        yield lines
    finally:
        if readable:
            loop.remove_reader(descriptor)


def _alone(folder: Path) -> bool:
    """Whether no other demo runs in the folder. Holds the lock as long as this process lives."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder.parent / "demo.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="./dev demo", description="The whole of Larder on this machine.")
    parser.add_argument("--check", action="store_true", help="prove the promises and exit")
    parser.add_argument("--reset", action="store_true", help="forget everything the demo has stored")
    options = parser.parse_args()
    if options.check:
        return 0 if asyncio.run(check(lambda text: say(f"· {text}"))) else 1
    if not _alone(FOLDER):
        say("error: a demo is already running here; stop it first")
        return 1
    if options.reset:
        clear(FOLDER)
        say("· the demo's state is cleared; ./dev demo starts afresh")
        return 0
    try:
        asyncio.run(Demo(Stage(FOLDER, choose_ports(WANTED))).run())
    except (ProcessFailed, NotInTime) as error:
        say(f"error: {error}\n· all logs are in {FOLDER / 'log'}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
