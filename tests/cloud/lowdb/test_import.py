"""Orders and inventories come in once, as they were: each trap of the prototype's files."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloud.database import Transaction
from cloud.encryption.columns import LEGACY_ORIGINAL
from tests.cloud.lowdb.conftest import NOW, Move, books
from tests.cloud.sales.test_sums import DAYS, DAYS_OF_HOURS, KEPT, RECOUNT
from tests.fakes import lowdb
from tests.fakes.encryption_keys import keyring
from tests.fakes.lowdb import Prototype, Record, bought, iso, item

pytestmark = pytest.mark.criterion("2.6")


def orders(*records: Record) -> str:
    return lowdb.text("orders", records)


def stock(*records: Record) -> str:
    return lowdb.text("inventory", records)


async def test_a_machine_comes_in_and_a_second_run_changes_nothing(move: Move, owner_url: str) -> None:
    for machine in ("VM-001", "VM-002"):
        lowdb.write(
            move.root, machine, orders(*Prototype(machine).orders(40)), lowdb.text("inventory", lowdb.inventory())
        )
    tried = await move.run(dry_run=True)
    assert await move.rows("SELECT 1 FROM machines") == [], "a dry run leaves nothing"
    done = await move.run()
    assert tried.as_dict()["days"] == done.as_dict()["days"]
    assert [(f.path, f.new, f.odd) for f in tried.files] == [(f.path, f.new, f.odd) for f in done.files]
    assert done.is_whole
    assert [f.new for f in done.files] == [5, 40, 5, 40]
    before = await books(owner_url)
    move.later(hours=1)
    again = await move.run()
    assert await books(owner_url) == before
    assert [(f.new, f.unchanged) for f in again.files] == [(0, 5), (0, 40)] * 2
    assert again.as_dict()["days"] == done.as_dict()["days"]


async def test_the_sums_of_sales_are_those_of_the_orders(move: Move) -> None:
    lowdb.write(move.root, "VM-001", orders(*Prototype().orders(60), Prototype(seed=2).order(3, "refunded")))
    assert (await move.run()).is_whole
    for name, recount in RECOUNT.items():
        assert await values(move, KEPT[name]) == await values(move, recount)
    assert await values(move, DAYS) == await values(move, DAYS_OF_HOURS)
    assert await move.rows("SELECT 1 FROM vends") == []
    assert {row["fulfilment"] for row in await move.rows("SELECT fulfilment FROM orders")} == {"unknown_legacy"}


async def values(move: Move, sql: str) -> list[tuple[Any, ...]]:
    """Rows as tuples, whatever their columns are called."""

    async def work(transaction: Transaction) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in await transaction.fetch(sql)]

    return await move.database.unit("test", work, tenant_id=move.tenant_id)


@pytest.mark.parametrize("generation", [1, 2, 3])
async def test_three_generations_say_the_same(move: Move, generation: int) -> None:
    """1709272830 s, an ISO time, and rupees in place of paise."""
    source = Prototype()
    order = source.order(generation, items=[bought(0, 2)], customerName="Test Person")
    order |= {"total_amount": "40.00", "payment_amount": 40} if generation == 3 else {"totalAmount": 40}
    if generation < 3:
        order["paymentInfo"]["paymentAmount"] = 4000
    lowdb.write(move.root, "VM-001", orders(order), stock(item(0)))
    (told,) = [f for f in (await move.run()).files if "orders" in f.path]
    assert dict(told.odd) == ({"money_as_text": 1} if generation == 3 else {})
    (row,) = await move.rows("SELECT * FROM orders")
    assert (row["state"], row["currency"], row["rail"]) == ("settled", "INR", "upi_qr")
    assert (row["total_minor"], row["captured_minor"], row["given_back_minor"]) == (4000, 4000, 0)
    assert row["placed_at"] == source.at.replace(microsecond=source.at.microsecond // 1000 * 1000)
    (line,) = await move.rows("SELECT * FROM order_lines")
    assert (line["product_name"], line["price_minor"], line["quantity"]) == ("Salted Peanuts", 2000, 2)
    assert line["product_id"] is not None
    (payment,) = await move.rows("SELECT * FROM payments")
    assert (payment["state"], payment["amount_minor"], payment["synthetic"]) == ("settled", 4000, False)
    assert payment["provider_reference"] == "pay_00000000000001"


async def test_1_nothing_is_legal(move: Move) -> None:
    for number, content in enumerate(("", "{}", '{"users": []}')):
        lowdb.write(move.root, f"VM-{number}", content, content)
    report = await move.run()
    assert (report.is_whole, [f.records for f in report.files]) == (True, [0] * 6)


async def test_2_what_is_whole_in_a_broken_file_comes_in_and_the_rest_is_told(move: Move) -> None:
    content = orders(*Prototype().orders(3))
    end = content.rindex('"createdAt"')
    lowdb.write(move.root, "VM-001", content[:end])
    report = await move.run()
    (told,) = report.files
    assert (told.new, report.is_whole) == (2, False)
    assert told.broken_at == len(content[: content.rindex('{\n      "orderId"')].encode())
    assert told.unread_bytes == len(content[:end].encode()) - told.broken_at
    assert any("BROKEN at byte" in line for line in report.lines())


async def test_2_a_leftover_is_taken_only_if_it_is_whole_and_its_file_is_not(move: Move) -> None:
    source = Prototype()
    first, second, third = source.order(), source.order(), source.order()
    leftover = move.root / "VM-001" / "Orders" / ".orders.db.tmp"
    lowdb.write(move.root, "VM-001", orders(first))
    leftover.write_text(orders(first, second))
    report = await move.run()
    assert [one["path"] for one in report.left] == ["VM-001/Orders/.orders.db.tmp"]
    assert (len(report.files), report.is_whole) == (1, True)
    lowdb.write(move.root, "VM-001", orders(first, second, third)[:-40])
    report = await move.run()
    assert [(f.path, f.new, f.unchanged) for f in report.files] == [
        ("VM-001/Orders/.orders.db.tmp", 1, 1),
        ("VM-001/Orders/orders.db", 0, 2),
    ]
    leftover.write_text(orders(first, second)[:-5])
    assert ("VM-001/Orders/.orders.db.tmp", "is a leftover, and broken") in [
        (one["path"], one["why"]) for one in (await move.run()).left
    ]


async def test_3_items_of_two_machines_are_two_and_one_that_is_gone_is_remembered(move: Move) -> None:
    source = Prototype()
    order = source.order(items=[bought(0, 1), bought(4, 1)], totalAmount=35)
    order["paymentInfo"]["paymentAmount"] = 3500
    for machine, name in (("VM-001", "Salted Peanuts"), ("VM-002", "Roasted Peas")):
        lowdb.write(move.root, machine, orders(order), stock(item(0, name=name)))
    assert (await move.run()).is_whole
    rows = await move.rows(
        "SELECT m.name AS machine, l.product_name, p.name FROM order_lines l JOIN orders o ON o.id = l.order_id"
        " JOIN machines m ON m.id = o.machine_id LEFT JOIN products p ON p.id = l.product_id ORDER BY 1, l.line"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("VM-001", "Salted Peanuts", "Salted Peanuts"),
        ("VM-001", "Water", None),
        ("VM-002", "Salted Peanuts", "Roasted Peas"),
        ("VM-002", "Water", None),
    ]
    assert {tuple(row["odd"]) for row in await move.rows("SELECT odd FROM legacy_records WHERE kind = 'orders'")} == {
        ("item_gone",)
    }


MONEY: list[tuple[Record, int, int, int, list[str]]] = [
    ({"totalAmount": "40"}, 4000, 4000, 4000, ["money_as_text"]),
    ({"totalAmount": 40.0}, 4000, 4000, 4000, []),
    ({"totalAmount": 40}, 40, 4000, 40, ["money_mismatch"]),
    ({"totalAmount": 35}, 4000, 3500, 4000, ["money_mismatch"]),
    ({"totalAmount": 40.005}, 4000, 4000, 4000, ["odd_money"]),
    ({"totalAmount": "forty"}, 4000, 4000, 4000, ["money_as_text", "odd_money"]),
    ({"totalAmount": None}, 4000, 4000, 4000, []),
    ({"totalAmount": -40}, 4000, 4000, 4000, ["odd_money"]),
    ({"totalAmount": 40, "items": [bought(0, 1)]}, 4000, 4000, 4000, ["money_mismatch"]),
]


async def test_4_money_is_told_apart_and_a_mismatch_recorded(move: Move) -> None:
    source, records = Prototype(), []
    for number, (more, paise, *_) in enumerate(MONEY):
        records.append(source.order() | {"items": [bought(0, 2)], "orderId": f"BB{number}"} | more)
        records[-1]["paymentInfo"]["paymentAmount"] = paise
    lowdb.write(move.root, "VM-001", orders(*records), stock(item(0)))
    assert (await move.run()).is_whole, "what is odd is told, and no contradiction"
    for number, (_, _, *expected) in enumerate(MONEY):
        row = await move.order(f"BB{number}")
        assert [row["total_minor"], row["captured_minor"], row["odd"]] == expected, MONEY[number]


async def test_5_stock_is_opened_once_and_no_sale_takes_from_it(move: Move) -> None:
    lowdb.write(move.root, "VM-001", orders(*Prototype().orders(20)), lowdb.text("inventory", lowdb.inventory()))
    await move.run()
    moved = await move.rows("SELECT slot, delta, reason FROM stock_movements ORDER BY slot")
    assert [tuple(row.values()) for row in moved] == [
        (slot, delta, "opening") for slot, delta in zip(("A1", "A2", "A3", "B1", "B2"), range(3, 8), strict=True)
    ]
    assert await values(move, "SELECT slot, quantity FROM stock ORDER BY slot") == [
        (row["slot"], row["delta"]) for row in moved
    ]
    planned = await move.rows("SELECT slot, price_minor, capacity FROM planogram_slots ORDER BY slot")
    assert (planned[0]["slot"], planned[0]["price_minor"], planned[0]["capacity"]) == ("A1", 2000, 10)
    asked = await move.rows("SELECT id FROM stock_instructions ORDER BY id")
    assert asked == await move.rows("SELECT id FROM stock_movements ORDER BY id"), "the gateway to come opens the same"
    (machine,) = await move.rows("SELECT name, in_service FROM machines")
    assert (machine["name"], machine["in_service"]) == ("VM-001", False)


PHONES = ["call me after nine p", 12345, None, "", "\0\ud83d", {"a": 1}]


async def test_6_dirty_text_keeps_nobody_out(move: Move) -> None:
    source, records = Prototype(), list[object]()
    for number, phone in enumerate(PHONES):
        dirty = {"orderId": f"BB{number}", "customerPhone": phone, "customerName": "  Test \n Person\0 "}
        records.append(source.order() | dirty)
    timeless = source.order(status="pending", createdAt="soon", updatedAt=None, orderId="BBx")
    lowdb.write(move.root, "VM-001", json.dumps({"orders": [*records, timeless, None, 5, {}]}))
    report = await move.run()
    (told,) = report.files
    assert (told.new, told.without_order, report.is_whole) == (len(PHONES) + 4, 4, True), "each is kept"
    assert (told.odd["no_time"], told.odd["no_record"], told.odd["odd_phone"]) == (2, 2, 3)
    assert await move.rows("SELECT 1 FROM customers") == []


async def test_7_the_whole_record_is_kept_as_it_was_written(move: Move) -> None:
    text = (
        '{"note": "z", "orderId":"BB1709272830123", "items":[{"id":0,"price":"20.50","quantity":"2","name":"Nuts"}],\n'
        '  "totalAmount": 41.00, "big": 123456789012345678901234567890, "e": 1E2, '
        '"paymentStatus":"cancelled", "note": "a"}'
    )
    lowdb.write(move.root, "VM-001", '{"orders": [' + text + "]}")
    assert (await move.run()).is_whole
    (row,) = await move.rows("SELECT tenant_id, id, original, personal FROM legacy_records")
    assert LEGACY_ORIGINAL.open(keyring(), (row["tenant_id"], row["id"]), row["original"]) == text
    assert row["personal"], "nobody knows what an unknown key holds"
    order = await move.order("BB1709272830123")
    assert (order["total_minor"], order["placed_at"]) == (4100, datetime(2024, 3, 1, 6, 0, 30, 123000, tzinfo=UTC))
    assert sorted(order["odd"]) == ["item_gone", "money_as_text", "odd_quantity", "time_from_elsewhere"]


async def test_8_young_pending_orders_stay_and_old_ones_expire_and_stock_is_listed(move: Move) -> None:
    source = Prototype(begin=NOW - timedelta(hours=30))
    old, young = source.order(status="pending", orderId="BB1"), source.order(status="pending", orderId="BB2")
    young["createdAt"] = iso(NOW - timedelta(hours=1))
    lowdb.write(move.root, "VM-001", orders(old, young))
    (told,) = (await move.run()).files
    assert told.odd["stock_taken_and_not_sold"] == 2
    assert [(await move.order(one))["state"] for one in ("BB1", "BB2")] == ["expired", "placed"]
    move.later(days=2)
    (told,) = (await move.run()).files
    assert (told.advanced, told.unchanged) == (1, 1)
    assert (await move.order("BB2"))["state"] == "expired"
    assert (await move.run()).files[0].unchanged == 2
    assert await move.rows("SELECT 1 FROM stock_movements") == []


async def test_an_order_that_was_open_goes_on_and_a_changed_one_is_a_conflict(move: Move) -> None:
    source = Prototype(begin=NOW - timedelta(hours=1))
    one, two = source.order(status="pending", orderId="BB1"), source.order(orderId="BB2")
    lowdb.write(move.root, "VM-001", orders(one, two))
    await move.run()
    paid = Prototype(seed=9).order()
    one |= {"paymentStatus": "paid", "paymentInfo": paid["paymentInfo"] | {"paymentAmount": one["totalAmount"] * 100}}
    lowdb.write(move.root, "VM-001", orders(one, two, source.order(orderId="BB3")))
    report = await move.run()
    (told,) = report.files
    assert (told.new, told.advanced, told.unchanged, report.is_whole) == (1, 1, 1, True)
    assert (await move.order("BB1"))["captured_minor"] == one["totalAmount"] * 100
    for name, recount in RECOUNT.items():
        assert await values(move, KEPT[name]) == await values(move, recount)
    before = await move.order("BB2")
    lowdb.write(move.root, "VM-001", orders(one, two | {"totalAmount": 1}))
    report = await move.run()
    assert (report.files[0].conflicts, report.files[0].odd["conflict"], report.is_whole) == (1, 1, False)
    assert await move.order("BB2") == before


async def test_money_that_was_made_up_by_hand_is_marked_and_counts_as_none(move: Move) -> None:
    order = Prototype().order(2, orderId="BB1")
    order["paymentInfo"]["paymentId"] = "manual_1709272830000"
    lowdb.write(move.root, "VM-001", orders(order))
    await move.run()
    row = await move.order("BB1")
    assert (row["state"], row["captured_minor"], "synthetic_payment" in row["odd"]) == ("settled", 0, True)
    (payment,) = await move.rows("SELECT state, synthetic, captured_minor, amount_minor FROM payments")
    assert (payment["state"], payment["synthetic"], payment["captured_minor"]) == ("voided", True, 0)
    assert payment["amount_minor"] == row["total_minor"]


async def test_the_same_id_twice_is_two_orders_and_a_copy_is_one(move: Move) -> None:
    source = Prototype()
    one, two = source.order(orderId="BB1"), source.order(orderId="BB1")
    lowdb.write(move.root, "VM-001", orders(one, two, one, source.order(orderId="")))
    report = await move.run()
    (told,) = report.files
    assert (told.new, told.copies, told.odd["repeated_id"], told.odd["exact_copy"], told.odd["no_id"]) == (
        4,
        1,
        1,
        1,
        1,
    )
    assert (len(await move.rows("SELECT 1 FROM orders")), report.is_whole) == (3, True)
    assert (await move.run()).files[0].unchanged == 4


async def test_odd_words_of_a_status_are_told_and_the_payment_decides(move: Move) -> None:
    source = Prototype()
    paid, unpaid = source.order(paymentStatus="PAID-ish", orderId="BB1"), source.order(status="weird", orderId="BB2")
    failed = source.order(paymentStatus="cancelled", orderId="BB3")
    lowdb.write(move.root, "VM-001", orders(paid, unpaid, failed))
    await move.run()
    shown = [await move.order(one) for one in ("BB1", "BB2", "BB3")]
    assert [(row["state"], row["captured_minor"] > 0) for row in shown] == [
        ("settled", True),
        ("cancelled", False),
        ("cancelled", False),
    ]
    assert ["odd_status" in row["odd"] for row in shown] == [True, True, False]
    assert "cancelled_but_paid" in shown[2]["odd"]


async def test_12_nobody_claims_that_anything_fell(move: Move) -> None:
    lowdb.write(move.root, "VM-001", orders(*Prototype().orders(10)))
    await move.run()
    assert await values(move, "SELECT DISTINCT fulfilment FROM orders") == [("unknown_legacy",)]
    assert await values(move, "SELECT coalesce(sum(dispensed), 0)::int FROM sales_days") == [(0,)]


ITEMS: list[tuple[Record, set[str]]] = [
    ({"slot": "Z"}, {"odd_slot", "not_in_the_planogram"}),
    ({"slot": None}, {"odd_slot", "not_in_the_planogram"}),
    ({"slot": "a2"}, set()),
    ({"slot": "A1"}, {"slot_taken", "not_in_the_planogram"}),
    ({"price": "25"}, {"money_as_text"}),
    ({"price": "free"}, {"money_as_text", "odd_money", "not_in_the_planogram"}),
    ({"quantity": "many"}, {"odd_quantity"}),
    ({"quantity": -2}, {"odd_quantity"}),
    ({"quantity": 5000}, {"odd_quantity", "not_in_the_planogram"}),
    ({"name": ""}, {"odd_name"}),
    ({"image": "/product_img/../../x"}, {"odd_image"}),
]


async def test_odd_items_come_in_as_far_as_they_can(move: Move) -> None:
    for number, (more, _) in enumerate(ITEMS):
        lowdb.write(move.root, f"VM-{number:03}", None, stock(item(0), item(1, **more)))
    report = await move.run()
    assert [set(told.odd) for told in report.files] == [odd for _, odd in ITEMS]
    planned = await values(
        move,
        "SELECT count(s.id) FROM machines m JOIN planograms p ON p.machine_id = m.id"
        " JOIN planogram_slots s ON s.planogram_id = p.id GROUP BY m.id, m.name ORDER BY m.name",
    )
    assert [count for (count,) in planned] == [2 - ("not_in_the_planogram" in odd) for _, odd in ITEMS]
