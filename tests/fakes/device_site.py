"""A gateway's end of the device link, behind the real guard: claims one device and speaks to it."""

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from edge.access import Identity, IdentityKind
from edge.site_ca import SiteCa
from firmware.simulator.failpoints import VARIABLE
from shared import climate, parcels, releases, topics, upkeep
from shared import devices as wire
from shared.commands import Command, mac_of
from shared.topics import Channel, Topic
from tests.fakes.mqtt_site import MACHINE, Logins, MqttSite, device_id, mqtt_site

DEVICE = device_id(1)
CODE = "a-claim-code-of-this-test"
NO_MAC = "0" * 64
PAYLOADS: dict[Channel, type[wire.DeviceMessage]] = {
    Channel.CLAIM: wire.Claim,
    Channel.HELLO: wire.Hello,
    Channel.HEARTBEAT: wire.Heartbeat,
    Channel.STATE: wire.VendAnswer,
    Channel.OUTCOME: wire.VendReport,
    Channel.DROP: wire.Drop,
    Channel.CREDIT: wire.Credit,
    Channel.STOCK: wire.StockSensed,
    Channel.SENSOR: climate.ZoneReport,
    Channel.LOG: upkeep.LogLines,
    Channel.ANSWER: upkeep.RequestAnswer,
    Channel.OTA: releases.FirmwareReport,
    Channel.SETTINGS: upkeep.SettingsReport,
    Channel.ASK: parcels.Ask,
}


class DeviceSite:
    """Every message from the device is checked against the contract as it comes."""

    def __init__(self, folder: Path, site: MqttSite, logins: "OneDevice") -> None:
        self.folder = folder
        self.state = folder / "state"
        self.log = folder / "device.log"
        self.site = site
        self.logins = logins
        self.told: list[wire.DeviceMessage] = []

    def settings(self, **changed: Any) -> Path:
        """settings.json of the device, with the differences given."""
        values = {
            "machine_id": str(MACHINE),
            "device_id": str(DEVICE),
            "currency": "INR",
            "ca_pem": SiteCa.open(self.folder / "ca").certificate_pem,
            "claim_code": CODE,
            "gateway_host": "127.0.0.1",
            "gateway_port": self.site.guard.port,
            "mdns": False,
            "board": {"door": {"pin": 14}, "temperatures": {"pin": 13, "zones": {"cabinet": None}}},
            "slots": {
                "A1": {"motor": {"kind": "dc", "output": 25}, "home": 26, "empty": 27},
                "A2": {"motor": {"kind": "dc", "output": 32}, "home": 33, "turn_ms": 300, "max_ms": 300},
            },
        }
        path = self.folder / "settings.json"
        path.write_text(json.dumps(values | changed))
        return path

    @asynccontextmanager
    async def simulator(self, *options: str, failpoint: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
        """The device as a process, its motor ten times as fast unless `options` say otherwise; killed in the end."""
        log = self.log.open("ab")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "firmware.simulator", "--speed", "10"),
            *("--settings", str(self.folder / "settings.json"), "--state", str(self.state), *options),
            env={"PATH": "", VARIABLE: failpoint},
            cwd=Path(__file__).parents[2],
            stdout=log,
        )
        log.close()
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def expect(self, channel: Channel, seconds: float = 10) -> Any:
        """The next message on this channel, as the contract's model. A claim met on the way is answered."""
        async with asyncio.timeout(seconds):
            while True:
                message = await self.site.message(seconds)
                topic = topics.parse(message.topic)
                told = PAYLOADS[topic.channel].model_validate_json(message.payload)
                self.told.append(told)
                if isinstance(told, wire.Claim):
                    self.logins.claim = told
                    if self.logins.answers_claims:
                        await self.send(wire.Claimed(mac=NO_MAC))
                if topic.channel is channel:
                    return told

    async def send(self, command: Command) -> None:
        """With the right MAC."""
        assert self.logins.claim is not None
        mac = mac_of(bytes.fromhex(self.logins.claim.command_key), MACHINE, DEVICE, command)
        await self.send_raw(command.model_copy(update={"mac": mac}).to_line())

    async def send_raw(self, payload: bytes) -> None:
        self.site.local.publish(str(Topic(MACHINE, DEVICE, Channel.COMMAND)), payload)

    async def dispense(self, hello: wire.Hello, seq: int, vend_id: UUID, slot: str = "A1") -> None:
        await self.send(wire.Dispense(epoch=1, seq=seq, vend_id=vend_id, slot=slot, nonce=hello.nonce, mac=NO_MAC))

    async def acknowledge(self, report: wire.VendReport) -> None:
        told = wire.Acknowledge(epoch=report.epoch, seq=report.seq, vend_id=report.vend_id, mac=NO_MAC)
        await self.send(told)


class OneDevice(Logins):
    """Lets one device in: by claim code until it has claimed, by its token ever after."""

    def __init__(self) -> None:
        super().__init__()
        self.claim: wire.Claim | None = None
        self.answers_claims = True
        self.refused = 0
        self.codes = {CODE}

    async def authenticate(self, client_id: str, username: str, password: bytes) -> Identity | None:
        sha256 = hashlib.sha256(password).hexdigest()
        if self.claim is not None and sha256 == self.claim.token_sha256:
            return Identity(IdentityKind.DEVICE, MACHINE, DEVICE)
        if self.claim is None and password.decode() in {f"claim:{code}" for code in self.codes}:
            return Identity(IdentityKind.CLAIMING_DEVICE, MACHINE, DEVICE)
        self.refused += 1
        return None


@asynccontextmanager
async def device_site(folder: Path) -> AsyncIterator[DeviceSite]:
    """The site is at the other end of a real TLS socket; all its files lie in `folder`."""
    logins = OneDevice()
    async with mqtt_site(folder / "ca", logins=logins) as site:
        yield DeviceSite(folder, site, logins)
