"""What was taken over is given back: every record as it was written, pictures byte by byte, nobody who was erased."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from cloud.callers import system
from cloud.customers.service import Because
from cloud.database import Transaction
from cloud.encryption.rotation import ENCRYPTION, INDEXING, Rotation
from cloud.erasure.service import Eraser, erase
from cloud.lowdb.export import Export, compare
from cloud.lowdb.originals import Archived, Originals
from cloud.lowdb.report import Report
from cloud.lowdb.service import Import
from cloud.object_store import path_of
from tests.cloud.conftest import Server
from tests.cloud.customers.test_customers import everywhere
from tests.cloud.lowdb.conftest import Move
from tests.fakes import encryption_keys, lowdb
from tests.fakes.lowdb import Prototype
from tests.fakes.pictures import picture

pytestmark = pytest.mark.criterion("2.6")
PHONE, NAME, UPI = "+919820012345", "Test Kulkarni", "test.k@testbank"


async def given_back(move: Move, folder: Path) -> Path:
    folder.mkdir()
    await Export(move.database, move.originals, encryption_keys.keyring()).write(folder, move.tenant_id)
    return folder


async def test_every_record_comes_back_as_it_was_written(move: Move, tmp_path: Path) -> None:
    source = Prototype()
    dirty = (
        '{"orderId":"BB1","totalAmount": 4.50, "x": 1E2, "y": 12345678901234567890123, "note": "\\u00e9 é", "z": null}'
    )
    records = [json.dumps(order) for order in (*source.orders(600), source.order(3))]
    copies = [records[3], "null", "7", "{}", dirty, records[-1]]
    lowdb.write(
        move.root,
        "VM-001",
        '{"orders": [' + ",".join([*records, *copies]) + "]}",
        lowdb.text("inventory", lowdb.inventory()),
    )
    lowdb.write(move.root, "VM-002", lowdb.text("orders", Prototype("VM-002").orders(3)))
    for name, content in (("0.png", picture("PNG")), ("orphan.jpg", picture()), ("text.png", b"no picture at all")):
        lowdb.picture_file(move.root, "VM-001", name, content)
    assert (await move.run()).is_whole
    back = await given_back(move, tmp_path / "back")
    compared = compare(move.root, back, move.mapping)
    assert [(one.equal, one.missing, one.more) for one in compared] == [(5, 0, 0), (607, 0, 0), (3, 0, 0)]
    had, has = ((root / "VM-001/Orders/orders.db").read_text() for root in (move.root, back))
    assert [json.dumps(one) for one in json.loads(had)["orders"]] == [
        json.dumps(one) for one in json.loads(has)["orders"]
    ]
    for name in ("0.png", "orphan.jpg", "text.png"):
        path = f"VM-001/Inventory/product_images/{name}"
        assert (back / path).read_bytes() == (move.root / path).read_bytes()
    (back / "VM-002/Orders/orders.db").write_text(lowdb.text("orders", Prototype("VM-002").orders(3)[:2]))
    assert [(one.equal, one.missing) for one in compare(move.root, back, move.mapping)][2] == (2, 1)


async def test_originals_lie_archived_and_encrypted(move: Move, server: Server) -> None:
    order = Prototype().order(customerPhone=PHONE, customerName=NAME, vpa=UPI, note="mind the dog, says Test Kulkarni")
    content = lowdb.text("orders", [order])
    lowdb.write(move.root, "VM-001", content)
    await move.run()
    (row,) = await move.rows("SELECT id, path, sha256, object, archive_key FROM legacy_files")
    stored = await move.store.get(path_of(move.tenant_id, row["object"]))
    archived = Archived(row["object"], row["archive_key"])
    read = b"".join([piece async for piece in move.originals.read(move.tenant_id, row["id"], archived)])
    assert read == content.encode()
    kept = await everywhere(server, move.database._url) | {"objects": stored.decode("latin-1")}
    words = (PHONE, NAME, UPI, "Kulkarni", "the dog")
    assert [(table, word) for table, text in kept.items() for word in words if word in text] == []


async def test_an_erased_person_is_gone_from_the_originals_and_stays_away(
    move: Move, server: Server, tmp_path: Path
) -> None:
    source = Prototype()
    theirs = source.order(customerPhone=PHONE, customerName=NAME, vpa=UPI, orderId="BB1")
    lowdb.write(move.root, "VM-001", lowdb.text("orders", [theirs, source.order(orderId="BB2", customerPhone=None)]))
    await move.run()
    customers = "SELECT c.id, o.order_id FROM customers c JOIN customer_orders o ON o.customer_id = c.id"
    (customer,) = await move.rows(customers)
    sold = await move.rows("SELECT * FROM orders ORDER BY id")

    async def work(transaction: Transaction) -> bool:
        at = move.clock.now()
        return await erase(transaction, system("test"), move.tenant_id, customer["id"], Because.REQUEST, at)

    assert await move.database.unit("test", work, tenant_id=move.tenant_id)
    assert await move.rows("SELECT * FROM orders ORDER BY id") == sold
    for told in (await move.run(), await move.run()):
        assert (told.files[0].erased, told.files[0].unchanged) == (1, 1)
    assert await move.rows(customers) == []
    assert await move.rows("SELECT object, archive_key FROM legacy_files") == [{"object": None, "archive_key": None}]
    (kept,) = await move.rows("SELECT kept_until IS NOT NULL AS goes FROM stored_objects")
    assert kept["goes"]
    back = await given_back(move, tmp_path / "back")
    first, second = json.loads((back / "VM-001/Orders/orders.db").read_text())["orders"]
    assert (first["orderId"], first["larderErased"]) == ("BB1", "request")
    assert first["total_minor"] == theirs["totalAmount"] * 100
    assert [line["name"] for line in first["items"]] == [line["name"] for line in theirs["items"]]
    assert second["orderId"] == "BB2"


async def test_what_no_customer_is_known_of_goes_when_its_time_is_over(move: Move) -> None:
    order = Prototype().order(customerPhone="no number at all", customerName=NAME, orderId="BB1")
    anonymous = Prototype(seed=2).order(status="cancelled", customerPhone=None, customerName=None, orderId="BB2")
    lowdb.write(move.root, "VM-001", lowdb.text("orders", [order, anonymous]))
    await move.run()
    move.clock.at += timedelta(days=364)
    await Eraser(move.database, move.clock).erase_outlived()
    assert await move.rows("SELECT 1 FROM legacy_records WHERE erased_at IS NOT NULL") == []
    move.clock.at += timedelta(days=2)
    await Eraser(move.database, move.clock).erase_outlived()
    erased = await move.rows("SELECT legacy_id, erased_because FROM legacy_records WHERE original IS NULL")
    assert [tuple(row.values()) for row in erased] == [("BB1", "retention")]


async def test_other_keys_read_and_compare_what_was_taken_over(move: Move, tmp_path: Path) -> None:
    lowdb.write(move.root, "VM-001", lowdb.text("orders", Prototype().orders(5)))
    await move.run()
    both = encryption_keys.keyring("new", "test", indexes=("new index", "blind index"))
    new = encryption_keys.keyring("new", indexes=("new index",))
    for family in (ENCRYPTION, INDEXING):
        rotation = Rotation(move.database, both, family)
        await rotation.begin()
        assert (await rotation.rotate(100, lambda _: None)).unreadable == 0
    originals = Originals(move.database, move.store, new, move.limits.tenant_bytes)
    report = Report(dry_run=False)
    await Import(move.database, originals, new, move.clock, move.mapping, lambda *_: None).records(
        move.root, move.tenant_id, report
    )
    assert (report.files[0].unchanged, report.is_whole) == (5, True)
    (tmp_path / "back").mkdir()
    await Export(move.database, originals, new).write(tmp_path / "back", move.tenant_id)
    assert [one.equal for one in compare(move.root, tmp_path / "back", move.mapping)] == [5]
