"""One connection by the clock: heartbeats with fresh nonces, reports repeated ever more slowly."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from firmware.simulator.board import SimulatedBoard
from firmware.simulator.coil import Habits
from firmware.vending import log, messages
from firmware.vending.commands import Commands
from firmware.vending.credentials import load_or_make
from firmware.vending.dispenser import Dispenser
from firmware.vending.errands import Errands, Parts
from firmware.vending.flash import Flash
from firmware.vending.greeting import greet
from firmware.vending.health import Health
from firmware.vending.journal import MAX_CREDITS, Journal
from firmware.vending.messages import Errand
from firmware.vending.mqtt import MqttClient
from firmware.vending.nonces import Nonces
from firmware.vending.reports import Reports
from firmware.vending.rules import Command, Vend
from firmware.vending.sensors import LOOK_S, Sensors
from firmware.vending.session import Session
from firmware.vending.settings import Settings
from firmware.vending.till import LEASE_MS, Till
from firmware.vending.vigil import LIMITS_MS, SENSORS, Vigil
from shared.upkeep import LogLines
from tests.fakes.device_settings import HOME, SLOT
from tests.fakes.device_settings import SETTINGS as ANY
from tests.fakes.set_clock import SetClock
from tests.fakes.until import until

DEVICE = "01890000-0000-7000-8000-000000000001"
VEND = "01890000-0000-7000-8000-000000000002"
SETTINGS = ANY._replace(machine_id=DEVICE, device_id=DEVICE)


class Wire(MqttClient):
    """A client without a connection: remembers what is sent, hears what it is given, and lets time pass at once."""

    def __init__(self, clock: SetClock) -> None:
        self.clock = clock
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.heard: list[tuple[str, bytes]] = []
        self.latest = 10**9

    def wake(self) -> None:
        """Never asleep."""

    async def subscribe(self, topic: str) -> None:
        """Granted."""

    async def publish(self, topic: str, payload: bytes, qos: int = 0) -> None:
        self.sent.append((topic.rpartition("/")[2], json.loads(payload)))

    async def receive(self, timeout_ms: int) -> tuple[str, bytes] | None:
        if self.heard:
            return self.heard.pop(0)
        self.clock.time_ms = min(self.clock.time_ms + max(1, timeout_ms), self.latest)
        return None


class Desk:
    """A session with all its parts around a wire of paper."""

    def __init__(self, folder: Path, settings: Settings = SETTINGS) -> None:
        self.slots = slots = settings.slots
        self.clock = SetClock()
        self.flash = Flash(str(folder))
        self.journal = Journal(self.flash)
        self.board = SimulatedBoard(settings, folder, Habits())
        nonces = Nonces(self.clock)
        self.reports = Reports(self.journal, self.clock, nonces, VEND, "INR")
        self.vigil = Vigil(self.board, self.clock)
        self.health = Health(self.board, self.journal, self.clock, None)
        guards = (self.vigil, self.health, None)
        dispenser = Dispenser(self.board, self.journal, slots, self.reports, self.clock, *guards)
        self.till = Till(self.clock, self.journal, "INR")
        self.sensors = Sensors(self.board, self.journal, slots, self.reports, self.till, self.vigil, dispenser.refuses)
        self.credentials = load_or_make(self.flash)
        self.done: list[dict[str, Any]] = []
        self.errands = errands = Errands(nonces, {"set_time": self.done.append}, {})
        commands = Commands(self.journal, slots, None, nonces, dispenser, self.till, errands)
        parts = (self.health, self.clock, nonces, self.reports, commands, errands)
        known = (settings, self.board, self.flash, self.clock, self.journal, dispenser, self.reports, VEND)
        self.parts = Parts(*known, errands, self.till)
        self.session = Session(settings, self.credentials, *parts, VEND)
        self.wire = Wire(self.clock)

    async def open(self) -> None:
        """Greet the gateway, one zone of the cabinet last."""
        await greet(self.session, self.wire, self.parts, [lambda: [("sensor", b'{"zone": "cabinet"}')]])

    async def tend_until(self, ms: int) -> None:
        self.wire.latest = ms
        while self.clock.time_ms < ms:
            await self.session.tend(self.wire)

    def times(self, channel: str) -> list[dict[str, Any]]:
        return [message for sent, message in self.wire.sent if sent == channel]

    def nonce(self) -> str:
        """The newest one told."""
        return str([message["nonce"] for sent, message in self.wire.sent if sent in ("hello", "heartbeat")][-1])

    async def hear(self, kind: str, nonce: str | None = None, currency: str = "INR") -> None:
        """An authentic command that is about no vend."""
        takes = currency if kind == "accept_money" else None
        await self._hear(Command(kind, None, None, None, None, nonce, None, takes, ""))

    async def say(self, kind: str, seq: int, nonce: str | None = None) -> dict[str, Any]:
        """The answer to an authentic command of a vend."""
        await self._hear(Command(kind, 1, seq, VEND, "A1" if nonce else None, nonce, None, None, ""))
        return self.wire.sent[-1][1]

    async def send(self, errand: Errand) -> None:
        """An authentic errand."""
        await self._hear(errand)

    async def _hear(self, command: Command | Errand) -> None:
        mac = messages.mac_of(bytes.fromhex(self.credentials.command_key), DEVICE, DEVICE, command)
        given = {"type": command.type, **command.fields} if isinstance(command, Errand) else command._asdict()
        fields = {name: value for name, value in given.items() if value is not None}
        payload = json.dumps({"v": 1, **fields, "mac": mac}).encode()
        self.wire.heard.append((f"larder/v1/{DEVICE}/{DEVICE}/cmd", payload))
        await self.session.tend(self.wire)


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    await desk.open()
    return desk


async def test_each_heartbeat_brings_a_fresh_nonce(desk: Desk) -> None:
    await desk.tend_until(30_500)
    nonces = [message["nonce"] for message in desk.times("hello") + desk.times("heartbeat")]
    assert len(nonces) == len(set(nonces)) == 4
    assert [message["uptime_s"] for message in desk.times("heartbeat")] == [10, 20, 30]


async def test_money_is_not_taken_while_the_device_is_about_to_restart(desk: Desk) -> None:
    desk.errands.held = True
    await desk.hear("accept_money", desk.nonce())
    assert not desk.till.is_open()
    desk.errands.held = False
    await desk.hear("accept_money", desk.nonce())
    assert desk.till.is_open()


async def test_a_greeting_follows_each_hello(desk: Desk) -> None:
    await desk.open()
    assert [channel for channel, _ in desk.wire.sent] == ["hello", "settings", "ota", "sensor"] * 2


async def test_lines_of_the_log_are_told_once_also_those_from_before_the_connection(tmp_path: Path) -> None:
    log.warn("journal_tail_dropped", generation=1)
    desk = Desk(tmp_path)
    await desk.open()
    await desk.session.tend(desk.wire)
    log.alarm("journal_failed", kind="A")
    for _ in range(3):
        await desk.session.tend(desk.wire)
    told = [LogLines.model_validate_json(json.dumps(message)).lines for message in desk.times("log")]
    assert [[line.event for line in lines] for lines in told] == [["journal_tail_dropped"], ["journal_failed"]]
    assert told[1][0].number == told[0][0].number + 1


async def test_an_errand_is_run_if_it_quotes_a_fresh_nonce(desk: Desk) -> None:
    await desk.send(Errand("set_time", {"now": 5, "nonce": "0" * 16}, ""))
    assert desk.done == []
    await desk.send(Errand("set_time", {"now": 5, "nonce": desk.nonce()}, ""))
    assert [fields["now"] for fields in desk.done] == [5]


async def test_a_dispense_may_quote_this_nonce_or_the_one_before(desk: Desk) -> None:
    await desk.tend_until(20_500)
    hello, first, second = [message["nonce"] for message in desk.times("hello") + desk.times("heartbeat")]
    assert (await desk.say("dispense", 1, hello))["reason"] == "stale_nonce"
    assert (await desk.say("dispense", 1, first))["state"] == "accepted"
    assert (await desk.say("dispense", 2, second))["reason"] == "busy"


async def test_no_vend_begins_while_a_person_has_the_motors_in_hand(desk: Desk) -> None:
    desk.errands.held = True
    assert (await desk.say("dispense", 1, desk.nonce()))["reason"] == "busy"
    assert desk.journal.state.vends == ()
    desk.errands.held = False
    assert (await desk.say("dispense", 1, desk.nonce()))["state"] == "accepted"
    desk.errands.held = True
    assert (await desk.say("dispense", 1, desk.nonce()))["state"] == "accepted", "this vend is known"


async def test_a_new_connection_makes_all_older_nonces_stale(desk: Desk) -> None:
    old = desk.times("hello")[0]["nonce"]
    desk.session.close()
    await desk.open()
    assert (await desk.say("dispense", 1, old))["reason"] == "stale_nonce"
    assert (await desk.say("dispense", 1, desk.times("hello")[1]["nonce"]))["state"] == "accepted"


async def test_an_outcome_is_repeated_ever_more_slowly_and_at_once_on_a_new_connection(desk: Desk) -> None:
    desk.journal.append(("X", 1, 1, VEND, "cancelled"))
    desk.clock.time_ms = 0
    seen = []
    for second in range(1, 130):
        before = len(desk.times("outcome"))
        await desk.tend_until(second * 1000)
        seen += [second - 1] * (len(desk.times("outcome")) - before)
    assert seen == [0, 2, 6, 14, 30, 60, 90, 120]
    desk.session.close()
    await desk.open()
    await desk.session.tend(desk.wire)
    assert len(desk.times("outcome")) == 9
    await desk.say("acknowledge", 1)
    await desk.tend_until(desk.clock.time_ms + 40_000)
    assert len(desk.times("outcome")) == 9


async def test_coins_wait_on_the_board_while_too_many_credits_are_unacknowledged(desk: Desk) -> None:
    await desk.hear("accept_money", desk.nonce())
    sensing = asyncio.create_task(desk.sensors.run())
    try:
        await until(lambda: desk.board.accepts_money)
        for _ in range(MAX_CREDITS):
            desk.board.insert_coin(100)
            await until(lambda: desk.board.coins == [])
        await until(lambda: not desk.board.accepts_money)
        desk.board.coins = [100]  # it was in the acceptor already
        await asyncio.sleep(0.2)
        assert len(desk.journal.state.credits) == MAX_CREDITS
        assert desk.board.coins == [100]
        desk.board.coins.append(500)
        for credit_id, _ in desk.journal.state.credits[:2]:
            desk.journal.note(("KC", credit_id))
        await until(lambda: desk.board.coins == [])
        assert [amount for _, amount in desk.journal.state.credits[-2:]] == [100, 500], "each by itself"
    finally:
        sensing.cancel()


async def test_every_slot_is_told_however_many_there_are_and_a_vend_need_not_wait(tmp_path: Path) -> None:
    slots = {f"{row}{place}": SLOT._replace(empty=HOME) for row in "ABCDEF" for place in range(1, 11)}
    desk = Desk(tmp_path, SETTINGS._replace(slots=slots))
    vend = Vend(1, 1, VEND, "A1", "started", None, None)
    sensing = asyncio.create_task(desk.sensors.run())
    try:
        for connects in (1, 2):
            await desk.open()
            await asyncio.sleep(0.1)
            desk.reports.tell_started(vend)
            desk.reports.tell_drop(vend)
            for _ in range(20):
                await asyncio.sleep(0.05)
                await desk.session.tend(desk.wire)
            assert sorted(told["slot"] for told in desk.times("stock")) == sorted([*slots] * connects)
            assert len(desk.times("state")) == len(desk.times("drop")) == connects
            desk.session.close()
    finally:
        sensing.cancel()


async def test_money_is_taken_while_the_gateway_allows_it(desk: Desk) -> None:
    assert not desk.till.is_open()
    await desk.hear("accept_money", "f" * 16)
    assert not desk.till.is_open(), "the nonce is not one of this device's"
    await desk.hear("accept_money", desk.nonce())
    assert desk.till.is_open()
    await desk.hear("refuse_money")
    assert not desk.till.is_open()


async def test_money_that_the_gateway_would_not_count_is_not_taken(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    await desk.hear("accept_money", desk.nonce())
    for _ in range(2):
        await desk.hear("accept_money", desk.nonce(), currency="EUR")
        assert not desk.till.is_open()
    assert capsys.readouterr().out.count("currency_differs") == 1
    await desk.hear("accept_money", desk.nonce())
    assert desk.till.is_open()


async def test_permission_to_take_money_runs_out_and_is_renewed(desk: Desk) -> None:
    await desk.hear("accept_money", desk.nonce())
    await desk.tend_until(LEASE_MS)
    assert desk.till.is_open()
    await desk.hear("accept_money", desk.nonce())
    await desk.tend_until(LEASE_MS + 1_000)
    assert desk.till.is_open()
    await desk.tend_until(2 * LEASE_MS + 1_000)
    assert not desk.till.is_open()


async def test_no_money_is_taken_once_the_link_is_gone(desk: Desk) -> None:
    await desk.hear("accept_money", desk.nonce())
    desk.session.close()
    assert not desk.till.is_open()


async def test_no_money_is_taken_that_cannot_be_journalled(desk: Desk) -> None:
    await desk.hear("accept_money", desk.nonce())
    for number in range(MAX_CREDITS):
        assert desk.till.is_open()
        desk.journal.note(("C", f"{number:08x}-0000-7000-8000-000000000001", 100))
    assert not desk.till.is_open()
    desk.journal.note(("KC", f"{0:08x}-0000-7000-8000-000000000001"))
    assert desk.till.is_open()
    desk.journal.failed = True
    assert not desk.till.is_open()


async def test_no_money_is_taken_while_nothing_can_be_sold(tmp_path: Path) -> None:
    """The gateway allows it until it has heard of the lock, and longer for an order that waits for its money."""
    desk = Desk(tmp_path, SETTINGS._replace(slots={"A1": SLOT, "A2": SLOT}))
    await desk.open()
    locked: set[str] = set()
    parts = (desk.board, desk.journal, desk.slots, desk.reports, desk.till, desk.vigil)
    sensing = asyncio.create_task(Sensors(*parts, locked.__contains__).run())
    await desk.hear("accept_money", desk.nonce())
    await until(lambda: desk.board.accepts_money)
    locked.add("A1")
    await asyncio.sleep(4 * LOOK_S)
    assert desk.board.accepts_money, "A2 is sold still"
    locked.add("A2")
    await until(lambda: not desk.board.accepts_money)
    sensing.cancel()


async def test_the_vigil_hears_the_sensors_as_long_as_they_run(desk: Desk) -> None:
    desk.clock.time_ms = LIMITS_MS[SENSORS] + 1
    assert SENSORS in desk.vigil.silent()
    sensing = asyncio.create_task(desk.sensors.run())
    await until(lambda: SENSORS not in desk.vigil.silent())
    sensing.cancel()
