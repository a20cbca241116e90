"""Which zones must stay cold, and how cold, as the settings say it."""

import json
from typing import Any

import pytest

from firmware.vending.checks import SettingsError
from firmware.vending.settings import Limits, parse

ID = "01890000-0000-7000-8000-000000000001"
ROMS = {"top": "28" + 14 * "0", "bottom": "28" + 14 * "1"}


def limits(climate: dict[str, Any], zones: dict[str, Any] | None = None) -> dict[str, Limits]:
    """What the settings come to for a device of two slots."""
    values = {
        "machine_id": ID,
        "device_id": ID,
        "currency": "INR",
        "ca_pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "slots": {"A1": {}, "A2": {}},
        "board": {"temperatures": {"pin": 33, "zones": ROMS if zones is None else zones}},
        "climate": climate,
        "gateway_host": "gateway",
    }
    found: dict[str, Limits] = parse(json.dumps(values).encode()).climate
    return {zone: limits._replace(slots=tuple(limits.slots)) for zone, limits in found.items()}


def test_every_zone_with_a_thermometer_must_stay_cold_unless_it_is_said_to_be_free() -> None:
    usual = Limits(500, 900_000, 1_800_000, ("A1", "A2"))
    assert limits({}) == {"top": usual, "bottom": usual}
    assert limits({"top": None}) == {"bottom": usual}


def test_a_zone_has_limits_and_slots_of_its_own() -> None:
    told = {"limit": -1800, "warm_s": 60, "grace_s": 0, "slots": ["A2"]}
    assert limits({"top": told})["top"] == Limits(-1800, 60_000, 0, ("A2",))


@pytest.mark.parametrize(
    ("climate", "reason"),
    [
        ({"cellar": {}}, "climate has an unknown setting: cellar"),
        ({"top": {"limit": 5.0}}, "climate.top.limit must be -4000 to 6000 hundredths of a degree"),
        ({"top": {"warm_s": 0}}, "climate.top.warm_s must be 1 to 86400 s"),
        ({"top": {"grace_s": -1}}, "climate.top.grace_s must be 0 to 86400 s"),
        ({"top": {"slots": ["B9"]}}, "climate.top.slots must list slots"),
        ({"top": {"slots": "A1"}}, "climate.top.slots must list slots"),
        ({"top": {"limits": 1}}, "climate.top has an unknown setting: limits"),
        ([], "climate must be an object"),
    ],
)
def test_a_wrong_one_is_refused_with_its_reason(climate: Any, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        limits(climate)


def test_a_zone_whose_name_no_gateway_takes_is_refused() -> None:
    with pytest.raises(SettingsError, match="names of 1 to 16"):
        limits({}, {"Top shelf": None})
