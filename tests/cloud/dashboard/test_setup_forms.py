"""Between the forms of the wizard and what a setup keeps: without a browser, a server or a database."""

from typing import Any

import pytest

from cloud.clock import Clock, new_id
from cloud.dashboard.amounts import count, degrees, typed, whole
from cloud.dashboard.forms import Form
from cloud.dashboard.setup_devices_form import devices_form, outline_of, wiring_text
from cloud.dashboard.setup_site_form import gateway_edit, gateway_form, site_edit, site_form
from cloud.dashboard.setup_slots import MOST_FIELDS, Products, Reading, rows_of, slots_form, slots_of, span
from cloud.dashboard.setup_steps import Step, bar, field_of, next_step, problems_of, step_of, troubles
from cloud.dashboard.setup_words import differences
from cloud.errors import Refused
from cloud.setups.rules import DraftMachine, GatewayAddress, NewSite, SetupRow, SetupSite, SetupState
from cloud.templates.rules import MOST_SLOTS, MachineOutline, OutlineDevice, OutlineSlot, Wiring
from shared.contract import Rail
from shared.errors import FieldError

TEA, NUTS = new_id(), new_id()
READING = Reading(2, Products({TEA: "Tea", NUTS: "Nuts"}), ("Board 1",))
WIRING = Wiring(slots={"A1": {"motor": {"kind": "dc", "output": 25}}})


def form(**values: str) -> Form:
    """Its fields; `_` stands for the dash before a row."""
    return Form({name.replace("_", "-"): [text] for name, text in values.items()})


def slot(code: str = "A1", **changed: Any) -> OutlineSlot:
    given: dict[str, Any] = {
        "device": "Board 1",
        "product_id": TEA,
        "price_minor": 2550,
        "capacity": 10,
        "par_level": 3,
    }
    return OutlineSlot(slot=code, **given | changed)


def outline(
    *slots: OutlineSlot, devices: tuple[OutlineDevice, ...] = (OutlineDevice(name="Board 1"),)
) -> MachineOutline:
    return MachineOutline(rail=Rail.CASH, devices=devices, slots=slots)


def setup(*problems: str, **changed: Any) -> SetupRow:
    now, row_id = Clock().now(), new_id()
    row = SetupRow(
        setup_id=row_id, name="Pune", state=SetupState.OPEN, site_id=None, created_by="Asha", created_at=now,
        changed_at=now, finished_at=None, site=None, gateway_name=None, gateway_id=None, gateway_address=None,
        wifi_ssid=None, machines=(), problems=tuple(FieldError(path=path, message="no") for path in problems),
    )  # fmt: skip
    return row.model_copy(update=changed)


def machine(wanted: MachineOutline) -> DraftMachine:
    return DraftMachine(machine_id=new_id(), name="Snacks", outline=wanted, device_ids={})


def wrong(refused: pytest.ExceptionInfo[Refused]) -> list[str]:
    return [error.path for error in refused.value.errors]


@pytest.mark.parametrize(
    ("text", "digits", "minor"),
    [
        ("25", 2, 2500), ("25.5", 2, 2550), ("0,05", 2, 5), ("1000", 0, 1000), ("1.005", 3, 1005), (" 7 ", 2, 700),
        ("1.005", 2, None), ("1,000", 3, None), ("1,000", 2, None), ("25.", 2, None), ("-1", 2, None), ("", 2, None),
        ("1e3", 2, None), ("٣", 2, None), ("25.5", 0, None), (".5", 2, None),
    ],
)  # fmt: skip
def test_an_amount_is_read_to_the_last_digit_or_not_at_all(text: str, digits: int, minor: int | None) -> None:
    assert whole(text, digits) == minor
    if minor is not None:
        assert whole(typed(minor, digits), digits) == minor


def test_numbers_of_things_and_places_are_plain() -> None:
    assert (count(" 12 "), count("1.5"), count("-1"), count("٣")) == (12, None, None, None)
    assert (degrees("-18.5"), degrees("1e1"), degrees("nan"), degrees("1000")) == (-18.5, None, None, None)


def test_a_site_comes_back_as_it_was_given() -> None:
    new = NewSite(
        name="Station", address="1", latitude=18.5, longitude=-0.25, currency="INR", time_zone="Asia/Kolkata",
        tax_basis_points=550,
    )  # fmt: skip
    for site in (SetupSite(new=new), SetupSite(site_id=new_id())):
        edit = site_edit(site_form(setup(site=site), None))
        assert edit is not None
        assert edit.site == site
    begun = site_edit(Form({"site": ["new"], "address": ["Platform 1"]}))
    assert begun is not None
    assert begun.site == SetupSite(new=NewSite(address="Platform 1")), "kept before all of it is known"
    assert site_form(setup(site=begun.site), None).get("currency") == ""


