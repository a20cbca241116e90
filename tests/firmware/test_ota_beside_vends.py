"""Releases and the rest of the device: what they wait for, what proves them, and where none can be taken."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from firmware.vending import VERSION, ota, probation, recovery, rules, slots
from firmware.vending.clock import Clock
from firmware.vending.flash import Flash
from firmware.vending.journal import Journal
from firmware.vending.ota import LEAVE_ASK_MS, LEAVE_MS, Taking, Unanswered
from tests.fakes.memory_flash import MemoryFlash
from tests.fakes.set_clock import SetClock
from tests.fakes.until import until

DIGEST = "ab" * 32
VEND = "01890000-0000-7000-8000-000000000001"


class Restarted(Exception):
    """The board boots again."""


class HurryingClock(SetClock):
    """The seconds for which a restart waits pass in no time."""

    def __init__(self, step_ms: int = 500) -> None:
        super().__init__()
        self._step_ms = step_ms

    def ms(self) -> int:
        self.time_ms += self._step_ms
        return self.time_ms


class Worn(MemoryFlash):
    """It has room, and yet may take nothing (`full`), or read back something else (`forgets`)."""

    free = 10**6
    forgets = False

    def read(self, name: str) -> bytes:
        return super().read(name)[: -1 if self.forgets else None]

    def free_bytes(self) -> int:
        return self.free


class Device:
    """The parts that an errand is given, as far as a release asks for them."""

    def __init__(self, folder: Path) -> None:
        self.told: list[str] = []
        self.others = False
        self.held = 0
        self.residents: dict[str, Any] = {}
        self.connects = 0
        self.connected_ms = 0
        self.leave: str | None = DIGEST
        """For which release the gateway gives leave to boot."""
        self.vigilant: list[str] = []
        self.state = "online"
        self.journal_flash = Worn()
        self.journal = Journal(self.journal_flash)
        self.clock: SetClock = SetClock()
        self.root = f"{folder}/"
        self.parts: Any = SimpleNamespace(
            settings=SimpleNamespace(board=SimpleNamespace(coin=None, note=None)),
            till=SimpleNamespace(refuse=lambda: None),
            flash=Flash(str(folder)),
            clock=self.clock,
            journal=self.journal,
            reports=self,
            errands=self,
            board=self,
            dispenser=self,
            boot_id="boot",
        )

    def tell(self, channel: str, payload: bytes) -> None:
        self.told.append(channel)
        if json.loads(payload)["ready"] and self.leave is not None:
            self.residents["leave"]({"digest": self.leave})

    def others_wait(self) -> bool:
        return self.others

    def silent(self) -> list[str]:
        return self.vigilant

    async def rest(self) -> None:
        """No motor turns."""

    def restart(self) -> None:
        assert self.held, "no vend begins before"
        raise Restarted

    @property
    def marker(self) -> dict[str, Any]:
        found = slots.read(self.root)
        assert found is not None
        return dict(found)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    (tmp_path / "b/vending").mkdir(parents=True)
    slots.write(slots.changed(slots.FIRST, trial="b", tries=1, state="trial", offered=DIGEST), f"{tmp_path}/")
    device = Device(tmp_path)
    device.clock.time_ms = probation.LIVED_MS
    return device


async def proves(device: Device) -> bool:
    """Whether it does so at once."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await probation.prove(device.parts, device, device)
            return True
    return False


@pytest.mark.criterion("8.5")
async def test_a_program_that_lives_is_kept(device: Device) -> None:
    assert await proves(device)
    kept = device.marker
    assert (kept["valid"], kept["trial"], kept["tries"], kept["state"]) == ("b", None, 0, "valid")
    assert kept["floor"] == VERSION == slots.proven("b", device.root)
    assert device.told == ["ota"]


