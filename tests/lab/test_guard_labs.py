"""The guard's labs in the size that every test run can bear. Limits are generous: figures are for the lab itself."""

from edge.guard import GuardLimits
from tests.lab import fuzz_mqtt, silent_device, stalled_reader


def test_r7_mutated_packets() -> None:
    report = fuzz_mqtt.run(packets=20_000, sockets=1_000, seed=7)
    print(report)
    assert report.faults == []
    assert abs(report.descriptors) <= 5
    assert report.memory_mb <= 20
    assert report.malformed > 10_000
    assert report.decoded > 1_000
    assert len(report.pings) > 50


async def test_r10_a_device_that_never_reads() -> None:
    report = await stalled_reader.run(3.0, GuardLimits(stall=1.0))
    print(report)
    assert report.reasons == {"flooded": "overflow", "trickled to": "stalled"}
    assert max(report.cut_after.values()) <= 15
    assert report.memory_mb <= 16
    assert len(report.latencies) > 500


async def test_r11_a_silent_device_is_missed_in_time() -> None:
    report = await silent_device.run(trials=20, seed=11)
    print(report)
    assert len(report.offline_after) == len(report.back_after) == 20
    assert max(report.offline_after) <= 1.5
    assert max(report.back_after) <= 10
