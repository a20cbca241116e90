"""Which files are read, what they become by a mapping, and what nobody is led to."""

import json
import os
from pathlib import Path

import pytest

from cloud.lowdb.folder import Changing, Folder, NotTaken
from cloud.lowdb.mapping import MappingRefused, built_in, read_mapping
from tests.cloud.lowdb.conftest import Move, tenant
from tests.fakes import lowdb
from tests.fakes.lowdb import Prototype, item
from tests.fakes.pictures import picture

pytestmark = pytest.mark.criterion("2.6")

FOREIGN = """
currency = "EUR"
time_zone = "Europe/Berlin"

[[collections]]
kind = "orders"
file = "db.json"
collection = "sales"
machine_field = "box"
[collections.fields]
id = "no"
placed_at = "when"
status = "state"
total_minor = "cents"
paid_minor = "cents"
items = "lines"
item_id = "sku"
item_name = "title"
item_price_minor = "cents"
item_quantity = "n"

[[collections]]
kind = "inventory"
file = "db.json"
collection = "stock"
machine = "Lobby"
[collections.fields]
id = "sku"
name = "title"
price_minor = "cents"
quantity = "left"
slot = "place"

[machines.Lobby]
name = "Lobby, ground floor"
site = "Head office"
"""


async def test_another_users_file_comes_in_by_a_mapping(move: Move) -> None:
    sale = {"no": 7, "box": "Lobby", "when": "2024-03-01T12:00:00", "state": "PAID", "cents": 240}
    sale["lines"] = [{"sku": "n1", "title": "Nuts", "cents": 120, "n": 2}]
    lost = sale | {"box": "../etc", "no": 8}
    stock = [{"sku": "n1", "title": "Nuts", "cents": 120, "left": 9, "place": "C3"}]
    file = {"version": 3, "users": [{"id": 1}], "stock": stock, "sales": [sale, lost]}
    (move.root / "db.json").write_text(json.dumps(file))
    move.mapping = read_mapping(FOREIGN, "map.toml")
    (told,) = (await move.run()).files
    assert (told.beside, told.new, told.without_machine) == ({"version": 1, "users": 1}, 2, 1)
    (order,) = await move.rows("SELECT o.*, m.name FROM orders o JOIN machines m ON m.id = o.machine_id")
    assert (order["name"], order["captured_minor"], order["currency"]) == ("Lobby, ground floor", 240, "EUR")
    assert order["placed_at"].isoformat() == "2024-03-01T11:00:00+00:00"
    (line,) = await move.rows("SELECT price_minor, quantity, product_id IS NOT NULL AS known FROM order_lines")
    assert tuple(line.values()) == (120, 2, True)
    assert [row["name"] for row in await move.rows("SELECT name FROM sites")] == ["Head office"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("currency = [", "map.toml: "),
        ('\ncurrency = "rupees"', "map.toml, line 2: currency: "),
        ('time_zone = "Mars"', "map.toml, line 1: time_zone: "),
        ('[machines."../x"]\nname = "x"', "machines"),
        ('[[collections]]\nkind = "orders"\nfile = "../x"\ncollection = "x"', "line 3: collections.0.file: "),
        ('[[collections]]\nkind = "sales"\nfile = "x"\ncollection = "x"', "collections.0: "),
        ('colour = "red"', "map.toml, line 1: colour: "),
    ],
)
def test_a_wrong_mapping_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(MappingRefused) as refused:
        read_mapping(text, "map.toml")
    assert said in str(refused.value)


async def test_10_machines_go_to_tenants_sites_and_names_by_the_mapping(move: Move) -> None:
    other = await tenant(move.database)
    for machine in ("VM-001", "VM-002"):
        lowdb.write(move.root, machine, lowdb.text("orders", Prototype(machine).orders(2)))
    move.mapping = read_mapping(
        f'[machines."VM-002"]\ntenant = "{other}"\nname = "Second"\nsite = "Station"', "map.toml"
    )
    assert (await move.run()).is_whole
    assert [row["name"] for row in await move.rows("SELECT name FROM machines")] == ["VM-001"]
    move.tenant_id = other
    rows = await move.rows("SELECT m.name, s.name AS site FROM machines m JOIN sites s ON s.id = m.site_id")
    assert [tuple(row.values()) for row in rows] == [("Second", "Station")]


