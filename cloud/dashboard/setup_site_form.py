"""Where machines will stand, and how their gateway is reached: between the forms of it and what a setup keeps. Pure."""

import json
from collections.abc import Mapping
from typing import TypeVar
from zoneinfo import available_timezones

from pydantic import ValidationError

from cloud import web
from cloud.dashboard.amounts import TAX_DIGITS, count, degrees, typed, whole
from cloud.dashboard.forms import Form
from cloud.errors import Refused
from cloud.onboarding.rules import SiteRow
from cloud.setups.rules import GatewayAddress, NewSite, SetupEdit, SetupRow, SetupSite, Wifi
from shared.contract import Message
from shared.errors import Code, FieldError

M = TypeVar("M", bound=Message)
NEW = "new"
CURRENCIES = (
    ("INR", "Indian rupee"), ("EUR", "Euro"), ("USD", "US dollar"), ("GBP", "Pound sterling"),
    ("AED", "UAE dirham"), ("AUD", "Australian dollar"), ("BDT", "Bangladeshi taka"), ("BHD", "Bahraini dinar"),
    ("BRL", "Brazilian real"), ("CAD", "Canadian dollar"), ("CHF", "Swiss franc"), ("CNY", "Chinese yuan"),
    ("CZK", "Czech koruna"), ("DKK", "Danish krone"), ("HKD", "Hong Kong dollar"), ("IDR", "Indonesian rupiah"),
    ("ILS", "Israeli shekel"), ("JPY", "Japanese yen"), ("KES", "Kenyan shilling"), ("KRW", "South Korean won"),
    ("KWD", "Kuwaiti dinar"), ("LKR", "Sri Lankan rupee"), ("MXN", "Mexican peso"), ("MYR", "Malaysian ringgit"),
    ("NGN", "Nigerian naira"), ("NOK", "Norwegian krone"), ("NPR", "Nepalese rupee"), ("NZD", "New Zealand dollar"),
    ("OMR", "Omani rial"), ("PHP", "Philippine peso"), ("PKR", "Pakistani rupee"), ("PLN", "Polish złoty"),
    ("QAR", "Qatari riyal"), ("SAR", "Saudi riyal"), ("SEK", "Swedish krona"), ("SGD", "Singapore dollar"),
    ("THB", "Thai baht"), ("TRY", "Turkish lira"), ("TWD", "Taiwan dollar"), ("VND", "Vietnamese dong"),
    ("ZAR", "South African rand"),
)  # fmt: skip
"""Those that are offered; any other may be typed."""
ZONES = tuple(
    (zone, "") for zone in sorted(available_timezones()) if "/" in zone and not zone.startswith(("Etc/", "SystemV/"))
)
_SITE_WRONG = {
    "name": "The name has 120 characters at most.",
    "address": "Write the address in 300 characters at most.",
    "latitude": "Latitude is a number from -90 to 90, such as 18.5289.",
    "longitude": "Longitude is a number from -180 to 180, such as 73.8744.",
    "currency": "Say the currency in its three letters, such as INR.",
    "time_zone": "Choose the time zone, such as Asia/Kolkata.",
    "tax_basis_points": "Tax is a number from 0 to 100 with two digits at most, such as 18 or 5.50.",
}
_WIFI_WRONG = {
    "ssid": "The network's name has 32 characters at most.",
    "password": "The password of a Wi-Fi has 8 to 63 characters.",
}
_ADDRESS_WRONG = {
    "host": "Write a name such as gateway.local, or an IP address.",
    "port": "The port is a number from 1 to 65535.",
}


def site_form(setup: SetupRow, last: SiteRow | None) -> Form:
    """What is kept of the site. Without any: money and tax as at `last`, a site of the same business."""
    site = setup.site
    if site is None:
        given = {} if last is None else _place(last.currency, "", last.tax_basis_points)
        return _filled({"site": NEW if last is None else ""} | given)
    if site.new is None:
        return _filled({"site": str(site.site_id or "")})
    new = site.new
    coordinates = {"latitude": _degrees(new.latitude), "longitude": _degrees(new.longitude)}
    place = _place(new.currency or "", new.time_zone or "", new.tax_basis_points)
    return _filled({"site": NEW, "name": new.name or "", "address": new.address} | coordinates | place)


