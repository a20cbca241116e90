"""Food safety on the device: what was too warm for too long is locked, whatever doors, sensors, power and flash do."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.vending import climate
from firmware.vending.climate import FILES, FIRST_LOOK_MS, SAVE_MS, Zone, step
from firmware.vending.journal import encode
from shared.climate import ZoneCondition, ZoneReport
from tests.fakes.cold_cabinet import BOOT, COLD, GRACE_S, HOT, LIMITS, REQUEST, SILENT, WARM_S, Cabinet


@pytest.fixture
def cabinet() -> Cabinet:
    cabinet = Cabinet()
    cabinet.live(1)
    return cabinet


@pytest.mark.criterion("8.6")
@pytest.mark.parametrize("felt", [HOT, SILENT])
def test_a_zone_that_is_warm_or_silent_for_too_long_is_locked_and_no_moment_sooner(
    cabinet: Cabinet, felt: int | None
) -> None:
    cabinet.celsius["top"] = felt
    cabinet.live(WARM_S - 1)
    assert not cabinet.is_locked
    cabinet.live(1)
    assert cabinet.is_locked
    cabinet.celsius["top"] = COLD
    cabinet.live(10_000, look_s=60)
    cabinet.boot()
    cabinet.live(1)
    assert cabinet.is_locked, "only a person releases it"


def test_a_cold_moment_begins_the_count_anew(cabinet: Cabinet) -> None:
    for _ in range(3):
        cabinet.celsius["top"] = HOT
        cabinet.live(WARM_S - 1)
        cabinet.celsius["top"] = COLD
        cabinet.live(1)
    assert not cabinet.is_locked


def test_an_open_door_excuses_for_its_grace_and_no_longer(cabinet: Cabinet) -> None:
    cabinet.is_open = True
    cabinet.celsius["top"] = HOT
    cabinet.live(GRACE_S + WARM_S - 5)
    assert not cabinet.is_locked
    cabinet.live(10)
    assert cabinet.is_locked


def test_no_door_opens_a_second_grace_before_the_zone_was_cold(cabinet: Cabinet) -> None:
    cabinet.celsius["top"] = HOT
    for _ in range(100):
        cabinet.is_open = not cabinet.is_open
        cabinet.live(30)
    assert cabinet.is_locked


def test_a_grace_stops_the_count_and_takes_nothing_back(cabinet: Cabinet) -> None:
    cabinet.celsius["top"] = HOT
    cabinet.live(WARM_S - 60)
    cabinet.is_open = True
    cabinet.live(GRACE_S)
    assert not cabinet.is_locked
    cabinet.live(61)
    assert cabinet.is_locked


def test_zones_are_judged_apart() -> None:
    cabinet = Cabinet("top", "bottom")
    cabinet.limits["bottom"] = LIMITS._replace(slots=("A2",))
    cabinet.live(1)
    cabinet.celsius["bottom"] = HOT
    cabinet.live(WARM_S + 1)
    assert cabinet.climate.refuses("A2")
    assert not cabinet.climate.refuses("A1")
    assert not cabinet.climate.is_locked()
    cabinet.celsius["top"] = HOT
    cabinet.live(WARM_S + 1)
    assert cabinet.climate.is_locked()


def test_a_reboot_takes_nothing_back(cabinet: Cabinet) -> None:
    cabinet.celsius["top"] = HOT
    lived = 0
    while not cabinet.is_locked:
        cabinet.live(7)
        lived += 7
        cabinet.boot()
    assert lived <= WARM_S


def test_a_sensor_may_be_silent_while_it_measures_for_the_first_time() -> None:
    cabinet = Cabinet()
    for _ in range(1000):
        cabinet.celsius["top"] = SILENT
        cabinet.live(2)
        cabinet.celsius["top"] = COLD
        cabinet.live(1)
        cabinet.boot()
    assert not cabinet.flash.writes, "booting wears nothing out"


def test_a_zone_that_swings_is_written_once_a_minute(cabinet: Cabinet) -> None:
    for _ in range(600):
        cabinet.celsius["top"] = HOT if cabinet.celsius["top"] == COLD else COLD
        cabinet.live(3)
    assert 20 <= len(cabinet.flash.writes) <= 1800 // 60 + 1
    assert len(cabinet.conditions()) <= 180 + 1


def test_a_zone_that_stays_warm_is_written_until_it_locks_and_not_after(cabinet: Cabinet) -> None:
    cabinet.celsius["top"] = HOT
    cabinet.live(WARM_S + 1)
    writes = len(cabinet.flash.writes)
    assert writes <= WARM_S // 60 + 1
    cabinet.live(3600, look_s=10)
    assert len(cabinet.flash.writes) == writes


@pytest.mark.criterion("8.6")
def test_a_release_is_done_once_a_request_and_outlives_a_reboot(cabinet: Cabinet) -> None:
    cabinet.celsius["top"] = HOT
    cabinet.live(WARM_S)
    assert cabinet.release()["state"] == "done"
    cabinet.live(1)
    assert not cabinet.is_locked
    assert cabinet.conditions()[-2:] == [("top", "locked"), ("top", "warm")]
    cabinet.boot()
    cabinet.live(WARM_S - 100)
    assert not cabinet.is_locked
    cabinet.live(101)
    assert cabinet.is_locked, "it is still warm"
    cabinet.boot()
    assert cabinet.release()["state"] == "done", "the same request, answered again"
    assert cabinet.is_locked
    assert cabinet.release(request_id=BOOT)["state"] == "done"
    assert not cabinet.is_locked


def test_what_an_earlier_program_saved_is_understood() -> None:
    cabinet = Cabinet()
    cabinet.flash.files = {FILES[1]: encode((1, {"top": [True, 0, REQUEST]}))}
    cabinet.boot()
    assert cabinet.is_locked
    assert cabinet.released() is None
    assert cabinet.release()["state"] == "done", "answered again"
    assert cabinet.is_locked


def test_the_answer_to_a_release_comes_before_the_word_on_the_zone(cabinet: Cabinet) -> None:
    cabinet.celsius["top"] = HOT
    cabinet.live(WARM_S)
    cabinet.release()
    assert [channel for channel, _ in cabinet.told.sent][-2:] == ["answer", "sensor"]


def test_what_cannot_be_released_is_refused_with_its_reason(cabinet: Cabinet) -> None:
    cabinet.celsius["top"] = HOT
    cabinet.live(WARM_S)
    cabinet.flash.full = True
    assert (cabinet.release()["state"], cabinet.release()["reason"]) == ("refused", "flash_failed")
    assert cabinet.is_locked
    assert cabinet.release("cellar")["reason"] == "unknown_zone"
    cabinet.flash.full = False
    assert cabinet.release()["state"] == "done"


def test_a_flash_that_fails_is_tried_again(cabinet: Cabinet) -> None:
    cabinet.celsius["top"] = HOT
    cabinet.flash.full = True
    cabinet.live(WARM_S + 1)
    assert cabinet.is_locked
    cabinet.flash.full = False
    cabinet.live(SAVE_MS // 1000)
    cabinet.boot()
    assert cabinet.is_locked


def test_what_cannot_be_told_is_told_later(cabinet: Cabinet) -> None:
    cabinet.told.sent.clear()
    cabinet.told.is_connected = False
    cabinet.celsius["top"] = HOT
    cabinet.live(WARM_S)
    cabinet.told.is_connected = True
    assert [json.loads(payload)["condition"] for _, payload in cabinet.climate.greet()] == ["locked"]
    cabinet.live(5)
    assert not cabinet.told.sent, "the greeting has told it"


def test_a_cut_at_every_byte_of_every_write_unlocks_nothing_and_locks_nothing_cold() -> None:
    cabinet = Cabinet()
    cabinet.celsius["top"] = HOT
    cabinet.live(WARM_S + 1)
    cabinet.release()
    cabinet.live(WARM_S + 1)
    was_locked = False
    for write in cabinet.flash.writes:
        before = Cabinet()
        before.flash.files = dict(write.files)
        before.boot()
        for files in write.cuts():
            after = Cabinet()
            after.flash.files = dict(files)
            after.boot()
            assert after.is_locked == before.is_locked
        was_locked = was_locked or before.is_locked
    assert was_locked


@pytest.mark.parametrize("damaged", [FILES, FILES[:1], FILES[1:]])
def test_what_cannot_be_read_any_more_is_locked(damaged: tuple[str, ...]) -> None:
    cabinet = Cabinet("top", "bottom")
    cabinet.live(1)
    cabinet.celsius["top"] = HOT
    cabinet.live(130)
    for name in FILES:
        if name in damaged:
            cabinet.flash.files[name] = b"deadbeef" + cabinet.flash.files[name][8:]
    cabinet.boot()
    assert cabinet.is_locked == (damaged == FILES)


def test_a_cut_first_write_locks_nothing_and_a_damaged_one_locks() -> None:
    cabinet = Cabinet()
    others: tuple[object, ...] = ({"top": [True]}, {"top": 5}, [], None)
    foreign = [encode((1, zones)) for zones in others]
    for data, is_locked in ((b"", False), (b"12345678 [1, {", False), *((data, True) for data in foreign)):
        cabinet.flash.files = {FILES[1]: data}
        cabinet.boot()
        assert cabinet.is_locked == is_locked


moments = st.lists(
    st.tuples(
        st.integers(1, 400),
        st.sampled_from([COLD, COLD, HOT, HOT, HOT, SILENT]),
        st.booleans(),
        st.sampled_from(["", "", "", "", "reboot", "cut", "release", "by hand"]),
    ),
    min_size=1,
    max_size=80,
)
CUT_S = FIRST_LOOK_MS // 1000 + 1
TOLERANCE_S = SAVE_MS // 1000 + FIRST_LOOK_MS // 1000 + 2


class Onlooker:
    """Counts what a person with a thermometer and a watch would: warm seconds since the zone was last cold."""

    def __init__(self) -> None:
        self.owed_s = self.warm_s = self.grace_s = 0
        """Without those of a grace; all of them; what is left of the grace."""
        self.rested, self.was_open, self.saw_a_lock = True, False, False
        self.allowed_s = TOLERANCE_S

    def see_second(self, is_warm: bool, is_open: bool, is_locked: bool) -> None:
        if is_open and not self.was_open and (self.rested or not is_warm):
            self.grace_s, self.rested = GRACE_S, False
        self.was_open = is_open
        self.owed_s = self.owed_s + (self.grace_s <= 0) if is_warm else 0
        self.warm_s = self.warm_s + 1 if is_warm else 0
        self.rested = self.rested or not is_warm
        self.grace_s -= 1
        self.allowed_s = self.allowed_s if is_warm else TOLERANCE_S
        assert is_locked or self.owed_s <= WARM_S + self.allowed_s
        assert is_locked or self.warm_s <= WARM_S + GRACE_S + self.allowed_s
        assert is_locked or not self.saw_a_lock, "nobody has released it"
        self.saw_a_lock = is_locked

    def see_release(self) -> None:
        self.owed_s = self.warm_s = 0
        self.saw_a_lock = False

    def see_cut(self) -> None:
        """What the write was to hold is lost: of a warm zone a second, or all that a first look waits for."""
        self.allowed_s += CUT_S

    def see_reboot(self) -> None:
        """Whether the door was open is not known any more: no grace is left, and while it is warm none begins."""
        self.grace_s, self.rested, self.was_open = 0, False, False


@settings(max_examples=300, deadline=None)
@given(moments)
def test_nothing_is_ever_sold_that_was_warm_for_too_long(story: list[tuple[int, int | None, bool, str]]) -> None:
    cabinet, onlooker = Cabinet(), Onlooker()
    cabinet.live(1)
    for seconds, felt, is_open, comes in story:
        event = comes
        cabinet.celsius["top"], cabinet.is_open = felt, is_open
        for _ in range(seconds):
            written = len(cabinet.flash.writes)
            cabinet.live(1)
            if event == "cut" and len(cabinet.flash.writes) > written:
                *_, cabinet.flash.files = cabinet.flash.writes.pop().cuts()
                cabinet.boot()
                onlooker.see_cut()
                onlooker.see_reboot()
                event = ""
            else:
                onlooker.see_second(felt != COLD, is_open, cabinet.is_locked)
        if event == "release":
            cabinet.release(request_id=str(cabinet.clock.time_ms))
            onlooker.see_release()
        elif event == "by hand" and cabinet.is_locked:
            cabinet.climate.unlock_by_hand()
            onlooker.see_release()
        elif event == "reboot":
            cabinet.boot()
            onlooker.see_reboot()


@given(
    st.builds(Zone, st.booleans(), st.booleans(), st.integers(0, 10**6), st.integers(0, 2 * 10**6), st.booleans()),
    st.integers(0, 10**5),
    st.booleans(),
    st.booleans(),
)
def test_one_step_never_unlocks_and_a_grace_never_grows_but_at_a_disturbance(
    zone: Zone, ms: int, is_warm: bool, disturbed: bool
) -> None:
    after = step(zone, LIMITS, ms, is_warm, disturbed)
    assert after.locked or not zone.locked
    assert disturbed or after.grace_ms <= zone.grace_ms
    assert after.locked or not is_warm or after.warm_ms >= zone.warm_ms
    assert not (disturbed and is_warm and not zone.rested and after.grace_ms > zone.grace_ms)


def test_the_words_are_the_contracts() -> None:
    assert {climate.COLD, climate.WARM, climate.LOCKED} == {condition.value for condition in ZoneCondition}


def test_a_lock_outlives_settings_that_name_its_zone_otherwise() -> None:
    """Which slots it was about is not known then, so nothing is sold until a person has looked."""
    cabinet = Cabinet("top", "bottom")
    cabinet.live(1)
    cabinet.celsius["bottom"] = HOT
    cabinet.live(WARM_S + 2)
    assert cabinet.conditions()[-1] == ("bottom", "locked")
    cabinet.limits = {"top": LIMITS, "lower": LIMITS}
    cabinet.celsius = {"top": HOT, "lower": COLD}
    cabinet.boot()
    cabinet.live(2 * SAVE_MS // 1000)
    assert dict(cabinet.conditions()) == {"top": "locked", "lower": "locked"}
    cabinet.limits = {"top": LIMITS, "bottom": LIMITS}
    cabinet.celsius = {"top": COLD, "bottom": COLD}
    cabinet.boot()
    cabinet.live(2)
    assert dict(cabinet.conditions())["bottom"] == "locked", "settings that were given up have released nothing"


def test_a_lock_of_a_zone_that_is_no_more_ends_when_all_are_released() -> None:
    cabinet = Cabinet("bottom")
    cabinet.live(1)
    cabinet.celsius["bottom"] = HOT
    cabinet.live(WARM_S + 2)
    cabinet.limits = {"lower": LIMITS}
    cabinet.celsius = {"lower": COLD}
    cabinet.boot()
    cabinet.live(2)
    assert cabinet.release("lower")["state"] == "done"
    cabinet.boot()
    cabinet.live(2)
    assert not cabinet.is_locked


@pytest.mark.criterion("8.6")
def test_a_zone_that_was_released_stays_so_though_a_lock_of_other_settings_is_left() -> None:
    cabinet = Cabinet("top", "bottom", "old")
    cabinet.live(1)
    cabinet.celsius["old"] = HOT
    cabinet.live(WARM_S + 1)
    del cabinet.limits["old"]
    cabinet.boot()
    cabinet.live(1)
    assert cabinet.release("top")["state"] == "done"
    cabinet.limits["new"] = LIMITS
    cabinet.celsius["new"] = COLD
    cabinet.boot()
    cabinet.live(1)
    assert locked(cabinet) == {"top": False, "bottom": True, "new": True}, "it goes for a zone that is new as well"
    cabinet.limits["old"] = LIMITS
    cabinet.celsius["old"] = COLD
    cabinet.boot()
    cabinet.live(1)
    assert locked(cabinet) == {"top": False, "bottom": True, "new": True, "old": True}, "nobody has released it"


def locked(cabinet: Cabinet) -> dict[str, bool]:
    told = [ZoneReport.model_validate_json(payload) for _, payload in cabinet.climate.greet()]
    return {report.zone: report.condition is ZoneCondition.LOCKED for report in told}
