"""First boot without any cloud: a site sells from its stick, and the cloud is told everything later, once."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from edge import site_bundle
from edge.__main__ import leave_claim_code, take_bundle
from edge.app import Gateway
from edge.clock import Clock, new_id
from edge.doctor.service import Doctor
from edge.errors import SettingsError
from edge.settings import Settings
from edge.site_ca import SiteCa
from shared.bundles import BundlePlace, BundleRefused, SiteBundle
from shared.contract import Rail
from shared.errors import Code
from tests.edge.test_app import buy
from tests.fakes.bundle import PASSPHRASE, BundleMaker, as_changes
from tests.fakes.cloud import FakeCloud, running
from tests.fakes.gateway import DEVICE_CODE, SLOTS, running_gateway, settings_for, site_changes
from tests.fakes.mqtt_device import MqttDevice
from tests.fakes.setup_site import free_port
from tests.fakes.until import until

MAKER = BundleMaker()
NEW_CODE = "a-newer-claim-code-0123456789abcdef"


@dataclass
class Stick:
    """A bundle on a stick, the cloud that made it, and the board that its sheet was made for."""

    folder: Path
    port: int
    cloud: FakeCloud
    bundle: SiteBundle
    device: MqttDevice

    def settings(self, name: str = "gateway", **others: Any) -> Settings:
        """Of a gateway into which it is put."""
        given = {"claim_code": None, "bundle_file": self.folder, "bundle_passphrase": PASSPHRASE} | others
        return settings_for(self.folder.parent / name, self.bundle.cloud_url, **given)

    @asynccontextmanager
    async def selling(self, settings: Settings) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
        """A gateway with its board, that has sold one more."""
        async with (
            running_gateway(settings) as (gateway, addresses),
            httpx.AsyncClient(base_url=addresses.kiosk_url, timeout=10) as http,
        ):
            await until(lambda: gateway.discovery is not None)
            if not self.device.fake.starts:
                await self.device.claim(addresses.mqtt_port, self.bundle.ca_pem, DEVICE_CODE)
            await self.device.connect(addresses.mqtt_port, self.bundle.ca_pem)
            await until(lambda: gateway.links.online(self.device.fake.device_id))
            assert await buy(http, self.device.fake.machine_id) == "settled"
            yield gateway, http
            await self.device.disconnect()


@pytest.fixture
def stick(tmp_path: Path) -> Stick:
    machine_id, port, cloud = new_id(), free_port(), FakeCloud()
    device = MqttDevice(machine_id, new_id(), frozenset(SLOTS))
    changes = site_changes(machine_id, device.fake.device_id, Rail.FREE)
    cloud.change(*changes)
    ids = {"gateway_id": cloud.gateway_id, "tenant_id": cloud.tenant_id, "site_id": cloud.gateway_id}
    place = BundlePlace(**ids, site_name="Hall", currency="INR")
    bundle = MAKER.bundle(as_changes(changes), place=place, cloud_url=f"http://127.0.0.1:{port}")
    MAKER.on_stick(tmp_path / "stick", bundle)
    return Stick(tmp_path / "stick", port, cloud, bundle, device)


def openings(cloud: FakeCloud) -> int:
    return sum(json.loads(line)["body"].get("reason") == "opening" for line in cloud.lines)


@pytest.mark.criterion("8.1")
@pytest.mark.criterion("8.3")
async def test_a_stick_is_enough_to_sell_and_the_cloud_hears_all_of_it_once(stick: Stick) -> None:
    async with stick.selling(stick.settings()) as (gateway, _):
        assert gateway.identity.claim is None
        assert gateway.discovery is not None
    for file in stick.folder.iterdir():
        file.unlink()
    async with stick.selling(stick.settings()) as (gateway, http), running(stick.cloud, stick.port) as cloud:
        await until(lambda: gateway.identity.claim is not None)
        while (position := await gateway.sync.position()).waiting:
            await until(lambda: len(cloud.lines) >= position.seq)
        assert cloud.chain == position.chain
        assert openings(cloud) == len(SLOTS)
        status = (await http.get("/kiosk/v1/status")).json()
        assert status["stock"][str(stick.device.fake.machine_id)][SLOTS[0]] == 8
    assert sorted(stick.device.fake.starts.values()) == [1, 1]
    assert cloud.requests.count("POST /v1/claim") == 1


async def test_a_second_gateway_from_the_same_stick_is_refused_and_told_why(stick: Stick) -> None:
    async with running(stick.cloud, stick.port):
        async with running_gateway(stick.settings()) as (first, _):
            await until(lambda: first.identity.claim is not None)
        async with running_gateway(stick.settings("second")) as (second, _):
            await until(lambda: Code.CLAIM_CODE_USED in second.sync.status.last_error)
            assert second.identity.claim is None


async def test_when_its_code_has_ended_it_sells_on_and_a_new_code_keeps_the_ledger(stick: Stick) -> None:
    settings = stick.settings()
    stick.cloud.refuse_claim = Code.CLAIM_CODE_EXPIRED
    async with stick.selling(settings) as (gateway, _), running(stick.cloud, stick.port) as cloud:
        await until(lambda: Code.CLAIM_CODE_EXPIRED in gateway.sync.status.last_error)
        cloud.refuse_claim, cloud.code = None, NEW_CODE
        leave_claim_code(settings, [NEW_CODE])
        await until(lambda: gateway.identity.claim is not None)
        written = (await gateway.sync.position()).seq
        await until(lambda: len(cloud.lines) >= written)
        assert (cloud.epoch, openings(cloud)) == (1, len(SLOTS))


def test_a_gateway_that_was_told_whom_to_believe_believes_nobody_else(stick: Stick) -> None:
    file, phrase = next(stick.folder.iterdir()), SecretStr(PASSPHRASE)
    with pytest.raises(BundleRefused, match="not told to believe"):
        site_bundle.take(stick.settings(bundle_keys=["ab" * 32]), file, phrase, claimed=False)
    assert not list(stick.settings().state_dir.glob("bundle*"))
    told = take_bundle(stick.settings(bundle_keys=[MAKER.public_key]), [str(file)])
    assert "bundle of Hall is kept. Its signature is of a key" in told


def test_a_place_is_taken_once(stick: Stick) -> None:
    settings, phrase = stick.settings(), SecretStr(PASSPHRASE)
    file = next(stick.folder.iterdir())
    with pytest.raises(BundleRefused, match="larder-gateway claim CODE"):
        site_bundle.take(settings, file, phrase, claimed=True)
    assert "no key" in take_bundle(settings, [str(file)])
    assert site_bundle.take(settings, file, phrase, claimed=False).bundle_id == stick.bundle.bundle_id
    MAKER.on_stick(stick.folder, MAKER.bundle(cloud_url=stick.bundle.cloud_url))
    with pytest.raises(BundleRefused, match="its place already"):
        site_bundle.take(settings, file, phrase, claimed=False)
    taken = site_bundle.at_start(settings, None)
    assert taken is not None
    assert taken.bundle_id == stick.bundle.bundle_id, "a stick stops no site that sells"


def test_a_ca_that_the_gateway_made_before_is_put_aside(stick: Stick) -> None:
    settings = stick.settings()
    folder = settings.state_dir / "site-ca"
    own = SiteCa.open(folder).certificate_pem
    site_bundle.at_start(settings, None)
    assert SiteCa.open(folder).certificate_pem == stick.bundle.ca_pem
    (aside,) = folder.glob("ca.pem.before-*")
    assert own in aside.read_text()
    assert (settings.state_dir / "bundle.json").stat().st_mode & 0o077 == 0


@pytest.mark.criterion("10.4")
@pytest.mark.parametrize(
    ("others", "named"),
    [
        ({"bundle_passphrase": None}, "BUNDLE_PASSPHRASE is missing"),
        ({"bundle_passphrase": "0000-1111-2222-3333-4445"}, "passphrase is another one"),
        ({"cloud_url": "http://127.0.0.1:9"}, "cloud_url is http://127.0.0.1:9, and the bundle is of"),
    ],
)
def test_what_is_wrong_with_a_stick_is_said_in_one_line(stick: Stick, others: dict[str, Any], named: str) -> None:
    settings = stick.settings().model_copy(update=others)
    if isinstance(others.get("bundle_passphrase"), str):
        settings = stick.settings(**others)
    with pytest.raises(SettingsError, match=named):
        Gateway(settings, Clock())


def test_without_a_stick_the_gateway_starts_as_ever(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "gateway", "http://127.0.0.1:9", bundle_file=tmp_path / "nothing mounted")
    assert site_bundle.at_start(settings, None) is None
    assert Gateway(settings, Clock()).settings == settings


async def test_a_site_sells_on_when_its_bundle_is_damaged_and_its_cloud_may_move(stick: Stick) -> None:
    async with stick.selling(stick.settings()):
        pass
    for file in stick.folder.iterdir():
        file.unlink()
    moved = stick.settings().model_copy(update={"cloud_url": "http://127.0.0.1:9"})
    assert Gateway(moved, Clock()).settings.cloud_url == "http://127.0.0.1:9"
    (stick.settings().state_dir / "bundle.json").write_text("{")
    async with running_gateway(stick.settings()) as (gateway, addresses):
        await stick.device.connect(addresses.mqtt_port, stick.bundle.ca_pem)
        await until(lambda: gateway.links.online(stick.device.fake.device_id))
        async with httpx.AsyncClient(base_url=addresses.kiosk_url, timeout=10) as http:
            assert await buy(http, stick.device.fake.machine_id) == "settled"
        findings = await Doctor(stick.settings(), Clock().now, proxy_of=lambda scheme, host: None).findings()
        assert "bundle.json is damaged" in next(one.told for one in findings if one.check == "bundle")
        await stick.device.disconnect()
