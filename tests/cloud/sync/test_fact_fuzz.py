"""Whatever stands in a fact's line: it is taken, kept as a dead letter or refused. It never stops the lane."""

import json
import random
from typing import Any
from uuid import UUID

import pytest

from cloud.clock import new_id
from shared.devices import DeviceClaimed, DeviceLinkChanged
from shared.inventory import Reason, SlotSensed, SlotSuspected
from shared.orders import VendOutcome
from tests.cloud.conftest import World
from tests.fakes.gateway_client import GatewayClient, Slot

HOSTILE: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**31, 2**53, 2**63, 2**70, 1e308, "", "\0", "a\0b", "x" * 5000, "٣", [], {}, [[[{}]]]),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00Z", str(UUID(int=0))),
)


def _stories(slot: Slot) -> list[dict[str, Any]]:
    """One fact of nearly every kind, as JSON."""
    source = GatewayClient()
    source.sell(slot, [VendOutcome.DISPENSED, VendOutcome.NO_DROP])
    device: dict[str, Any] = {"device_id": slot.device_id, "machine_id": slot.machine_id}
    source.add(DeviceClaimed(**device), DeviceLinkChanged(**device, online=True, reason="hello"))
    source.add(SlotSuspected(machine_id=slot.machine_id, slot=slot.slot, vend_id=new_id()))
    source.add(SlotSensed(machine_id=slot.machine_id, slot=slot.slot, empty=True))
    return [json.loads(line) for line in source.lines]


def _spoil(rng: random.Random, part: Any) -> None:
    """Change one place of a JSON object, or add one to it."""
    while True:
        deeper = [value for value in part.values() if isinstance(value, dict) and value]
        if not deeper or rng.random() < 0.3:
            break
        part = rng.choice(deeper)
    name = rng.choice([*part, "new", "\0", "new\0key", "\U0001f600"])
    if rng.random() < 0.1:
        part.pop(name, None)
    else:
        part[name] = rng.choice(HOSTILE)


def _line(rng: random.Random, story: dict[str, Any], seq: int) -> bytes:
    fact = json.loads(json.dumps(story))
    for _ in range(rng.choice((0, 1, 1, 2))):
        _spoil(rng, fact)
    line = json.dumps(fact | {"seq": seq}, ensure_ascii=rng.random() < 0.5).encode()
    if rng.random() < 0.1:
        at = rng.randrange(len(line))
        line = line[:at] + bytes([rng.choice((0, 0x22, 0x5C, 0x7B, 0xED, 0xFF))]) + line[at + 1 :]
    return line


@pytest.mark.parametrize("extra", [b'"a\\u0000b":1', b'"at":"0001-01-01T00:00:00+14:00"', b'"\\ud800":1', b'"b":NaN'])
async def test_a_fact_that_no_reason_can_quote_is_a_dead_letter(world: World, extra: bytes) -> None:
    source, slot = GatewayClient(), await world.slot()
    source.move(slot, 1, Reason.RESTOCK)
    world.gateway.add_line(source.lines[0][:-1] + b"," + extra + b"}")
    world.gateway.sell(slot)
    assert (await world.acknowledged()).seq == len(world.gateway.lines)
    assert [row["seq"] for row in await world.rows("SELECT seq FROM dead_letters")] == [1]


@pytest.mark.parametrize("seed", [1, 20_261_122])
async def test_no_line_is_answered_with_an_error_of_ours(world: World, seed: int) -> None:
    print("seed", seed)
    rng, gateway = random.Random(seed), world.gateway
    stories = _stories(await world.slot())
    statuses = set()
    for _ in range(25):
        first = len(gateway.lines) + 1
        for _ in range(12):
            gateway.add_line(_line(rng, rng.choice(stories), len(gateway.lines) + 1))
        answer = await world.push(first)
        statuses.add(answer.status_code)
        assert answer.status_code in {200, 400, 409}, await answer.get_data()
        if answer.status_code != 200:
            del gateway.lines[first - 1 :], gateway.hashes[first:]
    assert 200 in statuses
