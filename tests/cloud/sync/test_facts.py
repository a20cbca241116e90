"""Facts over HTTP: gap, repeat, conflict, poison; each takes effect once."""

import gzip
import json

import pytest

from cloud.callers import system
from cloud.clock import new_id
from cloud.sync.ingest import Ingest
from shared.contract import Rail
from shared.inventory import Reason, SlotSuspected
from shared.orders import VendOutcome
from shared.sync import MAX_BATCH_BYTES
from tests.cloud.conftest import World
from tests.fakes.gateway_client import Slot

COUNTS = """
    SELECT (SELECT count(*) FROM facts) AS facts, (SELECT count(*) FROM orders) AS orders,
           (SELECT count(*) FROM vends) AS vends, (SELECT count(*) FROM payments) AS payments,
           (SELECT count(*) FROM stock_movements) AS movements, (SELECT count(*) FROM dead_letters) AS dead,
           (SELECT coalesce(sum(quantity), 0)::int FROM stock) AS stock
"""


@pytest.mark.criterion("8.3")
async def test_orders_payments_and_stock_come_out_of_facts(world: World) -> None:
    gateway, slot = world.gateway, await world.slot(1)
    gateway.move(slot, 10, Reason.OPENING)
    order_id = gateway.sell(slot, [VendOutcome.DISPENSED, VendOutcome.NO_DROP], Rail.CASH)
    ack = await world.acknowledged()
    assert (ack.seq, bytes.fromhex(ack.chain)) == (len(gateway.lines), gateway.hashes[-1])
    answer = await world.client.get(f"/v1/orders/{order_id}", headers=world.operator)
    order = await answer.get_json()
    assert (order["state"], order["captured_minor"], order["given_back_minor"]) == (
        "settled",
        slot.price_minor,
        slot.price_minor,
    )
    assert [line["quantity"] for line in order["lines"]] == [2]
    assert [vend["outcome"] for vend in order["lines"][0]["vends"]] == ["dispensed", "no_drop"]
    payments = await world.rows("SELECT state, captured_minor, given_back_minor FROM payments")
    assert payments == [{"state": "settled", "captured_minor": slot.price_minor, "given_back_minor": slot.price_minor}]
    stock = await (await world.client.get("/v1/inventory", headers=world.operator)).get_json()
    assert [(level["slot"], level["quantity"]) for level in stock["stock"]] == [("A1", 9)]


async def test_an_order_shows_its_units_as_lines_in_the_order_in_which_they_were_chosen(world: World) -> None:
    ids, slots = sorted(new_id() for _ in range(4)), [await world.slot(0, code) for code in ("A2", "A1")]
    chosen = [(ids[3], slots[0]), (ids[1], slots[1]), (ids[0], slots[0]), (ids[2], slots[1])]
    placed = world.gateway.placed(new_id(), chosen)
    world.gateway.add(placed)
    await world.acknowledged()
    order = await (await world.client.get(f"/v1/orders/{placed.order_id}", headers=world.operator)).get_json()
    lines = [(line["slot"], line["quantity"], [vend["vend_id"] for vend in line["vends"]]) for line in order["lines"]]
    assert lines == [("A2", 2, [str(ids[3]), str(ids[0])]), ("A1", 2, [str(ids[1]), str(ids[2])])]


async def test_batches_of_any_size_end_the_same(world: World) -> None:
    slot = await world.slot()
    for _ in range(5):
        world.gateway.sell(slot)
    for first in range(1, len(world.gateway.lines) + 1):
        await world.acknowledged(first, 1)
    (row,) = await world.rows(
        "SELECT count(*) AS orders, count(*) FILTER (WHERE state = 'settled') AS ended FROM orders"
    )
    assert row == {"orders": 5, "ended": 5}
    (counts,) = await world.rows(COUNTS)
    assert (counts["dead"], counts["stock"]) == (0, -5)


async def test_a_repeat_is_acknowledged_again_without_a_second_effect(world: World) -> None:
    world.gateway.sell(await world.slot())
    first = await world.acknowledged()
    before = await world.rows(COUNTS)
    assert await world.acknowledged() == first
    assert await world.acknowledged(2, 3) == first
    assert await world.rows(COUNTS) == before


async def test_a_batch_that_overlaps_adds_only_its_end(world: World) -> None:
    slot = await world.slot()
    world.gateway.sell(slot)
    await world.acknowledged(1, 5)
    world.gateway.sell(slot)
    assert (await world.acknowledged(3)).seq == len(world.gateway.lines)
    (counts,) = await world.rows(COUNTS)
    assert (counts["facts"], counts["orders"], counts["dead"]) == (len(world.gateway.lines), 2, 0)


