"""The fake board: what firmware/vending/board.py is on the ESP32."""

import asyncio
import os
import random
import socket
import ssl
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from firmware.simulator.coil import Coil, Habits
from firmware.simulator.world import WorldLog, read_world
from firmware.vending.hardware import POWER_ON, Hardware
from firmware.vending.settings import Settings

MDNS_GROUP = "224.0.0.251"
LOOPBACK = "127.0.0.1"
COLD = 400
"""Of every zone when the world begins, in hundredths of a degree Celsius."""


class CoinReturned(Exception):
    """It fell through the acceptor."""


class SimulatedBoard(Hardware):
    """Motors, sensors, coin slot and network of one simulated device, in the world kept under `state`."""

    def __init__(self, settings: Settings, state: Path, habits: Habits) -> None:
        self._interface = settings.mdns_interface or LOOPBACK
        self._log = WorldLog(state)
        before = read_world(state)
        chance = random.Random(f"{habits.seed}/{before.motor_starts.total()}")
        self._coils: dict[str, Coil] = {}
        for slot in settings.slots:
            coil = Coil(slot, self._log, habits, chance)
            coil.resume(before)
            self._coils[slot] = coil
            if slot not in before.restocked:
                self.restock(slot, habits.opening_stock)
        zones = settings.board.temperatures.zones if settings.board.temperatures else {}
        self._temperatures: dict[str, int] = {zone: before.temperatures.get(zone, COLD) for zone in zones}
        self._door_is_open = before.door_is_open if settings.board.door else None
        self._is_defrosting = before.is_defrosting if settings.board.defrost else None
        self._beam_is_blocked = before.beam_is_blocked
        self._chutes = {slot: wiring.chute for slot, wiring in settings.slots.items()}
        self._seen: Counter[str | None] = Counter()
        self._unseen: Counter[str | None] = Counter()
        self._has_empty_sensor = {slot: wiring.empty is not None for slot, wiring in settings.slots.items()}
        self.coins: list[int] = []
        """Inserted and not yet taken, in minor units."""
        self._coins_taken_minor = before.coins_minor
        self.accepts_money = False
        self.button_pressed = False
        self.signalled: str | None = None
        self._streams: list[asyncio.StreamWriter] = []
        self.link_is_up = True

    def motor_on(self, slot: str, label: str) -> None:
        self._coils[slot].start(label, time.monotonic())

    def motor_off(self, slot: str) -> None:
        self._coils[slot].stop()

    def make_safe(self) -> None:
        for slot in self._coils:
            self.motor_off(slot)
        self.accepts_money = False

    def home(self, slot: str) -> bool | None:
        return self._coils[slot].is_home(time.monotonic())

    def drops(self, slot: str) -> int | None:
        chute = self._chutes[slot]
        fallen = sum(coil.drops for code, coil in self._coils.items() if self._chutes[code] == chute)
        if self._beam_is_blocked:
            self._unseen[chute] = fallen - self._seen[chute]
        else:
            self._seen[chute] = fallen - self._unseen[chute]
        return self._seen[chute]

    def beam_is_blocked(self, slot: str) -> bool:
        return self._beam_is_blocked

    def is_empty(self, slot: str) -> bool | None:
        return self._coils[slot].stock == 0 if self._has_empty_sensor[slot] else None

    def current_ma(self, slot: str) -> int | None:
        return self._coils[slot].current_ma()

    def door_is_open(self) -> bool | None:
        return self._door_is_open

    def button_is_pressed(self) -> bool:
        return self.button_pressed

    def reset_cause(self) -> str:
        return POWER_ON

    def is_defrosting(self) -> bool | None:
        return self._is_defrosting

    def temperatures(self) -> dict[str, int | None]:
        return dict(self._temperatures)

    def accept_money(self, allowed: bool) -> None:
        self.accepts_money = allowed

    def signal(self, kind: str) -> None:
        self.signalled = kind

    def take_money(self) -> int:
        return self.coins.pop(0) if self.coins else 0

    def restart(self) -> None:
        """The process begins anew under the same number: of all it knows it keeps the flash and the world."""
        self.make_safe()
        sys.stdout.flush()
        os.execv(sys.executable, [*sys.orig_argv])  # noqa: S606 - the very command it was started by

    def feed_watchdog(self) -> None:
        """A process needs none: the simulator ends when the firmware does."""

    def health(self) -> dict[str, int | None]:
        return {"free_bytes": None, "rssi_dbm": None}

    def address(self) -> str | None:
        return self._interface if self.link_is_up else None

    async def join_network(self) -> None:
        self._need_link()

    async def open_stream(
        self, host: str, port: int, context: ssl.SSLContext, server_name: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """asyncio sets TCP_NODELAY by itself."""
        self._need_link()
        reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=server_name)
        self._streams = [stream for stream in self._streams if not stream.is_closing()] + [writer]
        return reader, writer

    def open_udp(self, port: int) -> socket.socket:
        """As the device's, but on one interface: loopback by default. On a PC several processes share the port."""
        self._need_link()
        wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        wire.setblocking(False)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        wire.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(self._interface))
        if port:
            group = socket.inet_aton(MDNS_GROUP) + socket.inet_aton(self._interface)
            wire.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
            # Bound to the group, it takes no unicast answer away from another process on the port.
            wire.bind((MDNS_GROUP, port))
        else:
            wire.bind((self._interface, 0))
        return wire

    def insert_coin(self, amount_minor: int) -> None:
        """Raises CoinReturned while money is not accepted: it falls through to the customer."""
        if not self.accepts_money:
            self._log.write("coin_returned", amount=amount_minor)
            raise CoinReturned("no money is taken now, the coin is returned")
        self._log.write("coin", amount=amount_minor)
        self.coins.append(amount_minor)
        self._coins_taken_minor += amount_minor

    def set_door(self, is_open: bool) -> None:
        """Raises ValueError for a machine whose door has no switch."""
        if self._door_is_open is None:
            raise ValueError("the settings name no door")
        self._log.write("door_open" if is_open else "door_closed")
        self._door_is_open = is_open

    def set_beam(self, is_blocked: bool) -> None:
        """Put something into the beam of every drop sensor, or take it away."""
        for slot in self._coils:
            self.drops(slot)
        self._log.write("beam_blocked" if is_blocked else "beam_free")
        self._beam_is_blocked = is_blocked

    def set_defrost(self, begins: bool) -> None:
        """Raises ValueError for a machine whose cooling does not tell."""
        if self._is_defrosting is None:
            raise ValueError("the settings name no defrost")
        self._log.write("defrost_begun" if begins else "defrost_ended")
        self._is_defrosting = begins

    def set_temperature(self, zone: str, hundredths: int) -> None:
        """Raises KeyError for a zone that the settings do not name."""
        self._temperatures[zone]
        self._log.write("temperature", zone=zone, hundredths=hundredths)
        self._temperatures[zone] = hundredths

    def restock(self, slot: str, count: int) -> None:
        self._log.write("restock", slot, amount=count)
        self._coils[slot].stock += count

    def jam(self, slot: str, jammed: bool) -> None:
        self._log.write("jam" if jammed else "unjam", slot)
        self._coils[slot].jammed = jammed

    def set_link(self, up: bool) -> None:
        """Down: what is connected breaks, and nothing more can be reached."""
        self._log.write("link_up" if up else "link_down")
        self.link_is_up = up
        if not up:
            for stream in self._streams:
                # Until 3.11.4, Python's TLS transport cannot be aborted once its connection is gone.
                with suppress(AttributeError):
                    stream.transport.abort()

    def appearance(self) -> dict[str, object]:
        """What a person at the machine can see of it."""
        return {
            "stock": {slot: coil.stock for slot, coil in self._coils.items()},
            "coils": {slot: coil.appearance(time.monotonic()) for slot, coil in self._coils.items()},
            "link_is_up": self.link_is_up,
            "door_is_open": self._door_is_open,
            "beam_is_blocked": self._beam_is_blocked,
            "temperatures": self._temperatures,
            "accepts_money": self.accepts_money,
            "coins_taken_minor": self._coins_taken_minor,
            "signal": self.signalled,
        }

    def _need_link(self) -> None:
        if not self.link_is_up:
            raise OSError("the link is down")
