"""settings.json: what this device is and how it is wired. Checked as a whole before anything starts."""

import binascii
import json
from collections import namedtuple

from . import checks, pins
from .checks import is_int, is_text, merge, require
from .messages import is_hex, is_slot, is_uuid, is_zone
from .rules import MAX_AT_ONCE
from .wiring import asked_later, parse_line, parse_motor, parse_parts

Slot = namedtuple(
    "Slot",
    (
        "motor",
        "home",
        "empty",
        "turn_ms",
        "max_ms",
        "settle_ms",
        "home_edges",
        "extra_turn",
        "jam_ma",
        "soft_start_ms",
        "draw_ma",
        "chute",
    ),
)
"""A slot's wiring (wiring.py; None: not fitted) and its motor profile. A full turn lasts about `turn_ms` and closes the
home switch `home_edges` times; a motor is stopped after `max_ms`; a product may fall up to `settle_ms` after the motor
has stopped. With `extra_turn`, a full turn that dropped nothing may be followed by one more. A current of `jam_ma` is a
jam (None: only time tells). A motor takes `soft_start_ms` to come to its full speed. It draws `draw_ma` at
most (None: it turns alone), and what it pushes falls through `chute` (None: that of all slots that name none)."""

Limits = namedtuple("Limits", ("limit", "warm_ms", "grace_ms", "slots"))
"""Of a zone that must stay cold: above `limit` hundredths of a degree for `warm_ms` it locks, and with it `slots`, by
their codes. A door that opens, or a defrost that begins, suspends that for `grace_ms`."""

Wifi = namedtuple("Wifi", ("ssid", "password"))

Settings = namedtuple(
    "Settings",
    (
        "machine_id",
        "device_id",
        "currency",
        "ca_der",
        "claim_code",
        "gateway_host",
        "gateway_port",
        "mdns",
        "mdns_interface",
        "slots",
        "board",
        "climate",
        "wifi",
        "service_pin_sha256",
        "at_once",
    ),
)
"""What settings.json says, checked; and what follows from it: so many motors may turn `at_once` at most."""

_DEFAULTS = {
    "claim_code": None,
    "gateway_host": None,
    "gateway_port": 8883,
    "mdns": True,
    "mdns_interface": None,
    "board": {},
    "climate": {},
    "wifi": None,
    "service_pin_sha256": None,
}
_SLOT_DEFAULTS = {
    "motor": None,
    "home": None,
    "empty": None,
    "turn_ms": 1500,
    "max_ms": 6000,
    "settle_ms": 700,
    "home_edges": 1,
    "extra_turn": False,
    "jam_ma": None,
    "soft_start_ms": 0,
    "draw_ma": None,
    "chute": None,
}
_CLIMATE_DEFAULTS = {"limit": 500, "warm_s": 900, "grace_s": 1800, "slots": None}
_WIFI_DEFAULTS = {"ssid": None, "password": None}
MAX_SLOTS = 60
MAX_MOTION_MS = 20_000
"""The longest a vend may take, motor and settling together. A gateway that hears nothing gives it up after 30 s."""


SettingsError = checks.SettingsError


def parse(data: bytes) -> Settings:
    """The settings in the bytes of settings.json. Raises SettingsError."""
    try:
        given = json.loads(str(data, "utf-8"))
    except ValueError:
        raise SettingsError("settings.json is not JSON") from None
    values = merge("settings.json", given, _DEFAULTS, ("machine_id", "device_id", "currency", "ca_pem", "slots"))
    require(is_uuid(values["machine_id"]), "machine_id must be a UUID in lower case")
    require(is_uuid(values["device_id"]), "device_id must be a UUID in lower case")
    require(_is_currency(values["currency"]), "currency must be three capitals (ISO 4217)")
    require(is_text(values["claim_code"], 1, 128, optional=True), "claim_code must be a text of at most 128")
    require(is_text(values["gateway_host"], 1, 253, optional=True), "gateway_host must be a name or an address")
    require(is_int(values["gateway_port"], 1, 65535), "gateway_port must be 1 to 65535")
    require(isinstance(values["mdns"], bool), "mdns must be true or false")
    require(is_text(values["mdns_interface"], 7, 15, optional=True), "mdns_interface must be an IPv4 address")
    require(values["mdns"] or values["gateway_host"] is not None, "gateway_host is needed when mdns is false")
    values["ca_der"] = der(values.pop("ca_pem"))
    values["slots"] = parse_slots(values["slots"])
    values["board"] = parse_parts(values["board"])
    pins.check(values["board"], values["slots"])
    values["at_once"] = _at_once(values["slots"], values["board"].power_ma)
    values["climate"] = _climate(values["climate"], values["board"].temperatures, values["slots"])
    values["wifi"] = _wifi(values["wifi"])
    pin = values["service_pin_sha256"]
    require(pin is None or is_hex(pin, 64), "service_pin_sha256 must be 64 hex digits: SHA-256 of device_id:PIN")
    return Settings(**values)


def der(pem: object) -> bytes:
    """The first certificate of a PEM text as DER, the only form that MicroPython's load_verify_locations takes."""
    require(isinstance(pem, str) and "-----BEGIN CERTIFICATE-----" in pem, "ca_pem must be a PEM certificate")
    body = str(pem).split("-----BEGIN CERTIFICATE-----")[1].split("-----END CERTIFICATE-----")[0]
    try:
        return binascii.a2b_base64("".join(body.split()).encode())
    except ValueError:
        raise SettingsError("ca_pem must be a PEM certificate") from None