async def test_a_gap_is_answered_with_where_to_go_on(world: World) -> None:
    world.gateway.sell(await world.slot())
    await world.acknowledged(1, 2)
    ack = await world.acknowledged(5, 2)
    assert (ack.epoch, ack.seq, ack.chain) == (1, 2, world.gateway.hashes[2].hex())
    (counts,) = await world.rows(COUNTS)
    assert counts["facts"] == 2


async def test_another_fact_under_a_taken_seq_is_refused_and_recorded(world: World) -> None:
    slot = await world.slot()
    world.gateway.move(slot, 10, Reason.OPENING)
    await world.acknowledged()
    world.gateway.begin_epoch(1)
    world.gateway.move(slot, 99, Reason.OPENING)
    answer = await world.push()
    assert (answer.status_code, (await answer.get_json())["code"]) == (409, "fact_conflict")
    (row,) = await world.rows("SELECT line FROM fact_conflicts")
    assert row["line"] == world.gateway.lines[0]
    assert (await world.rows(COUNTS))[0]["stock"] == 10


async def test_a_batch_on_another_history_is_refused(world: World) -> None:
    slot = await world.slot()
    world.gateway.move(slot, 10, Reason.OPENING)
    await world.acknowledged()
    world.gateway.hashes[1] = bytes(range(32))
    world.gateway.move(slot, 1, Reason.RESTOCK)
    answer = await world.push(2)
    assert (answer.status_code, (await answer.get_json())["code"]) == (409, "chain_broken")
    assert len(await world.rows("SELECT * FROM fact_conflicts")) == 1


async def test_a_higher_epoch_begins_anew_and_the_old_one_only_repeats(world: World) -> None:
    gateway, slot = world.gateway, await world.slot()
    gateway.move(slot, 10, Reason.OPENING)
    await world.acknowledged()
    old = gateway.packed()
    gateway.begin_epoch(2)
    gateway.move(slot, -3, Reason.WASTE)
    assert (await world.acknowledged()).epoch == 2
    repeat = await world.client.post("/v1/sync/facts", data=old, headers=gateway.headers())
    assert (await repeat.get_json())["epoch"] == 2
    gateway.begin_epoch(1)
    gateway.move(slot, 5, Reason.RESTOCK)
    refused = await world.push()
    assert (await refused.get_json())["code"] == "epoch_superseded"
    assert (await world.rows(COUNTS))[0]["stock"] == 7


async def test_poison_goes_to_the_dead_letters_and_the_rest_goes_on(world: World) -> None:
    gateway, slot = world.gateway, await world.slot()
    good = gateway.sell(slot)
    strange_product = Slot(slot.machine_id, slot.device_id, new_id())
    bad = gateway.sell(strange_product)
    gateway.add_line(b'{"seq":%d,"event":"from the future"}' % (len(gateway.lines) + 1))
    gateway.add_line(b"\xff not even JSON")
    last = gateway.sell(slot)
    ack = await world.acknowledged()
    assert ack.seq == len(gateway.lines)
    orders = {row["id"] for row in await world.rows("SELECT id FROM orders WHERE state = 'settled'")}
    assert orders == {good, last}
    assert bad not in orders
    dead = await world.rows("SELECT seq, reason, tries FROM dead_letters ORDER BY seq")
    assert len(dead) == 10
    assert dead[0]["tries"] == 3
    assert "vends_product_fkey" in dead[0]["reason"]


async def test_the_event_beside_a_line_is_the_one_it_tells(world: World) -> None:
    gateway, slot = world.gateway, await world.slot()
    gateway.move(slot, 10, Reason.OPENING)
    gateway.add_line(gateway.lines[0].replace(b'"seq":1', b'"seq":2').replace(b'"event":', b'"event": '))
    gateway.add_line(gateway.lines[0].replace(b'"seq":1', b'"seq":3').replace(b"stock_moved", b"stock_blessed"))
    gateway.add_line(b"\xff not even JSON")
    await world.acknowledged()
    kept = [row["event"] for row in await world.rows("SELECT event FROM facts ORDER BY seq")]
    assert kept == ["stock_moved", "unreadable", "stock_blessed", "unreadable"]
    dead = [row["reason"] for row in await world.rows("SELECT reason FROM dead_letters ORDER BY seq")]
    assert [reason.partition(":")[0] for reason in dead] == ["body.event", "body", ""]
    assert (await world.rows("SELECT quantity FROM stock"))[0]["quantity"] == 10


