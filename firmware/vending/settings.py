"""settings.json: what this device is and how it is wired. Checked as a whole before anything starts."""

import binascii
import json
from collections import namedtuple

from .messages import is_slot, is_uuid

Slot = namedtuple("Slot", ("motor", "home", "empty", "turn_ms", "timeout_ms", "settle_ms"))
"""Pins of the motor, the home switch and the empty sensor (None: not fitted). A turn without a home switch lasts
`turn_ms`; a motor is stopped after `timeout_ms`; a product may fall up to `settle_ms` after the motor has stopped."""

Wifi = namedtuple("Wifi", ("ssid", "password"))

Coin = namedtuple("Coin", ("pin", "minor_per_pulse"))

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
        "drop_pin",
        "coin",
        "wifi",
    ),
)

_DEFAULTS = {
    "claim_code": None,
    "gateway_host": None,
    "gateway_port": 8883,
    "mdns": True,
    "mdns_interface": None,
    "drop_pin": None,
    "coin": None,
    "wifi": None,
}
_SLOT_DEFAULTS = {"motor": None, "home": None, "empty": None, "turn_ms": 1500, "timeout_ms": 6000, "settle_ms": 700}
_COIN_DEFAULTS = {"pin": None, "minor_per_pulse": 100}
_WIFI_DEFAULTS = {"ssid": None, "password": None}
MAX_SLOTS = 60
MAX_MOTION_MS = 20_000
"""The longest a vend may take, motor and settling together. A gateway that hears nothing gives it up after 30 s."""


class SettingsError(Exception):
    """settings.json cannot be used; the text names the setting."""


def parse(data: bytes) -> Settings:
    """The settings in the bytes of settings.json. Raises SettingsError."""
    try:
        given = json.loads(str(data, "utf-8"))
    except ValueError:
        raise SettingsError("settings.json is not JSON") from None
    values = _merge("settings.json", given, _DEFAULTS, ("machine_id", "device_id", "currency", "ca_pem", "slots"))
    _require(is_uuid(values["machine_id"]), "machine_id must be a UUID in lower case")
    _require(is_uuid(values["device_id"]), "device_id must be a UUID in lower case")
    _require(_is_currency(values["currency"]), "currency must be three capitals (ISO 4217)")
    _require(_is_text(values["claim_code"], 1, 128, optional=True), "claim_code must be a text of at most 128")
    _require(_is_text(values["gateway_host"], 1, 253, optional=True), "gateway_host must be a name or an address")
    _require(_is_int(values["gateway_port"], 1, 65535), "gateway_port must be 1 to 65535")
    _require(isinstance(values["mdns"], bool), "mdns must be true or false")
    _require(_is_text(values["mdns_interface"], 7, 15, optional=True), "mdns_interface must be an IPv4 address")
    _require(_is_pin(values["drop_pin"]), "drop_pin must be a pin's number")
    _require(values["mdns"] or values["gateway_host"] is not None, "gateway_host is needed when mdns is false")
    values["ca_der"] = der(values.pop("ca_pem"))
    values["slots"] = _slots(values["slots"])
    values["coin"] = _coin(values["coin"])
    values["wifi"] = _wifi(values["wifi"])
    return Settings(**values)


def der(pem: object) -> bytes:
    """The first certificate of a PEM text as DER, the only form that MicroPython's load_verify_locations takes."""
    _require(isinstance(pem, str) and "-----BEGIN CERTIFICATE-----" in pem, "ca_pem must be a PEM certificate")
    body = str(pem).split("-----BEGIN CERTIFICATE-----")[1].split("-----END CERTIFICATE-----")[0]
    try:
        return binascii.a2b_base64("".join(body.split()).encode())
    except ValueError:
        raise SettingsError("ca_pem must be a PEM certificate") from None


def _merge(where: str, given: object, defaults: dict, required: tuple = ()) -> dict:
    if not isinstance(given, dict):
        raise SettingsError(where + " must be an object")
    values = dict(defaults)
    values.update(given)
    for name in required:
        _require(name in given, name + " is missing")
    for name in given:
        _require(name in defaults or name in required, where + " has an unknown setting: " + str(name))
    return values


def _slots(given: object) -> dict:
    if not isinstance(given, dict) or not 1 <= len(given) <= MAX_SLOTS:
        raise SettingsError("slots must name 1 to 60 slots")
    slots = {}
    for code in given:
        where = "slots." + str(code)
        _require(is_slot(code), where + " is no slot code such as A1")
        values = _merge(where, given[code], _SLOT_DEFAULTS)
        for pin in ("motor", "home", "empty"):
            _require(_is_pin(values[pin]), where + "." + pin + " must be a pin's number")
        for time in ("turn_ms", "timeout_ms", "settle_ms"):
            _require(_is_int(values[time], 1, 60_000), where + "." + time + " must be 1 to 60000 ms")
        longest = values["timeout_ms"] + values["settle_ms"]
        _require(longest <= MAX_MOTION_MS, where + ".timeout_ms and settle_ms must be 20000 ms at most together")
        slots[code] = Slot(**values)
    return slots


def _coin(given: object) -> "Coin | None":
    if given is None:
        return None
    values = _merge("coin", given, _COIN_DEFAULTS)
    _require(_is_pin(values["pin"]), "coin.pin must be a pin's number")
    _require(_is_int(values["minor_per_pulse"], 1, 10**6), "coin.minor_per_pulse must be 1 to 1000000")
    return Coin(**values)


def _wifi(given: object) -> "Wifi | None":
    if given is None:
        return None
    values = _merge("wifi", given, _WIFI_DEFAULTS)
    _require(_is_text(values["ssid"], 1, 32), "wifi.ssid must be a text of at most 32")
    _require(_is_text(values["password"], 8, 63), "wifi.password must be a text of 8 to 63")
    return Wifi(**values)


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise SettingsError(reason)


def _is_text(value: object, shortest: int, longest: int, optional: bool = False) -> bool:
    if value is None:
        return optional
    return isinstance(value, str) and shortest <= len(value) <= longest


def _is_int(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _is_pin(value: object) -> bool:
    return value is None or _is_int(value, 0, 48)


def _is_currency(value: object) -> bool:
    return isinstance(value, str) and len(value) == 3 and all("A" <= letter <= "Z" for letter in value)
