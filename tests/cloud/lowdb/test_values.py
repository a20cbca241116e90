"""Numbers, times, images and ids as somebody's page once sent them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.lowdb import values
from cloud.lowdb.mapping import OrderFields
from cloud.lowdb.personal import Impersonal
from tests.fakes.lowdb import Prototype

UTC_ZONE = ZoneInfo("UTC")
AT = datetime(2024, 3, 1, 6, 0, 30, tzinfo=UTC)


@pytest.mark.criterion("2.6")
@pytest.mark.parametrize(
    "told",
    [
        "2024-03-01T06:00:30Z",
        "2024-03-01T11:30:30+05:30",
        "2024-03-01 06:00:30",
        1709272830,
        1709272830000,
        "1709272830",
        Decimal("1709272830.0"),
    ],
)
def test_one_moment_in_many_spellings(told: object) -> None:
    assert values.moment(told, UTC_ZONE) == AT


@pytest.mark.parametrize("told", [None, True, "", "soon", -1, 0, 10**20, "1900-01-01", "9999-12-31T23:59:59Z", [], {}])
def test_what_is_no_time(told: object) -> None:
    assert values.moment(told, UTC_ZONE) is None


def test_a_time_without_a_zone_is_of_the_machines() -> None:
    assert values.moment("2024-03-01T11:30:30", ZoneInfo("Asia/Kolkata")) == AT


@pytest.mark.parametrize("told", [True, "", "12 rupees", "nan", "Infinity", "1e999999", None, [], "9" * 41])
def test_what_is_no_number(told: object) -> None:
    assert values.number(told) is None


@pytest.mark.criterion("2.6")
@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("/VM-001/Inventory/product_images/a b.png", ("VM-001", "a b.png")),
        ("/product_img/a%20b.png", (None, "a b.png")),
        ("https://pictures.example/VM-002/Inventory/product_images/c.jpg?v=1", ("VM-002", "c.jpg")),
        ("https://pictures.example/product_img/c.jpg", (None, "c.jpg")),
        ("c.jpg", (None, "c.jpg")),
        ("/VM-001/Inventory/product_images/../../secret", None),
        ("/product_img/..%2f..%2fsecret", None),
        ("/product_img/..", None),
        ("..\\secret", None),
        ("/product_img/a\0.png", None),
        ("/", None),
        ("", None),
        (7, None),
        ("http://[", None),
    ],
)
def test_images_lead_nowhere_else(told: object, found: object) -> None:
    assert values.image_of(told) == found


@given(st.integers(0, 3 * 10**9 * 1000), st.text(max_size=5))
def test_an_id_has_its_moment_and_is_always_the_same(milliseconds: int, name: str) -> None:
    at = AT.replace(year=2000) + timedelta(milliseconds=milliseconds)
    made = values.derived_id(at, "a", name)
    assert made == values.derived_id(at, "a", name)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert abs((made.int >> 80) - at.timestamp() * 1000) <= 1
    assert made != values.derived_id(at, "a" + name)
    assert made != values.derived_id(at + timedelta(seconds=1), "a", name)


@pytest.mark.criterion("2.6")
def test_without_the_person_the_sale_is_left_and_nothing_unknown() -> None:
    impersonal, order = (
        Impersonal(OrderFields()),
        Prototype().order(note="call Test Person", customerName="Test Person"),
    )
    order["customerPhone"] = "+919811112222"
    order["paymentInfo"]["contact"] = "+919811112222"
    order["items"][0]["for"] = "Test Person"
    assert not impersonal.is_all(order)
    kept = impersonal.alone(order)
    assert isinstance(kept, dict)
    text = values.json_text(kept)
    assert not [word for word in ("Test Person", "98111", "vpa", "tester") if word in text]
    assert kept["items"][0]["name"] == order["items"][0]["name"]
    assert kept["paymentInfo"]["paymentAmount"] == order["paymentInfo"]["paymentAmount"]
    assert kept["orderId"] == order["orderId"]
    assert impersonal.is_all(kept | {"customerName": None})


def test_json_keeps_the_text_of_numbers() -> None:
    told = {"a": Decimal("1.50"), "b": [True, None, 2, "é\n"], "c": {}}
    assert values.json_text(told) == '{"a": 1.50, "b": [true, null, 2, "\\u00e9\\n"], "c": {}}'