def site_edit(form: Form) -> SetupEdit | None:
    """What the form says of the site; None if it says nothing yet. Raises Refused with all that is wrong."""
    chosen = form.get("site")
    if chosen == NEW:
        said = {name: form.get(name).strip() for name in ("name", "address", "time_zone")}
        given = (said["name"], said["address"], form.get("latitude"), form.get("longitude"))
        if not any(text.strip() for text in given):
            return None
        rest = {
            "latitude": _number(form, "latitude", degrees),
            "longitude": _number(form, "longitude", degrees),
            "currency": form.get("currency").strip().upper(),
            "tax_basis_points": _number(form, "tax", lambda text: whole(text, TAX_DIGITS)),
        }
        return SetupEdit(site=SetupSite(new=built(NewSite, said | rest, _SITE_WRONG, {"tax_basis_points": "tax"})))
    if not chosen:
        return None
    try:
        return SetupEdit(site=SetupSite.model_validate_json(json.dumps({"site_id": chosen})))
    except ValidationError:
        raise web.invalid("site", "Choose one of your sites, or a new one.") from None


def gateway_form(setup: SetupRow) -> Form:
    """What is kept of the gateway and the Wi-Fi; the latter's password is shown to nobody."""
    address = setup.gateway_address
    where = {} if address is None else {"host": address.host, "port": str(address.port)}
    return _filled({"gateway_name": setup.gateway_name or "", "ssid": setup.wifi_ssid or ""} | where)


def gateway_edit(form: Form, setup: SetupRow) -> SetupEdit:
    """What the form says: fields that stand empty take away what was kept. Raises Refused.

    A Wi-Fi whose name stays as it is keeps its password, unless another one is given.
    """
    name, ssid, password = form.get("gateway_name").strip(), form.get("ssid").strip(), form.get("password")
    if len(name) > 120:
        raise web.invalid("gateway_name", "The name has 120 characters at most.")
    said: dict[str, Message | str | None] = {"gateway_address": None}
    if "gateway_name" in form.values:  # a site that has a gateway is not asked
        said["gateway_name"] = name or None
    if not ssid and not password:
        said["wifi"] = None
    elif password or ssid != setup.wifi_ssid:
        said["wifi"] = built(Wifi, {"ssid": ssid, "password": password}, _WIFI_WRONG)
    if host := form.get("host").strip():
        port = {"port": _number(form, "port", count)} if form.get("port").strip() else {}
        said["gateway_address"] = built(GatewayAddress, {"host": host} | port, _ADDRESS_WRONG)
    return SetupEdit.model_validate(said)


def built(
    model: type[M], said: Mapping[str, object], wrong: Mapping[str, str], fields: Mapping[str, str] | None = None
) -> M:
    """The message that is said; an empty text says nothing. Raises Refused with all fields that are wrong, in the words
    of `wrong`; `fields` names those that are called otherwise in the form."""
    text = json.dumps({name: value for name, value in said.items() if value != ""}).encode()
    try:
        model.model_validate_json(text)
    except ValidationError as error:
        names = dict.fromkeys(str(one["loc"][0]) for one in error.errors(include_input=False))
        raise refused({(fields or {}).get(name, name): wrong[name] for name in names}) from None
    return web.parse(model, text)


def refused(errors: Mapping[str, str]) -> Refused:
    """A form is refused for what is wrong with each of these fields."""
    found = tuple(FieldError(path=field, message=message) for field, message in errors.items())
    return Refused(Code.VALIDATION_FAILED, "Some fields are wrong.", errors=found)


def _place(currency: str, time_zone: str, tax_basis_points: int) -> dict[str, str]:
    return {"currency": currency, "time_zone": time_zone, "tax": typed(tax_basis_points, TAX_DIGITS)}


def _filled(values: Mapping[str, str]) -> Form:
    return Form({name: [value] for name, value in values.items()})


def _degrees(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}".rstrip("0").rstrip(".")


def _number(form: Form, name: str, read: object) -> object:
    """What a field says; "" where it says nothing, and the text itself where it is no number, to be found wrong."""
    text = form.get(name).strip()
    if not text or not callable(read):
        return ""
    value = read(text)
    return text if value is None else value
