"""The doctor at real sockets: each way in which a cloud cannot be reached, and a gateway that runs meanwhile."""

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from uuid import UUID

import pytest
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from edge.clock import new_id
from edge.discovery import DEVICE_TYPE
from edge.doctor import store
from edge.doctor.rules import Finding, State
from edge.doctor.service import Doctor, settings_refused
from edge.errors import SettingsError
from edge.settings import Settings
from shared.contract import Rail
from shared.errors import Code, Problem
from shared.site_ca import KeyPair, make_ca
from tests.edge.test_app import NO_CLOUD
from tests.fakes.cloud import FakeCloud, running
from tests.fakes.gateway import running_gateway, settings_for, site_changes
from tests.fakes.scripted_server import answer
from tests.fakes.setup_site import free_port
from tests.fakes.tls_server import answering, certificate, trusting
from tests.fakes.until import until


def now() -> datetime:
    return datetime.now(UTC)


def as_larder(at: datetime) -> bytes:
    """What the cloud says to whom it does not know, by its clock."""
    problem = Problem(title="unauthenticated", status=401, code=Code.UNAUTHENTICATED, detail="Sign in.", request_id="1")
    return answer("401 Unauthorized", problem.to_line(), Date=format_datetime(at, usegmt=True))


PORTAL = answer("200 OK", b"<h1>Welcome to this hotel</h1>", Content_Type="text/html")


def directly(scheme: str, host: str) -> None:
    """There is no proxy."""


async def seen(folder: Path, cloud_url: str, proxy: str | None = None) -> dict[str, Finding]:
    """Of the way to the cloud."""
    doctor = Doctor(settings_for(folder, NO_CLOUD), now, trusting(), lambda scheme, host: proxy)
    return {finding.check: finding for finding in await doctor._cloud(cloud_url)}


@pytest.mark.criterion("9.5")
async def test_a_port_that_is_closed_and_a_name_that_is_not_found_are_told_apart(tmp_path: Path) -> None:
    closed = (await seen(tmp_path, f"http://127.0.0.1:{free_port()}"))["cloud"]
    assert "refused" in closed.told
    unknown = (await seen(tmp_path, "https://larder.invalid"))["cloud"]
    assert "is not found" in unknown.told


@pytest.mark.criterion("9.5")
@pytest.mark.parametrize(
    ("pair", "told"),
    [
        (make_ca(), "not trusted"),
        (certificate(ends_in=timedelta(days=-1)), "has expired"),
        (certificate("192.0.2.7"), "for another name"),
        (None, "speaks no TLS"),
    ],
    ids=["unknown issuer", "expired", "other name", "no TLS"],
)
async def test_why_a_certificate_is_not_believed(tmp_path: Path, pair: KeyPair | None, told: str) -> None:
    async with answering(as_larder(now()), pair) as port:
        found = await seen(tmp_path, f"https://127.0.0.1:{port}")
    assert told in found["cloud"].told
    assert found["cloud"].to_do


@pytest.mark.criterion("9.5")
async def test_an_expired_certificate_is_blamed_on_the_clock_that_is_wrong(tmp_path: Path) -> None:
    async with answering(as_larder(now() - timedelta(days=2)), certificate(ends_in=timedelta(days=-1))) as port:
        found = await seen(tmp_path, f"https://127.0.0.1:{port}")
    assert "clock, and that is off by 2 days, fast" in found["cloud"].told
    assert found["clock"].told == "The clock is off by 2 days, fast."


@pytest.mark.criterion("9.5")
async def test_the_clock_is_compared_with_the_clouds(tmp_path: Path) -> None:
    async with answering(as_larder(now() + timedelta(hours=3)), certificate()) as port:
        found = await seen(tmp_path, f"https://127.0.0.1:{port}")
    assert (found["cloud"].state, found["clock"].told) == (State.GOOD, "The clock is off by 3 h, slow.")


@pytest.mark.criterion("9.5")
async def test_a_portal_and_a_server_that_hangs_are_no_cloud(tmp_path: Path) -> None:
    async with answering(PORTAL) as port:
        assert "sign-in page" in (await seen(tmp_path, f"http://127.0.0.1:{port}"))["cloud"].told
    async with answering(None) as port:
        assert "says nothing in time" in (await seen(tmp_path, f"http://127.0.0.1:{port}"))["cloud"].told


