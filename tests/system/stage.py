"""Cloud, internet, gateway and devices, set up in one folder: what `./dev demo` shows and its check judges."""

import json
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.site_ca import SiteCa
from firmware.simulator.control import ask
from tests.system.internet import Internet
from tests.system.processes import Process, ProcessFailed

START_S = 60.0
SLOTS = tuple(f"A{number}" for number in range(1, 7))
CHUTES = {slot: "left" if slot < "A4" else "right" for slot in SLOTS}
"""One motor of each chute may turn beside one of the other."""


@dataclass(frozen=True)
class Ports:
    """Where everything listens, all on loopback."""

    kiosk: int
    mqtt: int
    cloud: int
    internet: int


@dataclass(frozen=True)
class Machine:
    """One machine of the demo and its device."""

    name: str
    rail: str
    machine_id: str
    device_id: str
    claim_code: str


WANTED = Ports(kiosk=8080, mqtt=8883, cloud=8000, internet=0)
ANY = Ports(kiosk=0, mqtt=0, cloud=0, internet=0)


def choose_ports(wanted: Ports) -> Ports:
    """The wanted ports where they are free, others where not. 0 is any."""
    held = [_hold(port) for port in (wanted.kiosk, wanted.mqtt, wanted.cloud, wanted.internet)]
    ports = Ports(*(one.getsockname()[1] for one in held))
    for one in held:
        one.close()
    return ports


def _hold(port: int) -> socket.socket:
    for candidate in (port, 0):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", candidate))
        except OSError:
            one.close()
            continue
        return one
    raise ProcessFailed("no free port on 127.0.0.1")


