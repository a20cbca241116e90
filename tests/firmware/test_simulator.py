"""The device as a real process at a real guard: claim, vend, power cuts, and what the physical world says of it."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from edge.clock import Clock, new_id
from edge.discovery import Discovery
from edge.dispensing.rules import LAPSE_S, STUCK_S
from edge.site_ca import SiteCa
from firmware.simulator.control import ask
from firmware.simulator.failpoints import NAMES
from firmware.simulator.world import read_world
from firmware.vending.settings import MAX_MOTION_MS, parse
from shared import devices as wire
from shared.topics import Channel
from tests.fakes.device_site import CODE, NO_MAC, DeviceSite, device_site
from tests.fakes.until import until


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[DeviceSite]:
    async with device_site(tmp_path) as found:
        found.settings()
        yield found


async def dispensed(site: DeviceSite, hello: wire.Hello, seq: int = 1) -> UUID:
    """One vend from its command to its acknowledgement."""
    vend_id = new_id()
    await site.dispense(hello, seq, vend_id)
    report = await site.expect(Channel.OUTCOME)
    assert (report.vend_id, report.result, report.evidence.drop) == (vend_id, "done", True)
    await site.acknowledge(report)
    return vend_id


@pytest.mark.criterion("8.1")
@pytest.mark.criterion("8.2")
async def test_a_device_claims_itself_logs_in_and_vends(site: DeviceSite) -> None:
    async with site.simulator() as process:
        hello = await site.expect(Channel.HELLO)
        assert (hello.epoch, hello.seq, hello.open) == (0, 0, ())
        vend_id = new_id()
        await site.dispense(hello, 1, vend_id)
        assert (await site.expect(Channel.STATE)).state == "accepted"
        assert (await site.expect(Channel.STATE)).state == "started"
        assert (await site.expect(Channel.DROP)).vend_id == vend_id
        report = await site.expect(Channel.OUTCOME)
        assert (report.vend_id, report.slot, report.result) == (vend_id, "A1", "done")
        assert (report.evidence.drop, report.evidence.left_home, report.evidence.home_after) == (True, True, True)
        await site.acknowledge(report)
        await until(lambda: ask(site.state, "status")["unacknowledged"] == [])
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert await process.wait() == 0
        assert time.monotonic() - began < 1
    world = read_world(site.state)
    assert world.motor_starts == world.drops == {str(vend_id): 1}
    assert world.stock == {"A1": 9, "A2": 10}


async def test_a_device_that_knows_no_address_finds_the_gateway_by_multicast_dns(site: DeviceSite) -> None:
    site.settings(gateway_host=None, mdns=True)
    gateway = asyncio.create_task(Discovery(new_id(), site.site.guard.port, ["127.0.0.1"], Clock()).run())
    try:
        async with site.simulator():
            await site.expect(Channel.HELLO, 20)
    finally:
        gateway.cancel()
        await asyncio.gather(gateway, return_exceptions=True)


async def test_power_lost_in_mid_turn_is_reported_with_evidence_and_never_run_again(site: DeviceSite) -> None:
    vend_id = new_id()
    async with site.simulator("--speed", "2") as process:
        await site.dispense(await site.expect(Channel.HELLO), 1, vend_id)
        await until(lambda: read_world(site.state).coil.get("A1") == "left_home")
        await asyncio.sleep(0.2)  # an eighth of its turn and more: this is no bouncing switch
        process.kill()
        await process.wait()
    async with site.simulator():
        hello = await site.expect(Channel.HELLO)
        assert (hello.seq, [vend.state for vend in hello.open]) == (1, ["ended"])
        report = await site.expect(Channel.OUTCOME)
        assert (report.vend_id, report.result) == (vend_id, "interrupted")
        expected = wire.Evidence(drop=None, left_home=True, home_before=True, home_after=False, motor_ms=None)
        assert report.evidence == expected
        await site.dispense(hello, 1, vend_id)
        again = await site.expect(Channel.OUTCOME)
        assert again == report
        await site.acknowledge(report)
        await dispensed(site, hello, 2)
    assert read_world(site.state).motor_starts[str(vend_id)] == 1


EXPECTED = {
    "journal.A.before": None,
    "journal.A.after": "not_started",
    "journal.S.before": "not_started",
    "journal.S.after": "interrupted",
    "motor.on.after": "interrupted",
    "journal.L.before": "interrupted",
    "journal.P.before": "interrupted",
    "journal.P.after": "interrupted",
    "journal.D.before": "interrupted",
    "journal.D.after": "done",
    "outcome.publish.before": "done",
    "outcome.publish.after": "done",
    "journal.K.before": "done",
    "journal.K.after": "forgotten",
}


@pytest.mark.parametrize("failpoint", EXPECTED)
async def test_a_power_cut_anywhere_leads_to_one_truth_and_at_most_one_start(site: DeviceSite, failpoint: str) -> None:
    vend_id = new_id()
    async with site.simulator(failpoint=failpoint) as process:
        await site.dispense(await site.expect(Channel.HELLO), 1, vend_id)
        if failpoint.startswith("journal.K"):
            await site.acknowledge(await site.expect(Channel.OUTCOME))
        assert await asyncio.wait_for(process.wait(), 10) == 137
    async with site.simulator():
        hello = await site.expect(Channel.HELLO)
        if EXPECTED[failpoint] in (None, "forgotten"):
            await site.send(wire.Query(epoch=1, seq=1, vend_id=vend_id, mac=NO_MAC))
            state = "unseen" if EXPECTED[failpoint] is None else "forgotten"
            assert (await site.expect(Channel.STATE)).state == state
        else:
            report = await site.expect(Channel.OUTCOME)
            assert (report.vend_id, report.result) == (vend_id, EXPECTED[failpoint])
            world = read_world(site.state)
            if report.evidence is not None and report.evidence.drop:
                assert world.drops[str(vend_id)] == 1
            if report.result == "not_started":
                assert world.motor_starts[str(vend_id)] == 0
            await site.acknowledge(report)
        await dispensed(site, hello, 2)
    assert read_world(site.state).motor_starts[str(vend_id)] <= 1


async def test_a_claim_answered_into_the_void_heals_itself(site: DeviceSite) -> None:
    site.logins.answers_claims = False
    async with site.simulator() as process:
        await site.expect(Channel.CLAIM)
        process.kill()
    async with site.simulator():
        await dispensed(site, await site.expect(Channel.HELLO))
    assert site.logins.refused == 0


async def test_bad_commands_get_no_answer_and_do_nothing(site: DeviceSite) -> None:
    async with site.simulator():
        hello = await site.expect(Channel.HELLO)
        good = wire.Dispense(epoch=1, seq=1, vend_id=new_id(), slot="A1", nonce=hello.nonce, mac=NO_MAC)
        line = good.to_line()
        for payload in (
            line,
            b"",
            b"{",
            b"[" * 4000,
            line[:-1] + b',"more":1}',
            line.replace(b'"v":1', b'"v":2'),
            line.replace(b'"seq":1', b'"seq":-1'),
            line.replace(b'"seq":1', b'"seq":1e3'),
            line.replace(b'"A1"', b'"a1"'),
            line + b" " * 5000,
            b"\xff\xfe",
        ):
            await site.send_raw(payload)
        await dispensed(site, hello, 1)
    assert read_world(site.state).motor_starts.total() == 1


async def test_stale_nonces_unknown_slots_and_a_busy_motor_are_refused(site: DeviceSite) -> None:
    async with site.simulator("--speed", "1"):
        hello = await site.expect(Channel.HELLO)
        first, second = new_id(), new_id()
        await site.dispense(hello, 1, second, slot="B1")
        assert (await site.expect(Channel.STATE)).reason == "unknown_slot"
        await site.dispense(hello.model_copy(update={"nonce": "0" * 16}), 1, second)
        assert (await site.expect(Channel.STATE)).reason == "stale_nonce"
        await site.dispense(hello, 1, first)
        assert [(await site.expect(Channel.STATE)).state for _ in range(2)] == ["accepted", "started"]
        await site.dispense(hello, 2, second)
        assert (await site.expect(Channel.STATE)).reason == "busy"
        await site.send(wire.Cancel(epoch=1, seq=1, vend_id=first, mac=NO_MAC))
        assert (await site.expect(Channel.STATE)).state == "started"
        await site.send(wire.Cancel(epoch=1, seq=2, vend_id=second, mac=NO_MAC))
        report = await site.expect(Channel.OUTCOME)
        assert (report.vend_id, report.result, report.slot) == (second, "cancelled", None)
        assert (await site.expect(Channel.OUTCOME)).result == "done"
    assert read_world(site.state).motor_starts == {str(first): 1}


async def test_a_link_that_breaks_in_mid_vend_changes_nothing_for_the_vend(site: DeviceSite) -> None:
    async with site.simulator("--speed", "3"):
        hello = await site.expect(Channel.HELLO)
        vend_id = new_id()
        await site.dispense(hello, 1, vend_id)
        await site.expect(Channel.DROP)
        assert (await asyncio.to_thread(ask, site.state, "link", "down"))["ok"]
        await until(lambda: ask(site.state, "status")["unacknowledged"] == [str(vend_id)])
        assert (await asyncio.to_thread(ask, site.state, "link", "up"))["ok"]
        again = await site.expect(Channel.HELLO)
        assert again.nonce != hello.nonce
        report = await site.expect(Channel.OUTCOME)
        assert (report.vend_id, report.result) == (vend_id, "done")
        await site.dispense(hello, 2, new_id())
        assert (await site.expect(Channel.STATE)).reason == "stale_nonce"


async def test_an_outcome_is_repeated_until_it_is_acknowledged(site: DeviceSite) -> None:
    async with site.simulator():
        await site.dispense(await site.expect(Channel.HELLO), 1, new_id())
        first = await site.expect(Channel.OUTCOME)
        assert await site.expect(Channel.OUTCOME) == first


@pytest.mark.criterion("8.3")
async def test_coins_and_stock_are_told(site: DeviceSite) -> None:
    async with site.simulator("--stock", "1") as process:
        hello = await site.expect(Channel.HELLO)
        stock = await site.expect(Channel.STOCK)
        assert (stock.slot, stock.empty) == ("A1", False)
        returned = await asyncio.to_thread(ask, site.state, "coin", "500")
        assert returned == {"ok": False, "error": "no money is taken now, the coin is returned"}
        await site.send(wire.AcceptMoney(currency="INR", nonce=hello.nonce, mac=NO_MAC))
        await until(lambda: ask(site.state, "status")["accepts_money"] is True)
        assert (await asyncio.to_thread(ask, site.state, "coin", "1000"))["ok"]
        credit = await site.expect(Channel.CREDIT)
        assert (credit.amount_minor, credit.currency) == (1000, "INR")
        process.kill()
    async with site.simulator():
        hello = await site.expect(Channel.HELLO)
        assert (await site.expect(Channel.CREDIT)).credit_id == credit.credit_id
        await site.send(wire.AcknowledgeCredit(credit_id=credit.credit_id, mac=NO_MAC))
        await until(lambda: ask(site.state, "status")["credits"] == [])
        await dispensed(site, hello)
        while not any(isinstance(told, wire.StockSensed) and told.empty for told in site.told):
            await site.expect(Channel.STOCK)
        await site.dispense(hello, 2, new_id())
        assert (await site.expect(Channel.OUTCOME)).evidence.drop is False
    assert read_world(site.state).coins_minor == 1000


async def test_it_logs_one_line_of_json_an_event_and_no_secret(site: DeviceSite) -> None:
    async with site.simulator():
        hello = await site.expect(Channel.HELLO)
        await site.send_raw(b"nonsense")
        await dispensed(site, hello)
        await until(lambda: b"acknowledge_received" in site.log.read_bytes())
    events = [json.loads(line)["event"] for line in site.log.read_text().splitlines()]
    assert [event for event in events if event in ("booted", "claimed", "message_refused", "vend_ended")] == [
        "booted",
        "claimed",
        "message_refused",
        "vend_ended",
    ]
    for secret in json.loads((site.state / "credentials.json").read_text()).values():
        assert secret not in site.log.read_text()
    assert CODE not in site.log.read_text()


async def test_a_device_that_is_not_known_keeps_asking_and_gets_in_once_it_is(site: DeviceSite) -> None:
    site.settings(claim_code="not-the-code")
    async with site.simulator():
        await until(lambda: site.logins.refused >= 3)
        site.logins.codes.add("not-the-code")
        await site.expect(Channel.HELLO, 20)


async def test_a_cached_address_that_leads_nowhere_is_not_the_end(site: DeviceSite) -> None:
    site.state.mkdir()
    (site.state / "gateway.json").write_text('["127.0.0.1", 1]')
    async with site.simulator():
        await site.expect(Channel.HELLO)
    assert json.loads((site.state / "gateway.json").read_text()) == ["127.0.0.1", site.site.guard.port]


@pytest.mark.parametrize("content", ["", "{", "[]", "[1, 2]", '{"token": "x"}'])
async def test_damaged_small_files_are_made_anew(site: DeviceSite, content: str) -> None:
    site.state.mkdir()
    for name in ("gateway.json", "credentials.json", "journal.0", "journal.1"):
        (site.state / name).write_text(content)
    async with site.simulator():
        await dispensed(site, await site.expect(Channel.HELLO))


async def test_a_wrong_ca_is_never_spoken_to(site: DeviceSite, tmp_path: Path) -> None:
    site.settings(ca_pem=SiteCa.open(tmp_path / "another").certificate_pem)
    async with site.simulator():
        await until(lambda: site.state.joinpath("control.sock").exists())
        with pytest.raises(TimeoutError):
            await site.expect(Channel.CLAIM, 1.5)
    assert site.logins.refused == 0


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"machine_id": "M1"}, "machine_id must be a UUID"),
        ({"ca_pem": "x"}, "ca_pem must be a PEM certificate"),
        ({"slots": {"a1": {}}}, "slots.a1 is no slot code"),
        ({"slots": {}}, "slots must name 1 to 60 slots"),
        ({"slots": {"A1": {"max_ms": 19_301}}}, "max_ms and settle_ms must be 20000 ms at most"),
        ({"slots": {"A1": {"max_ms": 1_499}}}, "slots.A1.max_ms must leave time for turn_ms"),
        (
            {"slots": {"A1": {"max_ms": 2_999, "extra_turn": True}}},
            "slots.A1.max_ms must leave time for turn_ms, twice",
        ),
        ({"slots": {"A1": {"extra_turn": "no"}}}, "slots.A1.extra_turn must be true or false"),
        ({"gatway_host": "x"}, "unknown setting: gatway_host"),
        ({"gateway_port": True}, "gateway_port must be"),
        ({"gateway_host": None}, "gateway_host is needed"),
        ({"currency": "inr"}, "currency must be"),
        ({"board": {"coin": {"pin": 99}}}, "board.coin.pin must be"),
        ({"wifi": {"ssid": "x"}}, "wifi.password must be"),
    ],
)
async def test_wrong_settings_end_it_with_one_clear_line(
    site: DeviceSite, changed: dict[str, object], reason: str
) -> None:
    path = str(site.settings(**changed))
    run = [sys.executable, "-m", "firmware.simulator", "--settings", path, "--state", str(site.state)]
    ended = subprocess.run(run, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert reason in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_the_longest_motion_leaves_time_to_tell_of_it_before_a_gateway_gives_up(site: DeviceSite) -> None:
    slot = {"max_ms": 15_000, "settle_ms": 5_000}
    taken = parse(site.settings(slots={"A1": slot}).read_bytes()).slots["A1"]
    assert taken.max_ms + taken.settle_ms == MAX_MOTION_MS
    assert MAX_MOTION_MS + 10_000 <= LAPSE_S * 1000 < STUCK_S * 1000


def test_there_are_enough_failpoints_and_it_lists_them() -> None:
    run = [sys.executable, "-m", "firmware.simulator", "--list-failpoints"]
    assert subprocess.run(run, capture_output=True, text=True, timeout=20, check=True).stdout.split() == list(NAMES)
    assert len(NAMES) >= 10
    assert set(EXPECTED) <= set(NAMES)
