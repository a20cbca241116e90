"""The ESP32 while it has no settings: its radio, the lamp that its label names, and no other pin."""

import asyncio
import socket
import ssl

import machine
import network

from . import SettingsError, radio
from .clock import Clock
from .flash import Flash
from .label import Label, load_or_make
from .lines import PinLine
from .log import alarm
from .panel import Panel
from .provisioning import Provisioning, SetupHardware
from .settings import Settings, Wifi
from .setup_names import PORT as NAMES_PORT

WATCHDOG_MS = 60_000
"""Working out a signature blocks for seconds."""
PANEL_TIMER = 1
MAX_PHONES = 2
RETRY_S = 5


class SetupBoard(SetupHardware):
    """No motor can turn: the lines that would turn it are not touched, and hang on pull-downs (firmware/README.md)."""

    def __init__(self, label: Label) -> None:
        self._own = network.WLAN(network.AP_IF)
        self._station = network.WLAN(network.STA_IF)
        self._station.active(True)
        self._wifi: "Wifi | None" = None
        self._panel = None
        if label.led is not None:
            lamp = PinLine(machine.Pin(label.led, machine.Pin.OUT, value=0))
            self._panel = Panel(lamp, None, machine.Timer(PANEL_TIMER))
        self._watchdog = machine.WDT(timeout=WATCHDOG_MS)

    def mac(self) -> bytes:
        return self._own.config("mac")

    def open_network(self, name: str, password: str) -> str:
        # Before it is on the air: not for a moment may it be open to all.
        self._own.config(ssid=name, security=network.AUTH_WPA2_PSK, key=password, max_clients=MAX_PHONES)
        self._own.active(True)
        return self._own.ifconfig()[0]

    def open_names(self) -> socket.socket:
        wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        wire.setblocking(False)
        wire.bind((self._own.ifconfig()[0], NAMES_PORT))
        return wire

    def fit(self, settings: Settings) -> None:
        for slot in settings.slots:
            if settings.slots[slot].motor is None:
                raise SettingsError("slots." + slot + ".motor is missing")
        self._wifi = settings.wifi

    async def join_network(self) -> None:
        """Raises OSError."""
        # Of an earlier try.
        self._station.disconnect()
        await radio.join(self._station, self._wifi)

    async def open_stream(self, host: str, port: int, context: ssl.SSLContext, server_name: str) -> tuple:
        return await radio.open_stream(host, port, context, server_name)

    def open_udp(self, port: int) -> socket.socket:
        return radio.open_udp(self._station, port)

    def address(self) -> "str | None":
        return self._station.ifconfig()[0] if self._station.isconnected() else None

    def signal(self, kind: str) -> None:
        if self._panel is not None:
            self._panel.show(kind)

    def feed_watchdog(self) -> None:
        self._watchdog.feed()

    def restart(self) -> None:
        machine.reset()


def run(flash: Flash, refused: str) -> None:
    """Until there are settings, or it is time to look for the old ones again; then the board boots."""
    asyncio.run(_set_up(flash, refused))


async def _set_up(flash: Flash, refused: str) -> None:
    try:
        label = load_or_make(flash)
        await Provisioning(SetupBoard(label), flash, label, refused, Clock()).run()
    except Exception as error:  # noqa: BLE001 - whatever it is, the board must ask again
        alarm("setup_failed", error=repr(error))
        await asyncio.sleep(RETRY_S)
    machine.reset()
