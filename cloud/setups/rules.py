"""What a setup gathers (a site, its gateway, its Wi-Fi, its machines), what it still lacks, what a device will be told.

Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from cloud.configuration.rules import settings_text, wrong_setting
from cloud.onboarding.rules import TaxBasisPoints, TimeZone
from cloud.templates.rules import MachineOutline, OutlineDevice, OutlineSlot, repeated
from shared.contract import Currency, Instant, Message, Name
from shared.errors import FieldError

MOST_MACHINES = 12


class NewSite(Message):
    """A place to be, as far as it is known yet. Coordinates in degrees of WGS 84."""

    name: Name | None = None
    address: Annotated[str, StringConstraints(max_length=300)] = ""
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    currency: Currency | None = None
    time_zone: TimeZone | None = None
    tax_basis_points: TaxBasisPoints = 0


class SetupSite(Message):
    """Where the machines will stand: a site there is, or a new one."""

    site_id: UUID | None = None
    new: NewSite | None = None


class Wifi(Message):
    """The network that the devices of the site join."""

    model_config = ConfigDict(hide_input_in_errors=True)

    ssid: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    password: Annotated[str, StringConstraints(min_length=8, max_length=63)]


class GatewayAddress(Message):
    """Where devices reach the gateway if they do not find it by mDNS: a name or an IP address of the site's network."""

    host: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.:-]{1,253}$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 8883


class DraftMachine(Message):
    """A machine whose id, and those of its devices, by name, are settled: what is printed for them stays true."""

    machine_id: UUID
    name: Name
    outline: MachineOutline
    device_ids: dict[Name, UUID]
    template_id: Annotated[UUID | None, Field(description="Of the template it was made by.")] = None


class Draft(Message):
    """All of it, as it is kept."""

    model_config = ConfigDict(hide_input_in_errors=True)

    site: SetupSite | None = None
    gateway_name: Name | None = None
    gateway_address: GatewayAddress | None = None
    wifi: Wifi | None = None
    machines: tuple[DraftMachine, ...] = ()


_SOME_CA = f"-----BEGIN CERTIFICATE-----\n{62 * (64 * 'A' + chr(10))}{8 * 'A'}\n-----END CERTIFICATE-----\n"
"""In place of the site's own, which its gateway has not made yet: wiring is checked before. As long as one may be."""
_SOME_CODE = "A" * 27
_SOME_CURRENCY = "XXX"
_WANTED = {
    "name": "Give the site a name.",
    "currency": "Say which money is paid there.",
    "time_zone": "Say in which time zone it lies.",
}
"""Of a new site, before it can be made."""


class SetupState(StrEnum):
    """open → finished."""

    OPEN = "open"
    FINISHED = "finished"


class SetupWish(Message):
    """A setup to be begun."""

    name: Annotated[Name, Field(description="By which you find it again.")]


class MachineWish(Message):
    """A machine of a setup. With the id of one that is in it, it is that one; without, it is a new one."""

    machine_id: UUID | None = None
    name: Name
    outline: MachineOutline