async def test_dead_letters_take_effect_when_replayed(world: World) -> None:
    gateway, slot = world.gateway, await world.slot()
    late = Slot(slot.machine_id, slot.device_id, new_id())
    gateway.sell(late)
    await world.acknowledged()
    assert gateway.claimed is not None
    ingest = Ingest(world.database)
    assert await ingest.replay(system("test"), world.tenant_id, gateway.claimed.gateway_id) == 0
    await world.rows(
        "INSERT INTO products (tenant_id, id, name) VALUES ($1, $2, 'Late')", world.tenant_id, late.product_id
    )
    assert await ingest.replay(system("test"), world.tenant_id, gateway.claimed.gateway_id) == 8
    assert await world.rows("SELECT state FROM orders") == [{"state": "settled"}]
    assert await ingest.replay(system("test"), world.tenant_id, gateway.claimed.gateway_id) == 0


async def test_a_gateway_speaks_for_its_own_site_only(world: World) -> None:
    slot = await world.slot()
    world.gateway.add(SlotSuspected(machine_id=new_id(), slot="A1", vend_id=new_id()))
    world.gateway.move(slot, 10, Reason.OPENING)
    await world.acknowledged()
    (dead,) = await world.rows("SELECT reason FROM dead_letters")
    assert "not of this site" in dead["reason"]


async def test_a_suspect_slot_is_cleared_by_a_count(world: World) -> None:
    slot = await world.slot()
    world.gateway.add(SlotSuspected(machine_id=slot.machine_id, slot=slot.slot, vend_id=new_id()))
    await world.acknowledged()
    assert (await world.rows("SELECT suspect FROM stock"))[0]["suspect"]
    world.gateway.move(slot, 0, Reason.COUNT)
    await world.acknowledged(2)
    assert not (await world.rows("SELECT suspect FROM stock"))[0]["suspect"]


async def test_what_is_no_batch_is_refused(world: World) -> None:
    gzipped = {"Content-Encoding": "gzip"}
    cases: list[tuple[bytes, dict[str, str], int, str]] = [
        (b"", {}, 400, "malformed_body"),
        (b"{}", {}, 400, "malformed_body"),
        (b"not gzip", gzipped, 400, "malformed_body"),
        (gzip.compress(b"{}", mtime=0)[:-4], gzipped, 400, "malformed_body"),
        (gzip.compress(bytes(MAX_BATCH_BYTES * 8), mtime=0), gzipped, 413, "too_large"),
        (bytes(MAX_BATCH_BYTES + 1), {}, 413, "too_large"),
        (b"{}", {"Content-Encoding": "br"}, 415, "unsupported_media_type"),
    ]
    plain = world.gateway.headers() | {"Content-Encoding": "identity"}
    for body, headers, status, code in cases:
        answer = await world.client.post("/v1/sync/facts", data=body, headers=plain | headers)
        assert (answer.status_code, (await answer.get_json())["code"]) == (status, code), body[:40]


async def test_a_seq_out_of_place_refuses_the_whole_batch(world: World) -> None:
    slot = await world.slot()
    world.gateway.move(slot, 1, Reason.RESTOCK)
    world.gateway.add_line(world.gateway.lines[0])
    answer = await world.push()
    assert (answer.status_code, (await answer.get_json())["code"]) == (400, "malformed_body")
    assert (await world.rows(COUNTS))[0]["facts"] == 0


async def test_facts_are_kept_byte_for_byte(world: World) -> None:
    world.gateway.sell(await world.slot())
    await world.acknowledged()
    kept = await world.rows("SELECT seq, line, hash FROM facts ORDER BY seq")
    assert [row["line"] for row in kept] == world.gateway.lines
    assert [row["hash"] for row in kept] == world.gateway.hashes[1:]
    assert world.gateway.claimed is not None
    path = f"/v1/gateways/{world.gateway.claimed.gateway_id}/sync"
    told = await (await world.client.get(path, headers=world.operator)).get_json()
    assert (told["epoch"], told["seq"], told["chain"]) == (1, len(kept), world.gateway.hashes[-1].hex())


async def test_telemetry_keeps_the_newest_sample_of_each_device(world: World) -> None:
    slot = await world.slot()
    sample: dict[str, object] = {
        "device_id": str(slot.device_id),
        "machine_id": str(slot.machine_id),
        "firmware": "1.0.0",
    }
    sample |= {"free_bytes": 1000, "rssi_dbm": -60, "journal_bytes": None}
    samples = [sample | {"at": f"2026-01-01T00:0{n}:00Z", "uptime_s": n} for n in (2, 1)]
    samples.append(sample | {"at": "2026-01-01T00:00:00Z", "uptime_s": 9, "device_id": str(new_id())})
    answer = await world.client.post(
        "/v1/sync/telemetry",
        data=json.dumps({"v": 1, "samples": samples}),
        headers=world.gateway.authorisation() | {"Content-Type": "application/json"},
    )
    assert answer.status_code == 204, await answer.get_data()
    assert await world.rows("SELECT uptime_s FROM device_health") == [{"uptime_s": 2}]
