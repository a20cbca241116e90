"""What a hello tells about the two sides' memories, and what a minute's heartbeats come down to."""

from datetime import UTC, datetime
from functools import reduce
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from edge.devices.rules import Journal, fold, is_ahead, is_lost
from shared.devices import DeviceHealth, Hello, ResetCause

numbers = st.tuples(st.integers(0, 3), st.integers(0, 3))


def hello(epoch: int, seq: int) -> Hello:
    boot_id, journal_id = UUID(int=1), UUID(int=2)
    return Hello(
        boot_id=boot_id, journal_id=journal_id, firmware="1.0.0", epoch=epoch, seq=seq, nonce="0" * 16, open=()
    )


@given(numbers, numbers)
def test_ahead_shorter_or_as_we_left_it(told: tuple[int, int], known: tuple[int, int]) -> None:
    ahead, lost = is_ahead(hello(*told), *known), is_lost(Journal("x", known), Journal("x", told))
    assert (ahead, lost) == (told > known, told < known)


@given(numbers, numbers)
def test_another_journal_means_that_the_one_before_is_lost(told: tuple[int, int], known: tuple[int, int]) -> None:
    assert is_lost(Journal("x", known), Journal("y", told))


@given(numbers)
def test_the_first_journal_ever_told_of_is_no_loss(told: tuple[int, int]) -> None:
    assert not is_lost(Journal(None, (0, 0)), Journal("x", told))


def test_the_epoch_counts_before_the_seq() -> None:
    assert is_ahead(hello(2, 1), 1, 99)
    assert is_lost(Journal("x", (2, 1)), Journal("x", (1, 99)))


figures = st.none() | st.integers(0, 99)
samples = st.builds(
    DeviceHealth,
    device_id=st.just(UUID(int=1)),
    machine_id=st.just(UUID(int=2)),
    at=st.just(datetime(2026, 5, 1, tzinfo=UTC)),
    firmware=st.sampled_from(["1.0.0", "1.1.0"]),
    uptime_s=st.integers(0, 99),
    reset_cause=st.sampled_from(ResetCause),
    free_bytes=figures,
    rssi_dbm=st.none() | st.integers(-90, -10),
    journal_bytes=figures,
    centi_celsius=st.dictionaries(st.sampled_from(["top", "bottom"]), st.none() | st.integers(-500, 2500)),
    door_open=st.sampled_from([True, False, None]),
    peak_ma=st.dictionaries(st.sampled_from(["A1", "A2"]), st.integers(0, 2000)),
)


@given(st.lists(samples, min_size=1, max_size=6))
def test_a_minute_loses_no_peak_no_open_door_and_no_warm_moment(told: list[DeviceHealth]) -> None:
    minute = reduce(fold, told)
    assert (minute.uptime_s, minute.reset_cause, minute.firmware) == (
        told[-1].uptime_s,
        told[-1].reset_cause,
        told[-1].firmware,
    )
    assert bool(minute.door_open) == any(sample.door_open for sample in told)
    for slot in ("A1", "A2"):
        peaks = [sample.peak_ma[slot] for sample in told if slot in sample.peak_ma]
        assert minute.peak_ma.get(slot) == max(peaks, default=None)
    for zone in ("top", "bottom"):
        felt = [sample.centi_celsius[zone] for sample in told if zone in sample.centi_celsius]
        assert (zone in minute.centi_celsius) == bool(felt)
        known = [degrees for degrees in felt if degrees is not None]
        assert minute.centi_celsius.get(zone) == max(known, default=None)
    assert minute.free_bytes == min((s.free_bytes for s in told if s.free_bytes is not None), default=None)
    assert minute.rssi_dbm == min((s.rssi_dbm for s in told if s.rssi_dbm is not None), default=None)
    assert DeviceHealth.model_validate_json(minute.to_line()) == minute