def parse_slots(given: object) -> dict:
    """The setting `slots`: code → Slot. Raises SettingsError."""
    if not isinstance(given, dict) or not 1 <= len(given) <= MAX_SLOTS:
        raise SettingsError("slots must name 1 to 60 slots")
    slots = {}
    for code in given:
        require(is_slot(code), "slots." + str(code) + " is no slot code such as A1")
        slots[code] = _slot("slots." + code, given[code])
    return slots


def _slot(where: str, given: object) -> Slot:
    values = merge(where, given, _SLOT_DEFAULTS)
    for time in ("turn_ms", "max_ms", "settle_ms"):
        require(is_int(values[time], 1, 60_000), where + "." + time + " must be 1 to 60000 ms")
    longest = values["max_ms"] + values["settle_ms"]
    require(longest <= MAX_MOTION_MS, where + ".max_ms and settle_ms must be 20000 ms at most together")
    require(isinstance(values["extra_turn"], bool), where + ".extra_turn must be true or false")
    turns_ms = values["turn_ms"] * (2 if values["extra_turn"] else 1)
    require(turns_ms <= values["max_ms"], where + ".max_ms must leave time for turn_ms, twice with an extra_turn")
    require(is_int(values["home_edges"], 1, 8), where + ".home_edges must be 1 to 8")
    require(is_int(values["jam_ma"], 1, 20_000, optional=True), where + ".jam_ma must be 1 to 20000 mA")
    require(is_int(values["soft_start_ms"], 0, 2_000), where + ".soft_start_ms must be 0 to 2000 ms")
    require(is_int(values["draw_ma"], 1, 20_000, optional=True), where + ".draw_ma must be 1 to 20000 mA")
    require(is_text(values["chute"], 1, 16, optional=True), where + ".chute must be the name of a chute")
    values["motor"] = parse_motor(where + ".motor", values["motor"])
    for switch in ("home", "empty"):
        values[switch] = parse_line(where + "." + switch, values[switch])
    return Slot(**values)


def _at_once(slots: dict, power_ma: "int | None") -> int:
    """The most motors that rules.fits lets turn together: of each chute the one that draws least."""
    least: dict = {}
    for slot in slots.values():
        if power_ma is not None and slot.draw_ma is not None:
            least[slot.chute] = min(slot.draw_ma, least.get(slot.chute, slot.draw_ma))
    count = drawn_ma = 0
    for draw_ma in sorted(least.values()):
        drawn_ma += draw_ma
        if power_ma is not None and drawn_ma <= power_ma:
            count += 1
    return max(1, min(count, MAX_AT_ONCE))


def forget_wiring(slots: dict) -> None:
    """Of each slot leave its motor's profile, and one of all that are equal: there may be 60, which is 13 kB of RAM.

    For a board that has been put together.
    """
    profiles: dict = {}
    for code in slots:
        profile = Slot(None, None, None, *slots[code][3:])
        slots[code] = profiles.setdefault(profile, profile)


def running(settings: Settings) -> Settings:
    """What a device asks for whose board has been put together and whose gateway is trusted: 1.3 kB less of RAM."""
    spent = {id(settings.ca_der): None, id(settings.board): asked_later(settings.board)}
    return Settings(*[spent.get(id(value), value) for value in settings])


def _climate(given: object, thermometers, slots: dict) -> dict:
    """Every zone with a thermometer has to stay cold, unless it is named here with null."""
    zones = {} if thermometers is None else dict.fromkeys(thermometers.zones, _CLIMATE_DEFAULTS)
    limits = {}
    for zone, wanted in merge("climate", given, zones).items():
        require(is_zone(zone), "board.temperatures.zones must have names of 1 to 16 of a-z, 0-9, - and _")
        if wanted is not None:
            limits[zone] = _limits("climate." + zone, wanted, slots)
    return limits


def _limits(where: str, given: object, slots: dict) -> Limits:
    values = merge(where, given, _CLIMATE_DEFAULTS)
    require(is_int(values["limit"], -4000, 6000), where + ".limit must be -4000 to 6000 hundredths of a degree")
    require(is_int(values["warm_s"], 1, 86_400), where + ".warm_s must be 1 to 86400 s")
    require(is_int(values["grace_s"], 0, 86_400), where + ".grace_s must be 0 to 86400 s")
    named = values["slots"]
    if named is not None:
        require(isinstance(named, list) and all(slot in slots for slot in named), where + ".slots must list slots")
    limited = slots if named is None else tuple(named)
    return Limits(values["limit"], 1000 * values["warm_s"], 1000 * values["grace_s"], limited)


def _wifi(given: object) -> "Wifi | None":
    if given is None:
        return None
    values = merge("wifi", given, _WIFI_DEFAULTS)
    require(is_text(values["ssid"], 1, 32), "wifi.ssid must be a text of at most 32")
    require(is_text(values["password"], 8, 63), "wifi.password must be a text of 8 to 63")
    return Wifi(**values)


def _is_currency(value: object) -> bool:
    return isinstance(value, str) and len(value) == 3 and all("A" <= letter <= "Z" for letter in value)
