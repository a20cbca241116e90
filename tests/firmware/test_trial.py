"""New settings are kept once the link stands on them; whatever happens before, the device goes back to the old ones."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from firmware.vending import trial
from shared.upkeep import SettingsReport, SettingsState
from tests.fakes.memory_flash import MemoryFlash
from tests.fakes.settings_key import OperatorKey

KEY = OperatorKey()
OLD, NEW = KEY.sign({"currency": "INR"}), KEY.sign({"currency": "EUR"})
BOOT = "01890000-0000-7000-8000-000000000001"


def report(flash: MemoryFlash) -> SettingsReport:
    return SettingsReport.model_validate_json(trial.report(flash, BOOT))


def flash_on_trial() -> MemoryFlash:
    flash = MemoryFlash({"settings.json": OLD})
    trial.begin(flash, NEW)
    return flash


def boots_on_trial(flash: MemoryFlash) -> int:
    """How many boots in a row run on the new settings without ever proving them; then it is the old ones' turn."""
    count = 0
    while (data := trial.choose(flash)) is not None:
        assert data == NEW
        count += 1
        assert count < 10
    assert flash.files["settings.json"] == OLD
    return count


def test_without_a_trial_a_boot_runs_on_its_settings() -> None:
    flash = MemoryFlash({"settings.json": OLD})
    assert trial.choose(flash) is None
    told = report(flash)
    assert (told.state, told.digest, told.offered) == (SettingsState.KEPT, trial.digest_of(OLD), None)
    assert flash.writes == []


def test_unsigned_settings_have_no_digest_to_tell() -> None:
    word = "signature"
    unsigned = json.dumps({"wifi": {"ssid": word, "password": word}}).encode()
    assert report(MemoryFlash({"settings.json": unsigned})).digest is None


def test_a_trial_has_two_boots_at_most_and_then_the_old_settings_stay() -> None:
    flash = flash_on_trial()
    assert boots_on_trial(flash) == 2
    assert trial.choose(flash) is None
    told = report(flash)
    assert (told.state, told.digest, told.offered) == (
        SettingsState.REVERTED,
        trial.digest_of(OLD),
        trial.digest_of(NEW),
    )
    assert told.reason == "not proven in 2 boots"
    assert "settings.next" not in flash.files


def test_on_trial_it_says_so() -> None:
    flash = flash_on_trial()
    trial.choose(flash)
    told = report(flash)
    assert (told.state, told.digest) == (SettingsState.TRIAL, trial.digest_of(NEW))


def test_settings_that_are_kept_take_the_place_of_the_old_ones() -> None:
    flash = flash_on_trial()
    trial.choose(flash)
    trial.keep(flash)
    assert flash.files["settings.json"] == NEW
    assert trial.choose(flash) is None
    assert (report(flash).state, report(flash).digest) == (SettingsState.KEPT, trial.digest_of(NEW))


def test_settings_that_a_hand_puts_there_end_the_trial() -> None:
    flash = flash_on_trial()
    flash.files["settings.json"] = by_hand = KEY.sign({"currency": "USD"})
    assert trial.choose(flash) is None
    assert report(flash).digest == trial.digest_of(by_hand)
    assert report(flash).state is SettingsState.KEPT


def test_refused_settings_are_told_of_with_the_reason() -> None:
    flash = MemoryFlash({"settings.json": OLD})
    trial.refuse(flash, trial.digest_of(NEW), "slots.A1.home: " + 100 * "x")
    assert trial.choose(flash) is None
    told = report(flash)
    assert (told.state, told.offered) == (SettingsState.REFUSED, trial.digest_of(NEW))
    assert str(told.reason).startswith("slots.A1.home: xxx")


def test_each_try_of_the_same_settings_is_counted_until_others_come() -> None:
    flash = MemoryFlash({"settings.json": OLD})
    for tries in (1, 2, 3):
        trial.begin(flash, NEW)
        trial.choose(flash)
        assert report(flash).tries == tries
        trial.revert(flash, "the link did not come up in 2 minutes")
        assert (report(flash).state, report(flash).tries) == (SettingsState.REVERTED, tries)
    trial.refuse(flash, trial.digest_of(NEW), "too large for this device")
    assert report(flash).tries == 4
    unwritten = SettingsReport.model_validate_json(trial.unwritten(flash, BOOT, trial.digest_of(NEW)))
    assert (unwritten.state, unwritten.tries) == (SettingsState.REFUSED, 5)
    trial.refuse(flash, trial.digest_of(OLD), "slots is missing")
    assert report(flash).tries == 1


