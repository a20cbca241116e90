"""What keeps a setup from being finished: each thing named where it is."""

import json
from textwrap import wrap
from typing import Any
from uuid import UUID

import pytest
from pydantic import TypeAdapter, ValidationError

from cloud.clock import new_id
from cloud.configuration.rules import MAX_TEXT, settings_text
from cloud.onboarding.rules import new_claim_code
from cloud.setups.rules import (
    Draft,
    DraftMachine,
    Known,
    KnownSite,
    NewSite,
    SetupEdit,
    SetupSite,
    Wifi,
    device_settings,
    review,
)
from cloud.templates.rules import MachineOutline, OutlineDevice, OutlineSlot, Wiring
from shared.onboarding import Certificate

SITE, BARE_SITE, PRODUCT = new_id(), new_id(), new_id()
KNOWN = Known(
    {SITE: KnownSite("INR", has_gateway=True), BARE_SITE: KnownSite("INR", has_gateway=False)}, frozenset({PRODUCT})
)
WIRING = Wiring(slots={"A1": {"motor": {"kind": "dc", "output": 25}, "home": 26}})
NEW = NewSite(name="Station", currency="INR", time_zone="Asia/Kolkata")


def slot(**changed: Any) -> OutlineSlot:
    content: dict[str, Any] = {
        "slot": "A1",
        "device": "board",
        "product_id": PRODUCT,
        "price_minor": 2500,
        "capacity": 12,
        "par_level": 4,
    }
    return OutlineSlot(**content | changed)


def machine(
    *slots: OutlineSlot, devices: tuple[OutlineDevice, ...] | None = None, name: str = "Snacks"
) -> DraftMachine:
    boards = (OutlineDevice(name="board", wiring=WIRING),) if devices is None else devices
    ids: dict[str, UUID] = {board.name: new_id() for board in boards}
    outline = MachineOutline(devices=boards, slots=slots)
    return DraftMachine(machine_id=new_id(), name=name, outline=outline, device_ids=ids)


def draft(*machines: DraftMachine, site: SetupSite | None = None, gateway_name: str | None = None) -> Draft:
    return Draft(
        site=site or SetupSite(site_id=SITE), gateway_name=gateway_name, machines=machines or (machine(slot()),)
    )


def paths(wanted: Draft) -> list[str]:
    return [error.path for error in review(wanted, KNOWN)]


def test_a_complete_draft_lacks_nothing() -> None:
    assert paths(draft()) == []
    assert paths(draft(site=SetupSite(new=NEW), gateway_name="Pi")) == []
    assert paths(draft(machine(slot(product_id=None, product_name="Nuts", opening=12)))) == []


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        (Draft(machines=(machine(slot()),)), "site"),
        (draft(site=SetupSite()), "site"),
        (draft(site=SetupSite(site_id=SITE, new=NEW)), "site"),
        (draft(site=SetupSite(site_id=new_id())), "site.site_id"),
        (draft(site=SetupSite(new=NEW)), "gateway_name"),
        (draft(site=SetupSite(site_id=BARE_SITE)), "gateway_name"),
        (draft(site=SetupSite(new=NEW.model_copy(update={"latitude": 1.0})), gateway_name="Pi"), "site.new.longitude"),
        (draft().model_copy(update={"wifi": Wifi(ssid=11 * "€", password="x" * 8)}), "wifi.ssid"),
        (draft().model_copy(update={"wifi": Wifi(ssid=10 * "€", password="€" * 22)}), "wifi.password"),
        (Draft(site=SetupSite(site_id=SITE)), "machines"),
        (draft(machine(slot()), machine(slot())), "machines"),
        (draft(machine(slot(), devices=())), "machines.0.outline.devices"),
        (draft(machine()), "machines.0.outline.slots"),
        (draft(machine(slot(), slot())), "machines.0.outline.slots"),
        (draft(machine(slot(), devices=2 * (OutlineDevice(name="board"),))), "machines.0.outline.devices"),
        (draft(machine(slot(product_id=None))), "machines.0.outline.slots.0.product_id"),
        (draft(machine(slot(product_name="Nuts"))), "machines.0.outline.slots.0.product_id"),
        (draft(machine(slot(product_id=new_id()))), "machines.0.outline.slots.0.product_id"),
        (draft(machine(slot(par_level=13))), "machines.0.outline.slots.0.par_level"),
        (draft(machine(slot(opening=13))), "machines.0.outline.slots.0.opening"),
        (draft(machine(slot(device="other"))), "machines.0.outline.slots.0.device"),
        (draft(machine(slot(slot="B1"))), "machines.0.outline.slots.0.slot"),
    ],
)
def test_each_thing_that_is_missing_or_wrong_is_named(wanted: Draft, path: str) -> None:
    assert paths(wanted)[:1] == [path]


@pytest.mark.criterion("9.2")
def test_wiring_is_judged_by_the_boards_own_code() -> None:
    """GPIO 6 holds the ESP32's flash: no board would boot with a motor there."""
    wiring = Wiring(slots={"A1": {"motor": {"kind": "dc", "output": 6}, "home": 26}})
    (error,) = review(draft(machine(slot(), devices=(OutlineDevice(name="board", wiring=wiring),))), KNOWN)
    assert error.path.startswith("machines.0.outline.devices.0.wiring.slots.A1")


def test_what_a_review_lets_pass_has_room_for_the_ca_and_the_code_of_the_sheet() -> None:
    ca, longer = (
        "\n".join(["-----BEGIN CERTIFICATE-----", *wrap(letters * "A", 64), "-----END CERTIFICATE-----", ""])
        for letters in (3976, 3980)
    )
    assert TypeAdapter(Certificate).validate_python(ca)
    with pytest.raises(ValidationError):
        TypeAdapter(Certificate).validate_python(longer)

    def long(characters: int) -> DraftMachine:
        wiring = Wiring(slots={"A1": "x" * characters})
        return machine(slot(), devices=(OutlineDevice(name="board", wiring=wiring),))

    def told(one: DraftMachine) -> str:
        return settings_text(device_settings(draft(), one, one.outline.devices[0], "INR", ca, new_claim_code()))

    room = MAX_TEXT - len(told(long(0)))
    just, over = long(room), long(room + 1)
    assert len(told(over)) == MAX_TEXT + 1
    wrong = [[error.message for error in review(draft(one), KNOWN)][-1] for one in (just, over)]
    assert ["characters at most" in message for message in wrong] == [False, True]


def test_no_error_about_what_is_kept_tells_a_password() -> None:
    told = "nobody knows this"
    wifi = json.dumps({"password": told})
    for model, text in ((Wifi, wifi), (Draft, f'{{"wifi": {wifi}}}'), (SetupEdit, f'{{"wifi": {wifi}}}')):
        with pytest.raises(ValidationError) as refused:
            model.model_validate_json(text)
        assert told not in str(refused.value), model


def test_a_device_is_told_its_place_and_its_wiring() -> None:
    one = machine(slot())
    told = device_settings(draft(), one, one.outline.devices[0], "INR", "PEM", "code")
    assert told["device_id"] == str(one.device_ids["board"])
    assert told["slots"] == {"A1": {"motor": {"kind": "dc", "output": 25}, "home": 26}}
    assert told["claim_code"] == "code"
    assert "wifi" not in told