async def test_10_by_default_all_machines_are_of_one_tenant(move: Move) -> None:
    for machine in ("VM-001", "VM-002", "VM-003"):
        lowdb.write(move.root, machine, lowdb.text("orders", Prototype("VM").orders(2)))
    assert (await move.run()).is_whole
    machines = await move.rows("SELECT name FROM machines ORDER BY name")
    assert [row["name"] for row in machines] == ["VM-001", "VM-002", "VM-003"]
    assert len(await move.rows("SELECT 1 FROM orders")) == 6, "ids are unique within their machine only"


async def test_11_nothing_leads_out_of_the_folder(move: Move, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    lowdb.write(secret, "VM-009", lowdb.text("orders", Prototype().orders(1)))
    (move.root / "VM-009").symlink_to(secret / "VM-009")
    lowdb.write(move.root, "VM-001", "{}")
    (move.root / "VM-001/Inventory/product_images").mkdir(parents=True)
    (move.root / "VM-001/Inventory/product_images/a.png").symlink_to(secret / "VM-009/Orders/orders.db")
    os.mkfifo(move.root / "VM-001" / "pipe")
    lowdb.write(move.root, "..strange", "{}")
    lowdb.write(move.root, "a b", "{}")
    lowdb.write(move.root, "VM-001/deeper", "{}")
    report = await move.run()
    assert [f.path for f in report.files] == ["VM-001/Orders/orders.db"]
    assert {one["path"]: one["why"].split(":")[0] for one in report.left} == {
        "VM-009": "is a link",
        "VM-001/Inventory/product_images/a.png": "is a link",
        "VM-001/pipe": "is no file",
        "..strange/Orders/orders.db": "lies in a folder that is called like no machine",
        "a b/Orders/orders.db": "lies in a folder that is called like no machine",
        "VM-001/deeper/Orders/orders.db": "is nothing the mapping names",
    }
    assert await move.rows("SELECT 1 FROM orders") == []


def test_a_file_that_is_written_to_or_became_a_link_is_not_taken(tmp_path: Path) -> None:
    lowdb.write(tmp_path, "VM-001", "{}")
    folder, path = Folder(tmp_path, built_in()), "VM-001/Orders/orders.db"
    with pytest.raises(Changing), folder.opened(path):
        (tmp_path / path).write_text('{"orders": []}')
    (tmp_path / path).unlink()
    (tmp_path / path).symlink_to("/etc/hostname")
    with pytest.raises(NotTaken), folder.opened(path):
        pass


async def test_9_pictures_are_shown_orphans_kept_and_missing_ones_listed(move: Move) -> None:
    styles = ["/VM-001/Inventory/product_images/0.png", "/product_img/1.jpg", "https://x.example/product_img/2.png?v=1"]
    lowdb.write(
        move.root,
        "VM-001",
        None,
        lowdb.text(
            "inventory", [*(item(n, image=image) for n, image in enumerate(styles)), item(3), item(4, image="../x")]
        ),
    )
    for name, content in (
        ("0.png", picture()),
        ("1.jpg", picture("PNG", (50, 40))),
        ("2.png", b"GIF89a no picture"),
        ("o.png", picture("PNG")),
    ):
        lowdb.picture_file(move.root, "VM-001", name, content)
    report = await move.run()
    outcomes = {one.path.rsplit("/", 1)[-1]: one.outcome.split(":")[0] for one in report.pictures}
    assert outcomes == {"0.png": "shown", "1.jpg": "shown", "2.png": "unreadable", "o.png": "orphan"}
    assert report.dangling == [{"machine": "VM-001", "item": "3", "picture": "3.png"}]
    assert report.files[0].odd["odd_image"] == 1
    shown = await move.rows(
        "SELECT p.name, x.media_type FROM product_pictures x JOIN products p ON p.id = x.product_id"
    )
    assert sorted(tuple(row.values()) for row in shown) == [
        ("Masala Chips", "image/png"),
        ("Salted Peanuts", "image/jpeg"),
    ]
    assert len(await move.rows("SELECT 1 FROM legacy_files WHERE kind = 'picture'")) == 4
    again = await move.run()
    assert [one.outcome for one in again.pictures] == [one.outcome for one in report.pictures]
