"""The slots of a machine, between the rows of a form and what a setup keeps. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from cloud.dashboard.amounts import count, typed, whole
from cloud.dashboard.forms import Form
from cloud.dashboard.setup_site_form import refused
from cloud.templates.rules import MOST_SLOTS, MachineOutline, OutlineSlot
from shared.contract import Minor, Name, SlotCode

MOST_FIELDS = 9 * MOST_SLOTS
"""Of the form, with room for what is no slot."""
MOST_BYTES = 4096 * MOST_SLOTS
"""Of the form as it is sent: of a letter from afar in a name become twelve bytes."""
FIRST_DEVICE = "Board 1"
COLUMNS = ("slot", "product", "price", "capacity", "par", "opening", "device")
NEW = "new"
"""In place of a row's number: what all slots have that are added."""
_MOST_UNITS = 1000
_CODES, _NAMES, _PRICES = TypeAdapter(SlotCode), TypeAdapter(Name), TypeAdapter(Minor)
_SPAN = re.compile(r"([A-Z])([0-9]{1,2})(?:(?:-|–|…|\.\.\.?| TO )([A-Z]?)([0-9]{1,2}))?")
_RANGE = "Write slots such as A1, or A1-A6, or A1-C6 for three trays of six."


@dataclass(frozen=True)
class Products:
    """Those there are, by id. People name them; which one is meant is found whatever its capitals."""

    names: Mapping[UUID, str] = field(default_factory=dict)

    def find(self, name: str) -> UUID | None:
        """The product of this name."""
        wanted = name.casefold()
        return next((product_id for product_id, known in self.names.items() if known.casefold() == wanted), None)

    def name_of(self, slot: OutlineSlot) -> str:
        """As people know what lies there; "" for nothing."""
        return self.names.get(slot.product_id, "") if slot.product_id else slot.product_name or ""


@dataclass(frozen=True)
class Reading:
    """What is needed to read a machine's rows. With one device, it is that of each slot."""

    digits: int
    products: Products
    devices: tuple[str, ...]


def slots_form(outline: MachineOutline, reading: Reading) -> Form:
    """The rows as they are kept."""
    values: dict[str, list[str]] = {}
    for place, slot in enumerate(outline.slots):
        row = (
            slot.slot,
            reading.products.name_of(slot),
            typed(slot.price_minor, reading.digits),
            str(slot.capacity),
            str(slot.par_level),
            str(slot.opening),
            slot.device,
        )
        values.update({f"{name}-{place}": [text] for name, text in zip(COLUMNS, row, strict=True)})
    return Form(values)


def rows_of(form: Form) -> list[int]:
    """The numbers of the rows that a form has."""
    return [place for place in range(MOST_SLOTS) if f"slot-{place}" in form.values]


def slots_of(form: Form, reading: Reading) -> tuple[OutlineSlot, ...]:
    """The slots that the form says: its rows but those to be removed, and those to be added, in their order.

    Raises Refused with all that is wrong.
    """
    errors: dict[str, str] = {}
    rows = [place for place in rows_of(form) if not form.get(f"remove-{place}")]
    found = [
        slot
        for place in rows
        if (slot := _slot(form, str(place), form.get(f"slot-{place}").strip().upper(), reading, errors)) is not None
    ]
    there = {slot.slot for slot in found}
    for code in span(form.get(f"slot-{NEW}"), errors):
        if code in there:
            errors.setdefault(f"slot-{NEW}", f"There is a slot {code} already.")
        elif (slot := _slot(form, NEW, code, reading, errors)) is not None:
            found.append(slot)
    if len(found) > MOST_SLOTS:
        errors.setdefault(f"slot-{NEW}", f"A machine has {MOST_SLOTS} slots at most.")
    if errors:
        raise refused(errors)
    return tuple(sorted(found, key=lambda slot: (slot.slot[0], int(slot.slot[1:]))))


def span(text: str, errors: dict[str, str]) -> list[str]:
    """ "A1-C2, F1" → A1, A2, B1, B2, C1, C2, F1. What is none of it is said in `errors`."""
    codes: dict[str, None] = {}
    for part in filter(None, (part.strip() for part in re.split(r"[,;]", text.upper()))):
        found = _SPAN.fullmatch(re.sub(r"\s*(-|–|…|\.\.\.?)\s*", r"\1", part))
        if found is None:
            errors[f"slot-{NEW}"] = _RANGE
            return []
        trays = range(ord(found[1]), ord(found[3] or found[1]) + 1)
        numbers = range(int(found[2]), int(found[4] or found[2]) + 1)
        if not trays or not numbers or len(codes) + len(trays) * len(numbers) > MOST_SLOTS:
            errors[f"slot-{NEW}"] = _RANGE
            return []
        codes.update({f"{chr(tray)}{number}": None for tray in trays for number in numbers})
    return list(codes)


def _slot(form: Form, row: str, code: str, reading: Reading, errors: dict[str, str]) -> OutlineSlot | None:
    """One row; None where something is wrong with it, which is said in `errors`."""
    before = len(errors)
    if not _is(_CODES, code):
        errors[f"slot-{row}"] = "A slot is a letter and a number, such as A1."
    product = " ".join(form.get(f"product-{row}").split())
    if product and not _is(_NAMES, product):
        errors[f"product-{row}"] = "The name has 120 characters at most."
    price = whole(form.get(f"price-{row}"), reading.digits)
    if price is None or not _is(_PRICES, price):
        errors[f"price-{row}"] = f"Write the price such as {typed(25 * 10**reading.digits, reading.digits)}."
    counts = {name: _count(form, name, row, errors) for name in ("capacity", "par", "opening")}
    if len(errors) > before or price is None:
        return None
    known = reading.products.find(product) if product else None
    return OutlineSlot(
        slot=code,
        device=_device(form, row, reading),
        product_id=known,
        product_name=None if known or not product else product,
        price_minor=price,
        capacity=counts["capacity"],
        par_level=counts["par"],
        opening=counts["opening"],
    )


def _count(form: Form, name: str, row: str, errors: dict[str, str]) -> int:
    text = form.get(f"{name}-{row}").strip()
    number = count(text) if text else (None if name == "capacity" else 0)
    if number is None or number > _MOST_UNITS:
        errors[f"{name}-{row}"] = f"Write a number from 0 to {_MOST_UNITS}."
        return 0
    return number


def _device(form: Form, row: str, reading: Reading) -> str:
    if len(reading.devices) == 1:
        return reading.devices[0]
    given = form.get(f"device-{row}")
    return given if _is(_NAMES, given) else (reading.devices[0] if reading.devices else FIRST_DEVICE)


def _is(kind: TypeAdapter[str] | TypeAdapter[int], value: object) -> bool:
    try:
        kind.validate_python(value)
    except ValidationError:
        return False
    return True
