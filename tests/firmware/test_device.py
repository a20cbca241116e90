"""A whole device without a gateway: what it does all the same."""

import asyncio
import json
import selectors
import ssl
from pathlib import Path

from edge.site_ca import SiteCa
from firmware.simulator.board import SimulatedBoard
from firmware.simulator.coil import Habits
from firmware.simulator.world import read_world
from firmware.vending import rules
from firmware.vending.app import Device
from firmware.vending.flash import Flash
from firmware.vending.journal import REPAIR_S, Journal
from firmware.vending.link import ONLINE
from firmware.vending.mqtt import MqttClient
from firmware.vending.settings import Settings, parse
from firmware.vending.sockets import site_context
from firmware.vending.vigil import LINK
from tests.fakes.until import until

DEVICE = "01890000-0000-7000-8000-000000000001"


class ImpatientLoop(asyncio.SelectorEventLoop):
    """While nothing happens, its time jumps to the next timer instead of passing."""

    def __init__(self) -> None:
        self.jumped_s = 0.0
        super().__init__(ImpatientSelector(self))

    def time(self) -> float:
        return super().time() + self.jumped_s


class ImpatientSelector(selectors.SelectSelector):
    def __init__(self, loop: ImpatientLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events and timeout is not None:
            self._loop.jumped_s += max(0.0, timeout)
        return events


class FlashThatFails(Flash):
    works = True

    def append(self, name: str, data: bytes) -> None:
        self._need()
        super().append(name, data)

    def replace(self, name: str, data: bytes) -> None:
        self._need()
        super().replace(name, data)

    def _need(self) -> None:
        if not self.works:
            raise OSError(5, "input/output error")


def settings(folder: Path) -> Settings:
    values = {
        "machine_id": DEVICE,
        "device_id": DEVICE,
        "currency": "INR",
        "ca_pem": SiteCa.open(folder / "ca").certificate_pem,
        "gateway_host": "127.0.0.1",
        "gateway_port": 1,
        "mdns": False,
        "slots": {"A1": {"motor": {"kind": "dc", "output": 25}, "home": 26}},
    }
    return parse(json.dumps(values).encode())


class WatchedBoard(SimulatedBoard):
    """Notes at each try to connect, which may block the device, whether a motor was turning."""

    def __init__(self, settings: Settings, state: Path, habits: Habits) -> None:
        super().__init__(settings, state, habits)
        self.turning = False
        self.tries: list[bool] = []

    def motor_on(self, slot: str, label: str) -> None:
        self.turning = True
        super().motor_on(slot, label)

    def motor_off(self, slot: str) -> None:
        self.turning = False
        super().motor_off(slot)

    async def open_stream(
        self, host: str, port: int, context: ssl.SSLContext, server_name: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.tries.append(self.turning)
        raise OSError("nobody there")


async def test_it_does_not_connect_while_a_motor_turns(tmp_path: Path) -> None:
    wired = settings(tmp_path)
    board = WatchedBoard(wired, tmp_path, Habits())
    device = Device(wired, board, Flash(str(tmp_path)), site_context(wired.ca_der))
    running = asyncio.create_task(device.run())
    await until(lambda: board.tries != [])
    device.journal.append(("A", 1, 1, DEVICE, "A1"))
    device.dispenser.wake()
    await until(lambda: rules.running(device.journal.state) is None)
    tried = len(board.tries)
    await until(lambda: len(board.tries) > tried)
    running.cancel()
    assert read_world(tmp_path).drops == {DEVICE: 1}
    assert not any(board.tries)


async def test_the_vigil_hears_a_link_that_finds_no_gateway(tmp_path: Path) -> None:
    wired = settings(tmp_path)
    board = WatchedBoard(wired, tmp_path, Habits())
    device = Device(wired, board, Flash(str(tmp_path)), site_context(wired.ca_der))
    before = device.vigil.expected()[LINK]
    running = asyncio.create_task(device.run())
    await until(lambda: len(board.tries) > 1)
    assert device.vigil.expected()[LINK] > before
    running.cancel()


class SilentGateway(MqttClient):
    """A connection that stands, over which nothing ever comes."""

    async def connect(self, client_id: str, password: str) -> None:
        self._broken = None

    async def subscribe(self, topic: str) -> None:
        """Granted."""

    async def publish(self, topic: str, payload: bytes, qos: int = 0) -> None:
        """Taken."""

    async def receive(self, timeout_ms: int) -> None:
        await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Nobody is there to hear a goodbye."""


class NoWire(asyncio.Transport):
    def is_closing(self) -> bool:
        return True


class BoardWithGateway(SimulatedBoard):
    """`connections`: how often the device has connected."""

    connections = 0

    async def open_stream(
        self, host: str, port: int, context: ssl.SSLContext, server_name: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.connections += 1
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        return reader, asyncio.StreamWriter(NoWire(), asyncio.StreamReaderProtocol(reader), reader, loop)


async def test_the_vigil_hears_a_link_that_stands_however_long_nothing_comes(tmp_path: Path) -> None:
    wired = settings(tmp_path)
    board = BoardWithGateway(wired, tmp_path, Habits())
    device = Device(wired, board, Flash(str(tmp_path)), site_context(wired.ca_der), SilentGateway)
    running = asyncio.create_task(device.run())
    await until(lambda: device.link.state == ONLINE)
    before = device.vigil.expected()[LINK]
    await until(lambda: device.vigil.expected()[LINK] > before)
    running.cancel()
    assert (device.link.state, board.connections) == (ONLINE, 1)


def test_a_flash_that_failed_is_tried_again_without_any_gateway(tmp_path: Path) -> None:
    async def story() -> None:
        wired, flash = settings(tmp_path), FlashThatFails(str(tmp_path))
        board = SimulatedBoard(wired, tmp_path, Habits())
        board.set_link(False)
        device = Device(wired, board, flash, site_context(wired.ca_der))
        running = asyncio.create_task(device.run())
        await asyncio.sleep(1)
        flash.works = False
        board.coins = [1000]  # the acceptor had it as the link was lost
        await asyncio.sleep(1)
        assert [amount for _, amount in device.journal.state.credits] == [1000]
        assert device.journal.failed
        flash.works = True
        await asyncio.sleep(REPAIR_S)
        assert Journal(Flash(str(tmp_path))).state == device.journal.state
        running.cancel()

    with asyncio.Runner(loop_factory=ImpatientLoop) as runner:
        runner.run(story())