class SetupEdit(Message):
    """Steps as they shall be; what is left out stays as it is. Nothing need be complete yet.

    Null takes a step away; a name and machines stay then, too.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    name: Name | None = None
    site: SetupSite | None = None
    gateway_name: Name | None = None
    gateway_address: GatewayAddress | None = None
    wifi: Wifi | None = None
    machines: Annotated[tuple[MachineWish, ...], Field(max_length=MOST_MACHINES)] | None = None


class AddMachine(Message):
    """One machine more: like a template, like a machine that works, or with nothing in it yet."""

    name: Name
    template_id: UUID | None = None
    machine_id: Annotated[UUID | None, Field(description="Of the machine to be like.")] = None


class SetupLine(Message):
    """A setup in one line."""

    setup_id: UUID
    name: Name
    state: SetupState
    site_id: UUID | None
    created_by: Name
    created_at: Instant
    changed_at: Instant
    finished_at: Instant | None


class SetupRow(SetupLine):
    """A setup with all it has gathered. Of the Wi-Fi's password only that there is one is shown.

    `problems`: what keeps it from being finished; paths are those of its fields.
    """

    site: SetupSite | None
    gateway_name: Name | None
    gateway_address: GatewayAddress | None
    gateway_id: UUID | None
    wifi_ssid: str | None
    machines: tuple[DraftMachine, ...]
    problems: tuple[FieldError, ...]


@dataclass(frozen=True)
class KnownSite:
    """A site there is."""

    currency: Currency
    has_gateway: bool


@dataclass(frozen=True)
class Known:
    """What there is of all that a draft names."""

    sites: Mapping[UUID, KnownSite]
    products: frozenset[UUID]


def review(draft: Draft, known: Known) -> list[FieldError]:
    """All that keeps a setup from being finished, in the order of its steps; paths are those of the draft."""
    return [*_of_site(draft, known), *_of_wifi(draft), *_of_machines(draft, known)]


def site_currency(site: SetupSite | None, known: Known) -> Currency | None:
    """Of the money at the site, as far as it is settled."""
    if site is None:
        return None
    if site.new is not None:
        return site.new.currency
    found = known.sites.get(site.site_id) if site.site_id else None
    return found.currency if found else None


def device_settings(
    draft: Draft, machine: DraftMachine, device: OutlineDevice, currency: Currency, ca_pem: str, claim_code: str
) -> dict[str, JsonValue]:
    """What settings.json of a wired device says (firmware/vending/settings.py)."""
    told: dict[str, JsonValue] = {
        "machine_id": str(machine.machine_id),
        "device_id": str(machine.device_ids[device.name]),
        "currency": currency,
        "ca_pem": ca_pem,
        "claim_code": claim_code,
    }
    if draft.wifi is not None:
        told["wifi"] = {"ssid": draft.wifi.ssid, "password": draft.wifi.password}
    if draft.gateway_address is not None:
        told["gateway_host"], told["gateway_port"] = draft.gateway_address.host, draft.gateway_address.port
    return told | ({} if device.wiring is None else device.wiring.model_dump(mode="json"))


def _of_site(draft: Draft, known: Known) -> Iterator[FieldError]:
    site = draft.site
    if site is None or (site.site_id is None and site.new is None):
        yield FieldError(path="site", message="Say where the machines will stand.")
        return
    if site.site_id is not None and site.new is not None:
        yield FieldError(path="site", message="Choose a site or describe a new one, not both.")
        return
    found = known.sites.get(site.site_id) if site.site_id else None
    if site.site_id is not None and found is None:
        yield FieldError(path="site.site_id", message="There is no such site.")
    elif (found is None or not found.has_gateway) and draft.gateway_name is None:
        yield FieldError(path="gateway_name", message="Give the site's gateway a name.")
    for name, message in _WANTED.items():
        if site.new is not None and getattr(site.new, name) is None:
            yield FieldError(path=f"site.new.{name}", message=message)
    if site.new is not None and (site.new.latitude is None) is not (site.new.longitude is None):
        yield FieldError(path="site.new.longitude", message="Latitude and longitude come together.")


def _of_wifi(draft: Draft) -> Iterator[FieldError]:
    """A Wi-Fi counts in bytes: no network is called longer, whatever its letters."""
    for field, name, most in (("ssid", "name", 32), ("password", "password", 63)):
        if draft.wifi is not None and len(getattr(draft.wifi, field).encode()) > most:
            told = f"The Wi-Fi's {name} is too long: {most} signs at most, of which some letters count for two to four."
            yield FieldError(path=f"wifi.{field}", message=told)


def _of_machines(draft: Draft, known: Known) -> Iterator[FieldError]:
    if not draft.machines:
        yield FieldError(path="machines", message="Add a machine.")
    for name in repeated(machine.name for machine in draft.machines):
        yield FieldError(path="machines", message=f"Two machines are called {name}.")
    currency = site_currency(draft.site, known) or _SOME_CURRENCY
    for place, machine in enumerate(draft.machines):
        for error in _of_machine(draft, machine, known, currency):
            yield FieldError(path=f"machines.{place}.outline.{error.path}", message=error.message)


def _of_machine(draft: Draft, machine: DraftMachine, known: Known, currency: Currency) -> Iterator[FieldError]:
    outline = machine.outline
    if not outline.devices:
        yield FieldError(path="devices", message="A machine needs a device that turns its motors.")
    if not outline.slots:
        yield FieldError(path="slots", message="A machine needs a slot to sell from.")
    for name in repeated(device.name for device in outline.devices):
        yield FieldError(path="devices", message=f"Two devices are called {name}.")
    for code in repeated(slot.slot for slot in outline.slots):
        yield FieldError(path="slots", message=f"There are two slots {code}.")
    devices = {device.name: device for device in outline.devices}
    for place, slot in enumerate(outline.slots):
        for error in _of_slot(slot, devices, known):
            yield FieldError(path=f"slots.{place}.{error.path}", message=error.message)
    for place, device in enumerate(outline.devices):
        wrong = _wrong_wiring(draft, machine, device, currency)
        if wrong is not None:
            path = wrong.path.removeprefix("settings").strip(".")
            where = f"wiring.{path}" if path else "wiring"
            yield FieldError(path=f"devices.{place}.{where}", message=wrong.message)


def _of_slot(slot: OutlineSlot, devices: Mapping[str, OutlineDevice], known: Known) -> Iterator[FieldError]:
    if (slot.product_id is None) is (slot.product_name is None):
        yield FieldError(path="product_id", message="Choose a product or name a new one.")
    elif slot.product_id is not None and slot.product_id not in known.products:
        yield FieldError(path="product_id", message="There is no such product.")
    for name, count in (("par_level", slot.par_level), ("opening", slot.opening)):
        if count > slot.capacity:
            yield FieldError(path=name, message=f"Only {slot.capacity} fit into the slot.")
    device = devices.get(slot.device)
    if device is None:
        yield FieldError(path="device", message=f"The machine has no device {slot.device}.")
    elif device.wiring is not None and slot.slot not in device.wiring.slots:
        yield FieldError(path="slot", message=f"The wiring of {slot.device} knows no slot {slot.slot}.")


def _wrong_wiring(draft: Draft, machine: DraftMachine, device: OutlineDevice, currency: Currency) -> FieldError | None:
    """What the board itself would refuse, had it these settings now."""
    if device.wiring is None or device.name not in machine.device_ids:
        return None
    told = device_settings(draft, machine, device, currency, _SOME_CA, _SOME_CODE)
    return wrong_setting(settings_text(told), machine.machine_id, machine.device_ids[device.name])