@asynccontextmanager
async def boards_named(*ids: UUID) -> AsyncIterator[None]:
    """Boards that announce themselves."""
    mdns, here = AsyncZeroconf(interfaces=["127.0.0.1"]), [socket.inet_aton("127.0.0.1")]
    try:
        for board in ids:
            told = AsyncServiceInfo(DEVICE_TYPE, f"{board}.{DEVICE_TYPE}", addresses=here, port=1)
            await (await mdns.async_register_service(told))
        yield
    finally:
        await mdns.async_close()


@pytest.mark.criterion("9.5")
async def test_a_gateway_that_runs_is_looked_at_and_not_disturbed(tmp_path: Path) -> None:
    async with running(FakeCloud()) as cloud:
        cloud.change(*site_changes(cloud.gateway_id, cloud.tenant_id, Rail.FREE))
        settings, stranger = settings_for(tmp_path, cloud.url, mdns_interfaces=["127.0.0.1"]), new_id()
        async with running_gateway(settings) as (gateway, addresses), boards_named(stranger, cloud.tenant_id):
            await until(lambda: gateway.discovery is not None and len(gateway.discovery.health().boards) == 2)
            ports = {"kiosk_port": int(addresses.kiosk_url.rpartition(":")[2]), "mqtt_port": addresses.mqtt_port}
            found = await Doctor(settings.model_copy(update=ports), now, proxy_of=directly).findings()
            state = {finding.check.partition(" ")[0]: finding for finding in found}
            assert [name for name, one in state.items() if one.state is State.BAD] == []
            good = {name for name, one in state.items() if one.state is State.GOOD}
            assert good >= {"settings", "ledger", "cloud", "clock", "claim", "port", "site's", "kiosk"}
            assert "this machine alone" in state["broker"].told
            assert state["mDNS"].told.endswith(f"told this gateway: {stranger}.")
            assert gateway.database.has_room()
    again = {finding.check: finding for finding in await Doctor(settings, now, proxy_of=directly).findings()}
    assert again["ledger"].told == "It opens and is whole."


@pytest.mark.criterion("9.5")
async def test_a_proxy_is_named_when_it_is_in_the_way(tmp_path: Path) -> None:
    closed = (await seen(tmp_path, "https://larder.example", f"http://127.0.0.1:{free_port()}"))["cloud"]
    assert "through the proxy http://127.0.0.1:" in closed.told
    async with answering(as_larder(now())) as port:
        assert (await seen(tmp_path, "http://larder.example", f"127.0.0.1:{port}"))["cloud"].state is State.GOOD


async def test_a_damaged_ledger_and_a_port_that_somebody_has_are_found(tmp_path: Path) -> None:
    async with running_gateway(settings_for(tmp_path, NO_CLOUD)):
        pass
    (tmp_path / "ledger.db").write_bytes(b"no ledger" * 1000)
    assert store.ledger(tmp_path, 1).works is False
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        found = store.port("kiosk_port", "127.0.0.1", number, running=False)
        assert f"(process {os.getpid()})" in str(found.taken_by)


def test_storage_says_how_worn_it_is(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    told = tmp_path / "dev" / "block" / f"{os.major(device)}:{os.minor(device)}" / "device" / "life_time"
    told.parent.mkdir(parents=True)
    told.write_text("0x02 0x0a\n")
    assert store.folder(tmp_path, sysfs=tmp_path).worn_tenths == 10


@pytest.mark.criterion("10.4")
def test_wrong_settings_are_all_that_is_said(tmp_path: Path) -> None:
    (finding,) = settings_refused(SettingsError("LARDER_GATEWAY_KIOSK_PORT is wrong: must be a number"))
    assert (finding.state, "KIOSK_PORT" in finding.told) == (State.BAD, True)
    environment = os.environ | {"LARDER_GATEWAY_STATE_DIR": str(tmp_path), "LARDER_GATEWAY_CLOUD_URL": NO_CLOUD}
    command = [sys.executable, "-m", "edge", "doctor", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment)
    assert (ended.returncode, '"check": "claim"' in ended.stdout, "\x1b" in ended.stdout) == (1, True, False)
    assert Settings().state_dir != tmp_path
