"""A board without settings: what it takes from its own network, what it tries, and when it saves."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.site_ca import SiteCa
from firmware.simulator.control import ask
from firmware.vending.signals import FAULT, SETUP
from shared.topics import Channel
from tests.fakes.device_site import device_site
from tests.fakes.settings_key import OperatorKey
from tests.fakes.setup_site import WIFI, free_port, setup_site
from tests.fakes.until import until


@pytest.mark.criterion("9.3")
async def test_right_settings_are_saved_after_wifi_and_gateway_have_been_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with setup_site(tmp_path) as site:
        assert site.board.signalled == SETUP
        data = site.key.sign(site.values())
        assert await site.offer(data) == {"state": "saved", "reason": None, "network": "LARDER-C0DE"}
        assert site.saved == data
        assert site.site.logins.claim is None, "trying the claim code does not use it up"
    told = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [event for event in told if event.startswith("setup_")] == [
        "setup_open",
        "setup_checking",
        "setup_joining",
        "setup_reaching",
        "setup_saved",
    ]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"wifi": WIFI | {"ssid": "Site 8"}}, "the Wi-Fi Site 8 is not in reach"),
    ({"gateway_port": 1}, "no gateway of this site at 127.0.0.1:1"),
    ({"claim_code": "used-up"}, "does not know this claim code"),
    ({"currency": "rupees"}, "currency must be three capitals"),
    ({"slots": {"A1": {"motor": {"kind": "dc", "output": 34}}}}, "pin 34 is an input only"),
]


@pytest.mark.criterion("9.3")
async def test_nothing_is_saved_that_would_not_work_and_another_try_may_be_right(tmp_path: Path) -> None:
    async with setup_site(tmp_path) as site:
        for wrong, reason in WRONG:
            told = await site.offer(site.key.sign(site.values(**wrong)))
            assert told["state"] == "failed"
            assert reason in told["reason"]
            assert site.saved == b""
            assert site.board.signalled == FAULT
        assert (await site.offer(site.key.sign(site.values())))["state"] == "saved"


@pytest.mark.criterion("9.3")
async def test_a_stranger_on_the_boards_network_cannot_lead_it_to_a_gateway_of_his_own(tmp_path: Path) -> None:
    async with setup_site(tmp_path) as site:
        assert "does not know" in (await site.offer(OperatorKey().sign(site.values())))["reason"]
        assert "nobody has signed it" in (await site.offer(json.dumps(site.values()).encode()))["reason"]
        own = {"ca_pem": SiteCa.open(tmp_path / "stranger").certificate_pem}
        assert "no gateway of this site" in (await site.offer(site.key.sign(site.values(**own))))["reason"]
        assert site.saved == b""


async def test_a_full_flash_is_told(tmp_path: Path) -> None:
    async with setup_site(tmp_path) as site:
        site.flash.full = True
        assert "no space left" in (await site.offer(site.key.sign(site.values())))["reason"]


PROBES = [
    ("connectivitycheck.gstatic.com", "/generate_204"),
    ("captive.apple.com", "/hotspot-detect.html"),
    ("www.msftconnecttest.com", "/connecttest.txt"),
    ("detectportal.firefox.com", "/canonical.html"),
    ("captive.apple.com", "/"),
    (None, "/favicon.ico"),
]
"""What Android, iOS, Windows and Firefox ask of a network that is new to them."""


async def test_what_a_phone_asks_of_a_new_network_leads_to_the_page(tmp_path: Path) -> None:
    async with setup_site(tmp_path) as site, httpx.AsyncClient(base_url=site.url, trust_env=False) as http:
        for host, path in PROBES:
            answer = await http.get(path, headers={} if host is None else {"Host": host})
            assert (answer.status_code, answer.headers["location"]) == (302, site.url + "/")
        page = await http.get(site.url + "/")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert "<title>Set up this machine</title>" in page.text


async def test_settings_come_from_its_own_page_only_and_one_at_a_time(tmp_path: Path) -> None:
    async with setup_site(tmp_path) as site, httpx.AsyncClient(base_url=site.url, trust_env=False) as http:
        elsewhere = {"Host": "evil.example"}
        assert (await http.post("/settings", content=b"{}", headers=elsewhere)).status_code == 403
        assert (await http.post("/", content=b"{}")).status_code == 403
        assert (await http.delete("/")).status_code == 405
        assert (await http.post("/settings", content=b"{}")).status_code == 202
        assert (await http.post("/settings", content=b"{}")).status_code == 409
        await asyncio.sleep(1.5)
        assert (await http.get("/state")).json()["state"] == "failed"


async def test_with_nobody_there_the_board_boots_again_but_not_while_somebody_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with setup_site(tmp_path) as site, httpx.AsyncClient(base_url=site.url, trust_env=False) as http:
        for _ in range(3):
            site.clock.time_ms += 500_000
            assert (await http.get("/state")).status_code == 200
        await asyncio.sleep(0.3)
        assert not site.running.done()
        site.clock.time_ms += 600_001
        async with asyncio.timeout(5):
            await site.running
    assert "setup_unvisited" in capsys.readouterr().out


async def test_settings_that_cannot_be_used_are_told_of(tmp_path: Path) -> None:
    async with setup_site(tmp_path, "settings.json: the signature is wrong") as site:
        async with httpx.AsyncClient(base_url=site.url, trust_env=False) as http:
            told = (await http.get("/state")).json()
        assert told == {
            "state": "waiting",
            "reason": "settings.json: the signature is wrong",
            "network": "LARDER-C0DE",
        }


@pytest.mark.lab
@pytest.mark.criterion("9.3")
async def test_a_simulated_board_is_set_up_runs_and_forgets_as_a_real_one_does(tmp_path: Path) -> None:
    """The same page, the same checks, the same file: way 2 and way 3 as a process, and a factory reset between them."""
    key, port, state = OperatorKey(), free_port(), tmp_path / "board"
    state.mkdir()
    (state / "trust.json").write_bytes(key.trust)
    async with device_site(tmp_path) as site:
        data = key.sign(json.loads(site.settings().read_text()))
        command = [sys.executable, "-m", "firmware.simulator", "--setup", str(port), "--state", str(state)]
        with site.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(*command, cwd=Path(__file__).parents[2], stdout=log)
        try:
            await until(lambda: site.log.read_bytes().count(b'"setup_open"') == 1, 20)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
                assert (await http.post("/settings", content=data)).status_code == 202
            await site.expect(Channel.HELLO, 30)
            assert (state / "settings.json").read_bytes() == data
            assert ask(state, "button", "down")["ok"]
            await until(lambda: site.log.read_bytes().count(b'"setup_open"') == 2, 40)
            assert b'"factory_reset"' in site.log.read_bytes()
            left = {path.name for path in state.iterdir()}
            assert not left & {"settings.json", "settings.verified", "credentials.json", "gateway.json"}
            assert left >= {"trust.json", "label.json", "journal.1"}
        finally:
            process.kill()
            await process.wait()
