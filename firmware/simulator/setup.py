"""The simulator's radio while its device has no settings: the board's own network is this PC's loopback."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from firmware.simulator.micropython import add_missing_calls
from firmware.vending import SettingsError, settings_file
from firmware.vending.clock import Clock
from firmware.vending.flash import Flash
from firmware.vending.label import load_or_make
from firmware.vending.provisioning import Provisioning, SetupHardware
from firmware.vending.settings import Settings, Wifi

LOOPBACK = "127.0.0.1"
MAC = bytes.fromhex("02000000c0de")


def settings_in(state: Path, port: int) -> Settings:
    """What settings.json in the folder `state` says, as a board would take it. While it cannot be used, the set-up page
    asks for another one on this port of loopback. Raises OSError."""
    add_missing_calls()
    state.mkdir(parents=True, exist_ok=True)
    flash = Flash(str(state))
    while True:
        try:
            return settings_file.load(flash)
        except SettingsError as error:
            board = SimulatedSetupBoard()
            asyncio.run(Provisioning(board, flash, load_or_make(flash), str(error), Clock()).run(port))


class SimulatedSetupBoard(SetupHardware):
    """`networks`: SSID → password of those in reach; None: any. `restarted` is called when the board boots again."""

    def __init__(self, networks: dict[str, str] | None = None, restarted: Callable[[], None] = lambda: None) -> None:
        self._networks = networks
        self._restarted = restarted
        self._wifi: Wifi | None = None
        self.opened: tuple[str, str] | None = None
        """Name and password of the board's own network."""
        self.names_port: int | None = None
        self.signalled: str | None = None

    def mac(self) -> bytes:
        return MAC

    def open_network(self, name: str, password: str) -> str:
        self.opened = (name, password)
        return LOOPBACK

    def open_names(self) -> socket.socket:
        """On a free port: 53 is the system's."""
        wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        wire.setblocking(False)
        wire.bind((LOOPBACK, 0))
        self.names_port = wire.getsockname()[1]
        return wire

    def fit(self, settings: Settings) -> None:
        self._wifi = settings.wifi

    async def join_network(self) -> None:
        wifi = self._wifi
        if wifi is not None and self._networks is not None and self._networks.get(wifi.ssid) != wifi.password:
            raise OSError("no Wi-Fi")

    async def open_stream(
        self, host: str, port: int, context: ssl.SSLContext, server_name: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(host, port, ssl=context, server_hostname=server_name)

    def open_udp(self, port: int) -> socket.socket:
        raise OSError("no multicast here")

    def address(self) -> str | None:
        return LOOPBACK

    def signal(self, kind: str) -> None:
        self.signalled = kind

    def feed_watchdog(self) -> None:
        """A process needs none."""

    def restart(self) -> None:
        self._restarted()