class Stage:
    """All programs of one demo. `speed` makes the motors turn so much faster."""

    def __init__(self, folder: Path, ports: Ports, speed: float = 1.0) -> None:
        self.folder = folder
        self.ports = ports
        self._seed = folder / "seed.json"
        self.internet = Internet(ports.internet, ports.cloud)
        cloud_settings = {
            "LARDER_CLOUD_STATE_DIR": str(folder / "cloud"),
            "LARDER_CLOUD_PORT": str(ports.cloud),
            "LARDER_CLOUD_PUBLIC_URL": self.cloud_url,
            "LARDER_CLOUD_SHOW_MAIL": "1",
        }
        self._seeder = Process(
            "seed", folder / "log/seed.log", "cloud", "seed-demo", str(self._seed), environment=cloud_settings
        )
        self.cloud = Process("cloud", folder / "log/cloud.log", "cloud", "serve", environment=cloud_settings)
        self.gateway = Process("gateway", folder / "log/gateway.log", "edge", environment=self._gateway_settings())
        self.devices: dict[str, Process] = {}
        self._speed = speed

    @property
    def kiosk_url(self) -> str:
        """Of the gateway's kiosk."""
        return f"http://127.0.0.1:{self.ports.kiosk}"

    @property
    def cloud_url(self) -> str:
        """Of the cloud itself, whatever becomes of the internet."""
        return f"http://127.0.0.1:{self.ports.cloud}"

    @property
    def api_key(self) -> str:
        """An operator's key for the cloud."""
        return str(self._seeded["api_key"])

    @property
    def email(self) -> str:
        """By which the demo's user signs in to the cloud."""
        return str(self._seeded["email"])

    @property
    def password(self) -> str:
        """Of the demo's user."""
        return str(self._seeded["password"])

    @property
    def gateway_id(self) -> str:
        """As the cloud knows it."""
        return str(self._seeded["gateway_id"])

    @property
    def machines(self) -> list[Machine]:
        """Free first, then cash."""
        return [
            Machine(one["name"], one["rail"], one["machine_id"], one["device_id"], one["device_claim_code"])
            for one in self._seeded["machines"]
        ]

    async def start_cloud(self) -> None:
        """Start the cloud; the first time, make its demo tenant before."""
        if not self._seed.exists():
            self._seeder.start()
            await self._seeder.end(START_S)
            if self._seeder.status != 0:
                raise ProcessFailed(f"seeding the cloud failed:\n{self._seeder.tail()}")
            self._write_secret(self.folder / "claim-code", str(self._seeded["gateway_claim_code"]))
        self.cloud.start()
        await self.cloud.said("ready", START_S)

    async def start_gateway(self, **environment: str) -> None:
        """Start the gateway. It claims itself with its one-time code when it first meets the cloud."""
        self.gateway.start(**environment)
        await self.gateway.said("ready", START_S)

    async def until_advertised(self) -> None:
        """The gateway can be found by mDNS, so that devices need not fall back to the address they were given."""
        await self.gateway.said("discovery_advertised", START_S)

    def start_device(self, machine: Machine, **environment: str) -> None:
        """Start a machine's device. The first time it is given its settings, as a technician would."""
        state = self.device_state(machine)
        settings = state / "settings.json"
        if not settings.exists():
            self._write_secret(settings, json.dumps(self._device_settings(machine)))
        device = self.devices.setdefault(
            machine.name,
            Process(
                f"device {machine.name}",
                self.folder / f"log/device-{machine.name}.log",
                "firmware.simulator",
                "--settings",
                str(settings),
                "--state",
                str(state),
                "--speed",
                str(self._speed),
            ),
        )
        device.start(**environment)

    def device_state(self, machine: Machine) -> Path:
        """The folder with the device's flash and world."""
        return self.folder / f"device-{machine.name}"

    def ask_device(self, machine: Machine, *words: str) -> dict[str, Any]:
        """A hand in the simulated world: coin, jam, link, status …"""
        return ask(self.device_state(machine), *words)

    async def stop(self) -> None:
        """Stop everything, devices first. Nothing is left running."""
        for device in self.devices.values():
            await device.stop()
        await self.gateway.stop()
        await self.internet.cut()
        await self.cloud.stop()

    @property
    def _seeded(self) -> dict[str, Any]:
        seeded: dict[str, Any] = json.loads(self._seed.read_text())
        return seeded

    def _gateway_settings(self) -> dict[str, str]:
        return {
            "LARDER_GATEWAY_STATE_DIR": str(self.folder / "gateway"),
            "LARDER_GATEWAY_KIOSK_PORT": str(self.ports.kiosk),
            "LARDER_GATEWAY_MQTT_PORT": str(self.ports.mqtt),
            "LARDER_GATEWAY_CLOUD_URL": f"http://127.0.0.1:{self.ports.internet}",
            "LARDER_GATEWAY_CLAIM_CODE_FILE": str(self.folder / "claim-code"),
            "LARDER_GATEWAY_MDNS_INTERFACES": "127.0.0.1",
            "LARDER_GATEWAY_BACKOFF_LIMIT_S": "5",
        }

    def _device_settings(self, machine: Machine) -> dict[str, Any]:
        return {
            "machine_id": machine.machine_id,
            "device_id": machine.device_id,
            "currency": "INR",
            "ca_pem": SiteCa.open(self.folder / "gateway/site-ca").certificate_pem,
            "claim_code": machine.claim_code,
            "gateway_host": "127.0.0.1",
            "gateway_port": self.ports.mqtt,
            "mdns": True,
            "mdns_interface": "127.0.0.1",
            "board": {
                "door": {"pin": 14},
                "temperatures": {"pin": 33, "zones": {"cabinet": None}},
                "chutes": {"left": {"pin": 4}, "right": {"pin": 16}},
                "power_ma": 2000,
            },
            "slots": {slot: {"chute": chute, "draw_ma": 900} for slot, chute in CHUTES.items()},
        }

    def _write_secret(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)


def clear(folder: Path) -> None:
    """Remove a demo's state."""
    if folder.exists():
        shutil.rmtree(folder)