def test_all_that_is_wrong_with_a_site_is_said_at_once() -> None:
    given = Form(
        {"site": ["new"], "latitude": ["x"], "tax": ["101"], "time_zone": ["Mars/Base"], "currency": ["RUPEE"]}
    )
    with pytest.raises(Refused) as refused:
        site_edit(given)
    assert set(wrong(refused)) == {"latitude", "tax", "time_zone", "currency"}, "a name may still come"
    assert site_edit(Form({"site": ["new"], "currency": ["INR"]})) is None, "nothing is said but what was offered"
    assert site_edit(Form()) is None


def test_a_wifi_that_is_kept_is_left_alone() -> None:
    before = setup(wifi_ssid="shop", gateway_name="Pi")
    assert "wifi" not in gateway_edit(gateway_form(before), before).model_fields_set
    changed = gateway_edit(Form({"ssid": ["shop"], "password": ["long enough"]}), before)
    assert (changed.wifi and changed.wifi.password, changed.gateway_name) == ("long enough", None)
    with pytest.raises(Refused) as refused:
        gateway_edit(Form({"password": ["long enough"]}), before)
    assert wrong(refused) == ["ssid"]


def test_what_is_emptied_is_taken_away() -> None:
    before = setup(wifi_ssid="shop", gateway_name="Pi", gateway_address=GatewayAddress(host="10.0.0.2"))
    emptied = {name: [""] for name in ("gateway_name", "ssid", "password", "host", "port")}
    edit = gateway_edit(Form(emptied), before)
    assert edit.model_dump(exclude_unset=True) == {"gateway_name": None, "wifi": None, "gateway_address": None}
    del emptied["gateway_name"]
    assert "gateway_name" not in gateway_edit(Form(emptied), before).model_fields_set, "it was not asked"


def test_rows_come_back_as_they_were_given() -> None:
    slots = (slot(), slot("A2", product_id=None, product_name="Soup", opening=4), slot("B1", product_id=None))
    assert slots_of(slots_form(outline(*slots), READING), READING) == slots


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("A1", "A1"),
        ("a1-a3", "A1 A2 A3"), ("A1…2, c9", "A1 A2 C9"), ("A1 – B2", "A1 A2 B1 B2"), ("A1 to A2", "A1 A2"),
        ("", ""), ("A", ""), ("A3-A1", ""), ("B1-A2", ""), ("A0-Z99", ""), ("A1-A2-A3", ""), ("11", ""),
    ],
)  # fmt: skip
def test_trays_are_named_as_people_name_them(text: str, codes: str) -> None:
    errors: dict[str, str] = {}
    assert span(text, errors) == codes.split()
    assert bool(errors) is (bool(text) and not codes)


def test_a_product_is_found_whatever_its_capitals_or_is_new() -> None:
    given = form(slot_new="A1", product_new=" nUTS ", price_new="1", capacity_new="5")
    (found,) = slots_of(given, READING)
    assert (found.product_id, found.product_name, found.par_level, found.opening) == (NUTS, None, 0, 0)
    (found,) = slots_of(form(slot_new="A1", product_new="Soup  of day", price_new="1", capacity_new="5"), READING)
    assert (found.product_id, found.product_name) == (None, "Soup of day")


def test_every_wrong_row_is_named_and_none_that_is_removed() -> None:
    given = form(
        slot_0="A1", price_0="1", capacity_0="5", slot_1="?", price_1="x", capacity_1="", slot_2="!", remove_2="yes",
        slot_new="A1", price_new="1", capacity_new="1001", product_new="x" * 121,
    )  # fmt: skip
    with pytest.raises(Refused) as refused:
        slots_of(given, READING)
    assert wrong(refused) == ["slot-1", "price-1", "capacity-1", "slot-new"]
    assert rows_of(given) == [0, 1, 2]


def test_the_largest_machine_fits_into_a_form() -> None:
    codes = [f"{tray}{number}" for tray in "ABCDEFGHIJKL" for number in range(1, 21)]
    largest = slots_form(outline(*(slot(code) for code in codes)), READING)
    assert len(codes) == MOST_SLOTS
    assert len(largest.values) + MOST_SLOTS < MOST_FIELDS
    with pytest.raises(Refused, match="fields"):
        slots_of(Form(largest.values | form(slot_new="Z1", price_new="1", capacity_new="1").values), READING)


