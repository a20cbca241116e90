"""A machine into service, from an empty setup to its first sale, on real programs: cloud, gateway, device.

python -m tests.lab.onboarding [--offline]

What an administrator enters goes in by the API; the sheet's command is typed at the gateway, the sheet's file is put
on the device; what the site then tells is checked off, and the report is signed. The figures are seconds.
"""

import argparse
import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from firmware.workbench.signing import key_id, public_bytes
from tests.system.processes import Process
from tests.system.stage import ANY, choose_ports

WAIT_S = 60.0
PAUSE_S = 0.1
ENDED = frozenset({"settled", "cancelled", "expired"})
SLOTS = ("A1", "A2")
PINS = {"A1": (25, 26), "A2": (27, 32)}
"""Of motor and home switch."""


@dataclass
class Report:
    """When each step was done, in seconds since the first was begun; and what is wrong."""

    seconds: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    checks: dict[str, str] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Every check has passed and every product that was ordered fell."""
        return not self.faults and set(self.checks.values()) == {"passed"}

    def __str__(self) -> str:
        steps = "".join(f"\n  {at:6.2f} s  {step}" for step, at in self.seconds.items())
        return "\n".join([f"into service in {max(self.seconds.values()):.1f} s{steps}", str(self.checks), *self.faults])


class Newcomer:
    """All programs of one site that is new, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = choose_ports(ANY)
        self.key = Ed25519PrivateKey.generate()
        (folder / "settings-key.pem").write_bytes(
            self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        self.cloud_url = f"http://127.0.0.1:{self.ports.cloud}"
        cloud_settings = {
            "LARDER_CLOUD_STATE_DIR": str(folder / "cloud"),
            "LARDER_CLOUD_PORT": str(self.ports.cloud),
            "LARDER_CLOUD_PUBLIC_URL": self.cloud_url,
            "LARDER_CLOUD_SETTINGS_KEY_FILE": str(folder / "settings-key.pem"),
        }
        seed = ("cloud", "seed-demo", str(folder / "seed.json"))
        self.seeder = Process("seed", folder / "seed.log", *seed, environment=cloud_settings)
        self.cloud = Process("cloud", folder / "cloud.log", "cloud", "serve", environment=cloud_settings)
        self.gateway_settings = {
            "LARDER_GATEWAY_STATE_DIR": str(folder / "gateway"),
            "LARDER_GATEWAY_KIOSK_PORT": str(self.ports.kiosk),
            "LARDER_GATEWAY_MQTT_PORT": str(self.ports.mqtt),
            "LARDER_GATEWAY_CLOUD_URL": self.cloud_url,
            "LARDER_GATEWAY_POLL_S": "1",
        }
        self.gateway = Process("gateway", folder / "gateway.log", "edge", environment=self.gateway_settings)
        device = ("firmware.simulator", "--settings", str(folder / "dropped.json"), "--state", str(folder / "device"))
        self.device = Process("device", folder / "device.log", *device, "--speed", "4")

    def type_at_gateway(self, command: str) -> None:
        """What stands on the sheet, as a person types it there."""
        program, *words = command.split()
        assert program == "larder-gateway"
        subprocess.run(
            [sys.executable, "-m", "edge", *words], env=os.environ | self.gateway_settings, check=True, timeout=WAIT_S
        )

    def put_on_device(self, signed: str) -> None:
        """The sheet's file, and whom the board believes."""
        public = public_bytes(self.key)
        (self.folder / "device").mkdir()
        trust = f'{{"settings": {{"{key_id(public)}": "{public.hex()}"}}, "release": {{}}}}'
        (self.folder / "device" / "trust.json").write_text(trust)
        (self.folder / "dropped.json").write_text(signed)


def outline() -> dict[str, Any]:
    """Two slots on one board."""
    slots = {slot: {"motor": {"kind": "dc", "output": motor}, "home": home} for slot, (motor, home) in PINS.items()}
    wiring = {"slots": slots, "board": {"drop": {"pin": 4}}}
    counts = {"price_minor": 0, "capacity": 10, "par_level": 2, "opening": 10}
    sold = [{"slot": slot, "device": "board", "product_name": "Nuts", **counts} for slot in SLOTS]
    return {"rail": "free", "devices": [{"name": "board", "wiring": wiring}], "slots": sold}


class Administrator:
    """Whoever puts the machine into service."""

    def __init__(self, site: Newcomer, told: Report, http: httpx.AsyncClient) -> None:
        self._site = site
        self._told = told
        self._http = http
        self._begun = time.monotonic()

    def done(self, step: str) -> None:
        """Note when."""
        self._told.seconds[step] = time.monotonic() - self._begun

    async def ask(self, method: str, path: str, **told: Any) -> Any:
        """The answer, which must be a good one."""
        headers = {"Idempotency-Key": str(uuid4())} if method == "POST" else {}
        answer = await self._http.request(method, path, headers=headers, **told)
        if not answer.is_success:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    async def set_up(self) -> str:
        """The path of a finished setup."""
        site = self._site
        path = f"/v1/setups/{(await self.ask('POST', '/v1/setups', json={'name': 'New'}))['setup_id']}"
        place = {"name": "New Street", "currency": "INR", "time_zone": "Asia/Kolkata"}
        address = {"host": "127.0.0.1", "port": site.ports.mqtt}
        machines = [{"name": "Snacks", "outline": outline()}]
        step = {"site": {"new": place}, "gateway_name": "Pi", "gateway_address": address, "machines": machines}
        await self.ask("PATCH", path, json=step)
        await self.ask("POST", f"{path}/finish")
        self.done("setup finished")
        return path

    async def bring_in(self, path: str) -> None:
        """Gateway first, then the device, each by the sheet."""
        sheet = await self.ask("POST", f"{path}/sheet")
        self._site.gateway.start()
        self._site.type_at_gateway(sheet["gateway"]["command"])
        await self.until(path, "gateway_claimed")
        self.done("gateway came in")
        sheet = await self.ask("POST", f"{path}/sheet")
        (device,) = sheet["devices"]
        signed = device["settings"]
        self._site.put_on_device(json.dumps(signed))
        self._site.device.start()
        await self.until(path, "device_link Snacks board")
        self.done("device came in")

    async def start_without_cloud(self, path: str) -> None:
        """By a stick, with the cloud stopped before it is put in; it starts again once all is sold."""
        site = self._site
        sheet = await self.ask("POST", f"{path}/bundle")
        (machine,) = (await self.ask("GET", path))["machines"]
        await site.cloud.stop()
        stick = site.folder / sheet["bundle"]["file_name"]
        stick.write_bytes(base64.b64decode(sheet["bundle"]["file"]))
        site.gateway_settings |= {
            "LARDER_GATEWAY_BUNDLE_PASSPHRASE": sheet["bundle"]["passphrase"],
            "LARDER_GATEWAY_BUNDLE_KEYS": sheet["bundle"]["public_key"],
        }
        site.type_at_gateway(f"larder-gateway bundle {stick}")
        stick.unlink()
        site.gateway.start()
        await site.gateway.said("ready", WAIT_S)
        (device,) = sheet["devices"]
        site.put_on_device(json.dumps(device["settings"]))
        site.device.start()
        self.done("started from the stick")
        await self.sell_at(machine["machine_id"])
        site.cloud.start()
        await site.cloud.said("ready", WAIT_S)
        await self.until(path, "gateway_claimed", "test_vend Snacks A1", "test_vend Snacks A2", "sync_equal")
        self.done("the cloud has heard all of it")
        await self.sell_at(machine["machine_id"])  # by a clock that the cloud has set meanwhile

    async def sell(self, path: str) -> None:
        """One unit of each slot at the kiosk."""
        (machine,) = (await self.ask("GET", path))["machines"]
        await self.sell_at(machine["machine_id"])

    async def sell_at(self, machine_id: str) -> None:
        """The same, with no cloud to ask."""
        kiosk = f"http://127.0.0.1:{self._site.ports.kiosk}/kiosk/v1/machines/{machine_id}"
        async with httpx.AsyncClient(timeout=10) as page:
            for slot in SLOTS:
                await self._buy(page, kiosk, machine_id, slot)
                self.done(f"sold from {slot}")

    async def _buy(self, page: httpx.AsyncClient, kiosk: str, machine_id: str, slot: str) -> None:
        orders = kiosk.rsplit("/machines", 1)[0] + "/orders"
        async with asyncio.timeout(WAIT_S):
            while True:
                shown = (await page.get(f"{kiosk}/catalogue")).json()
                if any(one["slot"] == slot and one["state"] == "ok" for one in shown.get("slots", [])):
                    break
                await asyncio.sleep(PAUSE_S)
            lines = [{"slot": slot, "quantity": 1}]
            wish = {"machine_id": machine_id, "planogram_version": shown["planogram_version"], "lines": lines}
            placed = await page.post(orders, json=wish, headers={"Idempotency-Key": str(uuid4())})
            assert placed.is_success, placed.text
            order = placed.json()
            while order["state"] not in ENDED:
                await asyncio.sleep(PAUSE_S)
                order = (await page.get(f"{orders}/{order['order_id']}")).json()
        outcomes = [vend["outcome"] for vend in order["vends"]]
        if outcomes != ["dispensed"]:
            self._told.faults.append(f"{slot}: {order}")

    async def until(self, path: str, *names: str) -> None:
        """These checks have passed; without names, all. What they are at last goes into the report."""
        deadline = time.monotonic() + WAIT_S
        while True:
            found = (await self.ask("GET", f"{path}/checklist"))["checks"]
            self._told.checks = {one["name"]: one["state"] for one in found}
            wanted = names or tuple(self._told.checks)
            if all(self._told.checks[name] == "passed" for name in wanted):
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"not all has passed: {found}")
            await asyncio.sleep(PAUSE_S)