def test_a_full_flash_costs_the_trial_and_not_the_settings() -> None:
    flash = flash_on_trial()
    flash.full = True
    assert trial.choose(flash) is None


def cuts(flash: MemoryFlash) -> Iterator[MemoryFlash]:
    """The flash as each cut in what was written so far leaves it, and as it is in the end."""
    for write in flash.writes:
        for files in write.cuts():
            yield MemoryFlash(files)
    yield MemoryFlash(flash.files)


def test_a_cut_at_any_byte_of_the_beginning_leaves_the_old_settings_or_a_trial() -> None:
    flash = flash_on_trial()
    seen = {boots_on_trial(cut) for cut in cuts(flash)}
    assert seen == {0, 2}


@pytest.mark.parametrize("boots", [1, 2])
def test_a_cut_at_any_byte_while_it_boots_leaves_one_more_boot_on_trial_at_most(boots: int) -> None:
    flash = flash_on_trial()
    for _ in range(boots - 1):
        trial.choose(flash)
    flash.writes.clear()
    trial.choose(flash)
    seen = {boots_on_trial(cut) for cut in cuts(flash)}
    assert seen == {3 - boots, 2 - boots}


def test_a_cut_at_any_byte_of_the_end_leaves_the_old_settings_or_the_new_ones() -> None:
    flash = flash_on_trial()
    trial.choose(flash)
    flash.writes.clear()
    trial.keep(flash)
    seen = set()
    for cut in cuts(flash):
        data = trial.choose(cut) or cut.files["settings.json"]
        assert data == NEW, "the link has stood on them"
        seen.add(report(cut).state)
    assert seen == {SettingsState.TRIAL, SettingsState.KEPT}


def test_a_cut_at_any_byte_of_the_way_back_leads_back() -> None:
    flash = flash_on_trial()
    trial.choose(flash)
    flash.writes.clear()
    trial.revert(flash, "the link did not come up in 2 minutes")
    assert {boots_on_trial(cut) for cut in cuts(flash)} == {0, 1}


class Bench:
    """What `prove` needs of a device; half a minute passes between two looks at its clock."""

    def __init__(self) -> None:
        self.flash = flash_on_trial()
        trial.choose(self.flash)
        self.told: list[dict[str, Any]] = []
        self.restarts = 0
        self.rested = False
        self.link = SimpleNamespace(state="offline")
        self.time_ms = 0
        self.parts: Any = SimpleNamespace(
            flash=self.flash,
            boot_id=BOOT,
            clock=self,
            errands=SimpleNamespace(held=0),
            dispenser=self,
            board=self,
            reports=self,
        )

    def ms(self) -> int:
        self.time_ms += 30_000
        return self.time_ms

    async def rest(self) -> None:
        self.rested = True

    def restart(self) -> None:
        assert self.rested, "a motor may turn"
        self.restarts += 1

    def tell(self, channel: str, payload: bytes) -> None:
        assert channel == "settings"
        self.told.append(json.loads(payload))


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_link_that_does_not_come_up_in_time_brings_the_old_settings_back(bench: Bench) -> None:
    await trial.prove(bench.parts, bench.link)
    assert bench.restarts == 1
    assert bench.time_ms > trial.LINK_MS
    assert bench.parts.errands.held, "no vend begins before the restart"
    assert trial.choose(bench.flash) is None
    assert report(bench.flash).state is SettingsState.REVERTED


async def test_a_link_that_comes_up_keeps_the_new_settings_and_tells(bench: Bench) -> None:
    bench.link.state = "online"
    await trial.prove(bench.parts, bench.link)
    assert bench.restarts == 0
    assert [told["state"] for told in bench.told] == ["kept"]
    assert bench.flash.files["settings.json"] == NEW


async def test_a_flash_that_fails_at_the_end_does_not_stop_the_device(bench: Bench) -> None:
    bench.link.state = "online"
    bench.flash.full = True
    await trial.prove(bench.parts, bench.link)
    bench.flash.full = False
    assert (trial.choose(bench.flash) or bench.flash.files["settings.json"]) == NEW