def test_slots_follow_a_device_that_is_renamed_and_the_only_one_left() -> None:
    two = outline(
        slot(device="Left"),
        slot("A2", device="Right"),
        devices=(OutlineDevice(name="Left", wiring=WIRING), OutlineDevice(name="Right")),
    )
    given = devices_form(two)
    assert outline_of(given, two) == two
    renamed = outline_of(Form(given.values | {"device-0": ["Door"]}), two)
    assert [one.device for one in renamed.slots] == ["Door", "Right"]
    left = outline_of(Form(given.values | {"remove-0": ["yes"]}), two)
    assert ([one.device for one in left.slots], len(left.devices)) == (["Right", "Right"], 1)
    more = outline_of(Form(given.values | {"device-new": ["Third"]}), two)
    assert [device.name for device in more.devices] == ["Left", "Right", "Third"]


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "3", "{}", '{"slots": {"A1": 1}, "slots": {}}', '{"slots": {"AA": 1}}', '{"wifi": {}}', "[" * 9000],
)
def test_a_pin_map_that_is_none_is_said_at_its_device(text: str) -> None:
    before = outline(slot())
    with pytest.raises(Refused) as refused:
        outline_of(Form(devices_form(before).values | {"wiring-0": [text]}), before)
    assert wrong(refused) == ["wiring-0"]


def test_a_pin_map_is_written_as_it_is_read() -> None:
    assert Wiring.model_validate_json(wiring_text(WIRING)) == WIRING


@pytest.mark.parametrize(
    ("path", "step", "field"),
    [
        ("site", Step.SITE, "site"),
        ("site.new.longitude", Step.SITE, "longitude"),
        ("gateway_name", Step.GATEWAY, "gateway_name"),
        ("machines", Step.MACHINES, ""),
        ("machines.1.outline.slots", Step.MACHINES, ""),
        ("machines.1.outline.slots.3.par_level", Step.MACHINES, "par-3"),
        ("machines.1.outline.slots.3.product_id", Step.MACHINES, "product-3"),
        ("machines.1.outline.devices", Step.DEVICES, ""),
        ("machines.1.outline.devices.2.wiring.slots.A1", Step.DEVICES, "wiring-2"),
    ],
)
def test_a_problem_belongs_to_a_field_of_a_step(path: str, step: Step, field: str) -> None:
    assert (step_of(path), field_of(path)) == (step, field)


def test_a_step_not_begun_is_not_called_wrong() -> None:
    fresh = setup("site", "machines")
    assert {link.standing for link in bar(fresh, Step.SITE)} == {"open"}
    assert next_step(fresh) is Step.SITE
    assert [trouble.step for trouble in troubles(fresh)] == [Step.SITE, Step.MACHINES]
    sited = setup(
        "machines.0.outline.slots.0.par_level", site=SetupSite(site_id=new_id()), machines=(machine(outline(slot())),)
    )
    assert [link.standing for link in bar(sited, Step.SITE)] == ["done", "done", "bad", "open", "open"]
    assert problems_of(sited, Step.MACHINES, 0) == {"par-0": "no"}
    assert problems_of(sited, Step.MACHINES) == {}
    (trouble,) = troubles(sited)
    assert (trouble.message, trouble.href.partition("?")[2]) == ("Snacks, slot A1: no.", "look=1#par-0")


def test_what_is_other_than_at_the_template_is_said() -> None:
    before = outline(slot(), slot("A2"))
    now = outline(slot(price_minor=3000, product_id=NUTS, capacity=9, par_level=2), slot("B1"))
    told = list(differences(now.model_copy(update={"rail": Rail.FREE}), before, "INR", READING.products))
    assert told == [
        "People pay with nothing: products are free.",
        "Slot A1 has Nuts, not Tea.",
        "Slot A1 costs INR 30.00, not INR 25.50.",
        "Slot A1 has room for 9, not 10.",
        "Slot A1 is filled at 2, not 3.",
        "Slot B1 is one more.",
        "Slot A2 is left out.",
    ]
    wired = outline(slot(), slot("A2"), devices=(OutlineDevice(name="Board 1", wiring=WIRING), OutlineDevice(name="X")))
    assert list(differences(wired, before, "INR", READING.products)) == [
        "Device Board 1 has another pin map.",
        "Device X is one more, or is called otherwise.",
    ]
    assert list(differences(before, before, "INR", READING.products)) == []
