"""How devices were: five minutes in a row, the worst of them, as far back as it is kept."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloud.clock import new_id
from cloud.health.rules import begin_of, fold, worst
from shared.devices import DeviceHealth
from tests.cloud.conftest import JSON, World

AT = datetime(2026, 11, 2, 10, tzinfo=UTC)


def sample(minute: float = 0, **told: Any) -> dict[str, Any]:
    return {"at": (AT + timedelta(minutes=minute)).isoformat(), "firmware": "1.0.0", "uptime_s": 60} | told


async def tell(world: World, *samples: dict[str, Any]) -> None:
    slot = await world.slot()
    whose = {"device_id": str(slot.device_id), "machine_id": str(slot.machine_id)}
    body = json.dumps({"v": 1, "samples": [whose | sample for sample in samples]})
    answer = await world.client.post(
        "/v1/sync/telemetry", data=body.replace("+00:00", "Z"), headers=world.gateway.authorisation() | JSON
    )
    assert answer.status_code == 204, await answer.get_data()


async def history(world: World, **query: object) -> dict[str, Any]:
    path = f"/v1/devices/{(await world.slot()).device_id}/health"
    asked = {"from": AT.isoformat(), "to": (AT + timedelta(hours=1)).isoformat()} | query
    answer = await world.client.get(path, query_string=asked, headers=world.operator)
    body: dict[str, Any] = await answer.get_json()
    return body


@pytest.mark.criterion("9.6")
async def test_five_minutes_tell_the_worst_of_their_samples(world: World) -> None:
    await tell(world, sample(0, centi_celsius={"top": 400, "low": None}, peak_ma={"A1": 700}, rssi_dbm=-80, uptime_s=1))
    await tell(world, sample(1, centi_celsius={"top": 900}, door_open=True, free_bytes=10, uptime_s=2))
    await tell(world, sample(2, centi_celsius={"top": 500}, peak_ma={"A1": 300, "A2": 5}, door_open=False, uptime_s=3))
    await tell(world, sample(5, uptime_s=4), sample(-1, uptime_s=0))
    shown = await history(world)
    assert [(row["begin_at"], row["at"], row["uptime_s"]) for row in shown["samples"]] == [
        ("2026-11-02T10:00:00Z", "2026-11-02T10:02:00Z", 3),
        ("2026-11-02T10:05:00Z", "2026-11-02T10:05:00Z", 4),
    ]
    first = shown["samples"][0]
    assert first["centi_celsius"] == {"low": None, "top": 900}
    assert first["peak_ma"] == {"A1": 700, "A2": 5}
    assert (first["door_open"], first["rssi_dbm"], first["free_bytes"]) == (True, -80, 10)


async def test_pages_and_wrong_questions(world: World) -> None:
    await tell(world, *(sample(5 * n, uptime_s=n) for n in range(5)))
    seen, cursor = [], None
    while True:
        page = await history(world, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [row["uptime_s"] for row in page["samples"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == list(range(5))
    for field, query in (("from", {"from": "x"}), ("to", {"to": AT.isoformat()}), ("cursor", {"cursor": "AAAA"})):
        assert [error["path"] for error in (await history(world, **query))["errors"]] == [field]


async def test_a_wrong_clock_is_kept_and_disturbs_nobody(world: World) -> None:
    for at in ("1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        await tell(world, sample(at=at))
    lie = await world.rows("SELECT DISTINCT tableoid::regclass::text AS lies FROM health_samples")
    assert lie == [{"lies": "health_samples_other"}]
    assert len(await world.rows("SELECT FROM health_samples")) == 3


def test_folding_is_one_and_the_same_in_any_order_and_number() -> None:
    seed = random.randrange(10**6)
    print("seed", seed)
    rng, device_id = random.Random(seed), new_id()
    samples = [
        DeviceHealth(
            device_id=device_id,
            machine_id=device_id,
            at=AT + timedelta(seconds=second),
            firmware="1.0.0",
            uptime_s=second,
            rssi_dbm=rng.choice([None, -rng.randrange(100)]),
            door_open=rng.choice([None, True, False]),
            centi_celsius={zone: rng.choice([None, rng.randrange(900)]) for zone in rng.sample(["a", "b", "c"], 2)},
            peak_ma={"A1": rng.randrange(900)},
        )
        for second in rng.sample(range(900), 40)
    ]
    whole = fold(samples)
    assert set(whole) == {(device_id, begin_of(sample.at)) for sample in samples}
    again = fold(rng.sample(samples, len(samples)) + samples[:7])
    assert again == whole
    for key, kept in fold(samples[:20]).items():
        assert worst(whole[key], kept) == worst(kept, whole[key]) == whole[key]