async def run(folder: Path, *, offline: bool = False) -> Report:
    """All of it; `offline`: with no cloud from the sheet to the last sale. Raises AssertionError, ProcessFailed."""
    told, site = Report(), Newcomer(folder)
    site.seeder.start()
    await site.seeder.end(WAIT_S)
    site.cloud.start()
    async with AsyncExitStack() as running:
        for process in (site.cloud, site.gateway, site.device):
            running.push_async_callback(process.stop)
        await site.cloud.said("ready", WAIT_S)
        key = json.loads((folder / "seed.json").read_text())["api_key"]
        headers = {"Authorization": f"Bearer {key}"}
        http = await running.enter_async_context(
            httpx.AsyncClient(base_url=site.cloud_url, headers=headers, timeout=30)
        )
        somebody = Administrator(site, told, http)
        path = await somebody.set_up()
        if offline:
            await somebody.start_without_cloud(path)
        else:
            await somebody.bring_in(path)
            await somebody.sell(path)
        await somebody.until(path)
        somebody.done("all checks passed")
        await somebody.ask("POST", f"{path}/reports", json={})
        somebody.done("report signed")
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offline", action="store_true", help="first boot and sales without any cloud")
    offline = parser.parse_args().offline
    with tempfile.TemporaryDirectory(prefix="larder-onboarding-") as folder:
        told = asyncio.run(run(Path(folder), offline=offline))
    print(told)
    return 0 if told.good else 1


if __name__ == "__main__":
    sys.exit(main())
