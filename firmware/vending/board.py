"""The ESP32 and what is wired to it. The only file that imports `machine`; the simulator has one of its own instead."""

import asyncio
import gc
import socket
import ssl
import time

import machine
import network

from .hardware import Hardware
from .pulses import Pulses
from .settings import Settings
from .sockets import connect
from .wiring import Line

WATCHDOG_MS = 30_000
JOIN_S = 20
MDNS_GROUP = b"\xe0\x00\x00\xfb"


class Board(Hardware):
    """Motors, switches, sensors, coin acceptor and radio, by the pin map of `settings`. Switches pull their pin low."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        parts = settings.board
        self._motors = {code: _output(slot.motor) for code, slot in settings.slots.items()}
        self._homes = {code: _input(slot.home) for code, slot in settings.slots.items()}
        self._empties = {code: _input(slot.empty) for code, slot in settings.slots.items()}
        self._drop = _input(parts.drop)
        self._drops = 0
        self._coin = _input(parts.coin)
        self._pulses = Pulses(time.ticks_us, time.ticks_diff)
        if self._drop is not None:
            self._drop.irq(self._on_drop, machine.Pin.IRQ_FALLING)
        if self._coin is not None:
            self._coin.irq(self._on_pulse, machine.Pin.IRQ_FALLING)
        self._radio = network.WLAN(network.STA_IF)
        self._radio.active(True)
        self._watchdog = machine.WDT(timeout=WATCHDOG_MS)

    def _on_drop(self, pin: object) -> None:
        self._drops += 1

    def _on_pulse(self, pin: object) -> None:
        self._pulses.pulse()

    def motor_on(self, slot: str, label: str) -> None:
        """`label` says for which vend; only the simulator's world writes it down."""
        motor = self._motors[slot]
        if motor is not None:
            motor.value(1)

    def motor_off(self, slot: str) -> None:
        motor = self._motors[slot]
        if motor is not None:
            motor.value(0)

    def make_safe(self) -> None:
        """Every motor off."""
        for slot in self._motors:
            self.motor_off(slot)

    def restart(self) -> None:
        """Boot again, at once."""
        machine.reset()

    def home(self, slot: str) -> "bool | None":
        """Whether the home switch is closed; None without one."""
        return _is_low(self._homes[slot])

    def drops(self) -> "int | None":
        """How often the drop sensor has seen something since boot; None without one."""
        return None if self._drop is None else self._drops

    def is_empty(self, slot: str) -> "bool | None":
        """What the slot's own sensor says; None without one."""
        return _is_low(self._empties[slot])

    def current_ma(self, slot: str) -> "int | None":
        return None

    def door_is_open(self) -> "bool | None":
        return None

    def temperatures(self) -> dict:
        return {}

    def accept_money(self, allowed: bool) -> None:
        """Nothing inhibits the coins yet."""

    def signal(self, kind: str) -> None:
        """No LED, no buzzer."""

    def take_money(self) -> int:
        """Minor units inserted since the last call, once the burst of pulses is over."""
        pulses = self._pulses.take()
        return pulses * self._settings.board.coin.minor_per_pulse if pulses else 0

    def feed_watchdog(self) -> None:
        self._watchdog.feed()

    def health(self) -> dict:
        rssi = self._radio.status("rssi") if self._radio.isconnected() else None
        return {"free_bytes": gc.mem_free(), "rssi_dbm": rssi}

    def address(self) -> "str | None":
        """This device's IPv4 address."""
        return self._radio.ifconfig()[0] if self._radio.isconnected() else None

    async def join_network(self) -> None:
        """Be on the Wi-Fi of the settings, if any. Raises OSError."""
        if self._radio.isconnected() or self._settings.wifi is None:
            return
        self._radio.connect(self._settings.wifi.ssid, self._settings.wifi.password)
        for _ in range(JOIN_S * 10):
            if self._radio.isconnected():
                return
            await asyncio.sleep(0.1)
        raise OSError("no Wi-Fi")

    async def open_stream(self, host: str, port: int, context: ssl.SSLContext, server_name: str) -> tuple:
        """(reader, writer) over TLS. asyncio.open_connection hides the raw socket, which TCP_NODELAY needs."""
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
        raw = socket.socket(family, kind, protocol)
        try:
            raw.setblocking(False)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await connect(raw, address)
            secured = context.wrap_socket(raw, server_hostname=server_name, do_handshake_on_connect=False)
        except BaseException:
            raw.close()
            raise
        secured.setblocking(False)
        stream = asyncio.StreamReader(secured)
        return stream, stream

    def open_udp(self, port: int) -> socket.socket:
        """A socket that does not block, in the group of multicast DNS unless `port` is 0."""
        wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            wire.setblocking(False)
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            own = self.address()
            if own is None:
                raise OSError("no network")
            wire.bind((own, port))
            if port:
                member = MDNS_GROUP + bytes([int(part) for part in own.split(".")])
                wire.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        except OSError:
            wire.close()
            raise
        return wire


def _output(motor) -> "machine.Pin | None":
    """A pin that is low from its first moment."""
    return None if motor is None else machine.Pin(motor.output.number, machine.Pin.OUT, value=0)


def _input(line) -> "machine.Pin | None":
    if line is None:
        return None
    number = line.number if isinstance(line, Line) else line.pin
    return machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_UP)


def _is_low(pin: "machine.Pin | None") -> "bool | None":
    return None if pin is None else pin.value() == 0