@pytest.mark.criterion("8.5")
@pytest.mark.parametrize(
    "lacks", ["time", "link", "journal", "room for a vend", "motor that rests", "part", "a link that lasts"]
)
async def test_a_program_that_does_not_live_proves_nothing(device: Device, lacks: str) -> None:
    if lacks == "time":
        device.clock.time_ms = probation.LIVED_MS - 1
    elif lacks == "link":
        device.state = "connecting"
    elif lacks == "journal":
        device.journal.failed = True
    elif lacks == "room for a vend":
        device.journal_flash.free = 18_000
    elif lacks == "motor that rests":
        device.journal.append(("A", 1, 1, VEND, "A1"))
    elif lacks == "a link that lasts":
        device.connected_ms = device.clock.time_ms - probation.STEADY_MS + 1
    else:
        device.vigilant = ["sensors"]
    assert not await proves(device)
    assert device.marker["trial"] == "b"


@pytest.mark.criterion("8.5")
@pytest.mark.parametrize("fault", ["takes nothing", "reads back something else"])
async def test_a_program_under_which_the_journal_cannot_be_written_anew_proves_nothing(
    device: Device, fault: str
) -> None:
    """All looks well: until the test nobody has written."""
    device.journal.append(("C", VEND, 500))
    flash, known = device.journal_flash, device.journal.state
    flash.full, flash.forgets = fault == "takes nothing", fault != "takes nothing"
    assert not await proves(device)
    assert device.journal.failed, "nothing is sold from now on"
    assert device.marker["trial"] == "b"
    flash.full = flash.forgets = False
    assert Journal(flash).state == known


@pytest.mark.criterion("8.5")
async def test_the_test_of_the_journal_changes_nothing_that_it_knows(device: Device) -> None:
    device.journal.append(("C", VEND, 500))
    before = device.journal.state
    writes = len(device.journal_flash.writes)
    assert await proves(device)
    assert len(device.journal_flash.writes) > writes
    again = Journal(device.journal_flash)
    assert (again.state, again.id) == (before, device.journal.id) == (device.journal.state, again.id)


@pytest.mark.criterion("8.5")
async def test_a_program_that_never_proves_itself_boots_again(device: Device) -> None:
    device.state = "connecting"
    device.parts.clock = HurryingClock()
    device.parts.clock.time_ms = probation.GIVEN_MS + 1
    with pytest.raises(Restarted):
        await probation.prove(device.parts, device, device)


@pytest.mark.criterion("8.5")
async def test_not_even_a_program_that_failed_takes_a_vend_or_money_with_it(device: Device) -> None:
    device.parts.clock = HurryingClock()
    device.parts.clock.time_ms = probation.GIVEN_MS + 1
    device.journal.failed = True
    device.journal.state = rules.apply(rules.EMPTY, ("C", VEND, 1000))
    with suppress(TimeoutError):
        async with asyncio.timeout(1.5):
            await probation.prove(device.parts, device, device)
    assert not device.held, "vends go on meanwhile"


@pytest.mark.criterion("8.5")
async def test_a_vend_comes_before_a_release(device: Device) -> None:
    taking = Taking(device.parts, device.root, "a", DIGEST, 1)
    device.journal.state = rules.apply(rules.EMPTY, ("A", 1, 1, VEND, "A1"))
    resting = asyncio.create_task(taking.rest())
    await asyncio.sleep(0.05)
    assert not resting.done()
    device.journal.state = rules.EMPTY
    async with asyncio.timeout(1):
        await resting


async def test_whoever_asks_for_something_else_comes_before_a_release(device: Device) -> None:
    device.others = True
    with pytest.raises(Unanswered):
        await Taking(device.parts, device.root, "a", DIGEST, 1).rest()


