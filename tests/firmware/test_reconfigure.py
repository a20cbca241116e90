"""Settings that the gateway offers: fetched piece by piece, checked as a boot would, and laid beside the old ones."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from edge.site_ca import SiteCa
from firmware.vending import reconfigure, trial
from firmware.vending.clock import Clock
from firmware.vending.journal import Journal
from firmware.vending.till import Till
from firmware.vending.wiring import NO_PARTS
from shared.upkeep import SettingsReport, SettingsState
from tests.fakes.memory_flash import MemoryFlash
from tests.fakes.settings_key import OperatorKey

KEY, STRANGER = OperatorKey(), OperatorKey()
MACHINE, DEVICE = "01890000-0000-7000-8000-000000000001", "01890000-0000-7000-8000-000000000002"
NO_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"
OTHER = "01890000-0000-7000-8000-000000000003"


class HurryingClock(Clock):
    def ms(self) -> int:
        return 60 * super().ms()


class Bench:
    """A device on signed settings, and the file that its gateway has for it; it loses each piece once if `is_lossy`."""

    def __init__(self, ca_pem: str) -> None:
        self.values: dict[str, Any] = {
            "machine_id": MACHINE,
            "device_id": DEVICE,
            "currency": "INR",
            "ca_pem": ca_pem,
            "slots": {"A1": {"motor": {"kind": "dc", "output": 25}}},
        }
        self.old = KEY.sign(self.values)
        self.flash = MemoryFlash({"settings.json": self.old, "trust.json": KEY.trust})
        self.offered = b""
        self.is_lossy = False
        self.asked: list[int] = []
        self.told: list[SettingsReport] = []
        self.restarts = 0
        self.held = 0
        clock = HurryingClock()
        self.journal = Journal(self.flash)
        self.parts: Any = SimpleNamespace(
            settings=SimpleNamespace(machine_id=MACHINE, device_id=DEVICE, board=NO_PARTS),
            board=self,
            flash=self.flash,
            clock=clock,
            journal=self.journal,
            dispenser=self,
            reports=self,
            boot_id=OTHER,
            errands=self,
            till=Till(clock, self.journal, "INR"),
        )

    async def fetch(self, parts: Any, digest: str, offset: int, size: int) -> bytes | None:
        self.asked.append(offset)
        if self.is_lossy and self.asked.count(offset) == 1:
            return None
        return self.offered[offset : offset + size]

    async def rest(self) -> None:
        assert self.held

    def tell(self, channel: str, payload: bytes) -> None:
        assert channel == "settings"
        self.told.append(SettingsReport.model_validate_json(payload))

    def restart(self) -> None:
        self.restarts += 1

    async def offer(self, file: bytes, digest: str | None = None) -> None:
        self.offered = file
        fields = {"digest": digest or trial.digest_of(file), "size": len(file)}
        await reconfigure.perform(self.parts, fields)
        assert not self.held, "no vend could begin any more"

    def changed(self, **changed: Any) -> bytes:
        return KEY.sign(self.values | changed)


@pytest.fixture(scope="module")
def ca_pem(tmp_path_factory: pytest.TempPathFactory) -> str:
    return SiteCa.open(tmp_path_factory.mktemp("ca")).certificate_pem


@pytest.fixture
def bench(ca_pem: str) -> Bench:
    return Bench(ca_pem)


async def test_what_is_right_is_laid_beside_and_the_board_restarts(bench: Bench) -> None:
    file = bench.changed(gateway_host="shop")
    await bench.offer(file)
    assert bench.restarts == 1
    assert bench.asked == list(range(0, len(file), reconfigure.PIECE_BYTES))
    assert bench.flash.files["settings.json"] == bench.old
    assert trial.choose(bench.flash) == file


async def test_a_piece_that_is_lost_is_asked_for_again(bench: Bench) -> None:
    bench.is_lossy = True
    file = bench.changed(gateway_host="shop")
    await bench.offer(file)
    assert trial.choose(bench.flash) == file
    assert all(bench.asked.count(offset) == 2 for offset in bench.asked)


@pytest.mark.parametrize("served", [b"", b"short", b"x" * 5_000])
async def test_another_file_than_the_one_offered_is_no_settings(bench: Bench, served: bytes) -> None:
    await bench.offer(served, digest=trial.digest_of(bench.changed(gateway_host="shop")))
    assert (bench.restarts, bench.told) == (0, [])
    assert trial.choose(bench.flash) is None


async def test_what_it_runs_on_already_is_told_and_not_fetched(bench: Bench) -> None:
    await bench.offer(bench.old)
    assert bench.asked == []
    assert [(told.state, told.digest) for told in bench.told] == [(SettingsState.KEPT, trial.digest_of(bench.old))]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"machine_id": OTHER}, "machine_id and device_id must be this device's"),
        ({"device_id": OTHER}, "machine_id and device_id must be this device's"),
        ({"slots": {"A1": {"home": 7}}}, "slots.A1.home: pin 7 is wired to the flash"),
        (
            {"ca_pem": "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"},
            "ca_pem must be a PEM certificate",
        ),
        ({"colour": "red"}, "settings.json has an unknown setting: colour"),
    ],
)
async def test_what_it_would_not_run_on_is_refused_with_the_reason(
    bench: Bench, changed: dict[str, Any], reason: str
) -> None:
    await bench.offer(file := bench.changed(**changed))
    (told,) = bench.told
    assert (told.state, told.offered, told.reason) == (SettingsState.REFUSED, trial.digest_of(file), reason[:60])
    assert told.digest == trial.digest_of(bench.old)
    assert bench.restarts == 0
    assert trial.choose(bench.flash) is None


async def test_what_somebody_else_has_signed_or_nobody_is_refused(bench: Bench) -> None:
    for file in (STRANGER.sign(bench.values), json.dumps(bench.values | {"currency": "EUR"}).encode()):
        await bench.offer(file)
        assert bench.told[-1].state is SettingsState.REFUSED
    assert bench.restarts == 0


async def test_a_full_flash_costs_the_new_settings_and_no_sale(bench: Bench) -> None:
    for file in (bench.changed(gateway_host="shop"), bench.changed(colour="red")):
        bench.flash.full = True
        await bench.offer(file)
        told = bench.told[-1]
        assert (told.state, told.offered) == (SettingsState.REFUSED, trial.digest_of(file))
        assert told.reason == "the flash does not take them"
    assert bench.restarts == 0


async def test_it_waits_for_a_vend(bench: Bench) -> None:
    bench.journal.append(("A", 1, 1, OTHER, "A1"))
    await bench.offer(bench.changed(gateway_host="shop"))
    assert (bench.restarts, bench.told) == (0, [])
    assert not bench.held


async def test_it_frees_nobody_elses_motors(bench: Bench) -> None:
    bench.held = 1
    bench.offered = file = bench.changed(gateway_host="shop")
    bench.journal.append(("A", 1, 1, OTHER, "A1"))
    await reconfigure.perform(bench.parts, {"digest": trial.digest_of(file), "size": len(file)})
    assert bench.held == 1


async def test_while_others_are_on_trial_nothing_is_taken(bench: Bench) -> None:
    await bench.offer(first := bench.changed(gateway_host="shop"))
    trial.choose(bench.flash)
    bench.asked.clear()
    await bench.offer(bench.changed(gateway_host="store"))
    assert bench.asked == []
    assert [(told.state, told.digest) for told in bench.told] == [(SettingsState.TRIAL, trial.digest_of(first))]


async def test_a_power_cut_at_any_byte_of_it_leaves_the_old_settings_or_the_new_ones(bench: Bench) -> None:
    await bench.offer(file := bench.changed(gateway_host="shop"))
    seen = set()
    for write in bench.flash.writes:
        for files in write.cuts():
            flash = MemoryFlash(files)
            chosen = trial.choose(flash) if flash.has(trial.FILE) else None
            assert chosen in (None, file)
            assert flash.files["settings.json"] == bench.old
            seen.add(chosen)
    assert None in seen
    assert trial.choose(bench.flash) == file