@pytest.mark.criterion("8.5")
@pytest.mark.parametrize("lies", ["a credit", "an outcome"])
async def test_a_board_does_not_restart_for_a_release_with_something_to_tell(device: Device, lies: str) -> None:
    wired = SimpleNamespace(coin=None, note=None)
    device.parts.settings = SimpleNamespace(board=wired)
    device.parts.till = SimpleNamespace(refuse=lambda: setattr(device.clock, "time_ms", device.clock.time_ms + 1000))
    state = rules.apply(rules.EMPTY, ("C", VEND, 500))
    if lies == "an outcome":
        accepted = rules.apply(rules.EMPTY, ("A", 1, 1, VEND, "A1"))
        (ended,) = recovery.recover(accepted, {"A1": True})
        state = rules.apply(accepted, ended)
        assert rules.running(state) is None
    device.journal.state = state
    before = device.marker
    device.held = 1
    with pytest.raises(Unanswered):
        await Taking(device.parts, device.root, "a", DIGEST, 1).boot(before)
    assert device.marker == before
    assert device.held == 1, "somebody else still needs that no vend begins"
    device.journal.state = rules.EMPTY
    with pytest.raises(Restarted):
        await Taking(device.parts, device.root, "a", DIGEST, 1).boot(slots.changed(before, trial="b"))
    assert (device.marker["trial"], device.marker["tries"], device.marker["state"]) == ("b", 0, "trial")


@pytest.mark.criterion("8.5")
@pytest.mark.parametrize("lacks", ["leave", "leave for this release", "time", "the connection that brought it"])
async def test_a_board_boots_by_a_release_only_with_its_gateways_leave(device: Device, lacks: str) -> None:
    """The gateway may have an order that has yet to come to the device."""
    device.parts.clock = HurryingClock(LEAVE_ASK_MS if lacks.startswith("leave") else 500)
    taking = Taking(device.parts, device.root, "a", DIGEST, 1)
    before = device.marker
    if lacks.startswith("leave"):
        device.leave = None if lacks == "leave" else "cd" * 32
    elif lacks == "time":
        device.parts.till.refuse = lambda: setattr(device.parts.clock, "time_ms", device.parts.clock.time_ms + LEAVE_MS)
    else:
        device.parts.till.refuse = lambda: setattr(device, "connects", 1)
    with pytest.raises(Unanswered):
        await taking.boot(slots.changed(before, trial="a"))
    assert (device.marker, device.held, device.residents) == (before, 0, {})
    assert set(device.told) == {"ota"}


@pytest.mark.criterion("8.5")
async def test_vends_go_on_until_the_gateway_gives_leave(device: Device) -> None:
    device.leave = None
    booting = asyncio.create_task(Taking(device.parts, device.root, "a", DIGEST, 1).boot({}))
    await until(lambda: bool(device.told))
    assert not device.held
    device.parts.clock = HurryingClock()
    booting.cancel()
    with suppress(asyncio.CancelledError):
        await booting
    assert device.residents == {}


@pytest.mark.criterion("8.5")
async def test_nothing_is_taken_before_anybody_has_told_the_time(device: Device) -> None:
    slots.write(slots.FIRST, device.root)
    with pytest.raises(Unanswered, match="time"):
        await Taking(device.parts, device.root, "a", DIGEST, 1).run(slots.FIRST)
    assert (device.marker, device.told) == (slots.FIRST, [])


async def test_the_time_that_the_gateway_tells_never_goes_back(device: Device) -> None:
    clock = Clock()
    assert clock.now() is None
    clock.set({"now": 2_000})
    assert clock.now() == 2_000
    clock.set({"now": 1_000})
    assert clock.now() == 2_000
    clock.set({"now": 3_000})
    assert clock.now() == 3_000


async def test_while_something_is_on_trial_nothing_else_is_taken(device: Device) -> None:
    before = device.marker
    await ota.perform(device.parts, {"digest": "cd" * 32, "size": 10})
    assert device.marker == before
    assert device.told == ["ota"]


async def test_a_program_that_lies_in_no_folder_takes_no_release(tmp_path: Path) -> None:
    """On a PC, and so in the simulator."""
    device = Device(tmp_path)
    device.clock.set({"now": 1})
    await ota.perform(device.parts, {"digest": DIGEST, "size": 10})
    assert (device.marker["state"], device.marker["offered"]) == ("failed", DIGEST)
    assert device.marker["reason"] == "runs from no folder of its own"
