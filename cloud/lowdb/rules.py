"""What the records of LowDB files say, in our words; what is odd about one is told and never mended. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from cloud.customers.rules import WrongPhone, in_one_form
from cloud.lowdb import values
from cloud.lowdb.mapping import Mapping, OrderFields, StockFields
from shared.orders import OrderState

_OWN_MILLISECONDS = re.compile(r"(?<!\d)(\d{13})$")
_SLOT = re.compile(r"[A-Z][0-9]{1,2}")
_UPI = re.compile(r"[A-Za-z0-9._-]{2,256}@[A-Za-z][A-Za-z0-9]{1,63}")


MOST_LINES = 1000
"""Of one order."""


class Oddity(StrEnum):
    """What is odd about a record."""

    NO_ID = "no_id"
    NO_MACHINE = "no_machine"
    NO_TIME = "no_time"
    OTHER_TIME = "time_from_elsewhere"
    NO_RECORD = "no_record"
    REPEATED_ID = "repeated_id"
    EXACT_COPY = "exact_copy"
    MONEY_AS_TEXT = "money_as_text"
    MONEY_MISMATCH = "money_mismatch"
    ODD_MONEY = "odd_money"
    ODD_QUANTITY = "odd_quantity"
    ODD_NAME = "odd_name"
    ODD_PHONE = "odd_phone"
    ODD_STATUS = "odd_status"
    ODD_ITEMS = "odd_items"
    ODD_SLOT = "odd_slot"
    ODD_IMAGE = "odd_image"
    ITEM_GONE = "item_gone"
    CANCELLED_BUT_PAID = "cancelled_but_paid"
    SYNTHETIC_PAYMENT = "synthetic_payment"
    STOCK_TAKEN = "stock_taken_and_not_sold"
    SLOT_TAKEN = "slot_taken"
    NOT_PLANNED = "not_in_the_planogram"
    CONFLICT = "conflict"
    ERASED = "erased_since"


@dataclass(slots=True)
class Line:
    """One product of an order as it was called and cost then. Money in minor units."""

    legacy_id: str
    name: str
    price_minor: int
    quantity: int


@dataclass(slots=True)
class Order:
    """An order in our words. Money in minor units of `currency`; `paid_minor` is what the payment itself says."""

    legacy_id: str
    placed_at: datetime
    state: OrderState
    currency: str
    total_minor: int
    captured_minor: int = 0
    given_back_minor: int = 0
    ended_at: datetime | None = None
    paid_minor: int | None = None
    paid_at: datetime | None = None
    payment_id: str = ""
    synthetic: bool = False
    name: str = ""
    phone: str | None = None
    upi: str | None = None
    lines: list[Line] = field(default_factory=list)
    odd: set[Oddity] = field(default_factory=set)

    @property
    def is_paid(self) -> bool:
        """Whether there is a payment of it."""
        return self.synthetic or self.captured_minor > 0 or self.given_back_minor > 0


@dataclass(slots=True)
class Item:
    """An item of an inventory in our words. Price in minor units; None where it is not to be read."""

    legacy_id: str
    name: str
    price_minor: int | None
    quantity: int | None
    slot: str | None
    image: tuple[str | None, str] | None
    has_image: bool
    odd: set[Oddity] = field(default_factory=set)


class Reading:
    """How the records of one machine are read, at one moment. `country` is of telephone numbers without a +."""

    def __init__(self, mapping: Mapping, machine: str, now: datetime, country: str) -> None:
        part = mapping.machines.get(machine)
        self._mapping = mapping
        self._currency = (part and part.currency) or mapping.currency
        self._zone = ZoneInfo((part and part.time_zone) or mapping.time_zone)
        self._pending_since = now - timedelta(hours=mapping.pending_hours)
        self._country = country

    def order(self, record: object, fields: OrderFields, position: int) -> Order | None:
        """None if it cannot be an order: no record at all, or of no time."""
        if not isinstance(record, dict):
            return None
        odd: set[Oddity] = set()
        legacy_id = _legacy_id(record, fields.id, position, odd)
        placed_at = self._placed_at(record, fields, legacy_id, odd)
        if placed_at is None:
            return None
        lines = self._lines(record, fields, odd)
        total = self._money(record, fields.total_major, fields.total_minor, odd)
        paid = self._money(record, fields.paid_major, fields.paid_minor, odd)
        summed = sum(line.price_minor * line.quantity for line in lines)
        if len({amount for amount in (total, paid, summed) if amount is not None}) > 1:
            odd.add(Oddity.MONEY_MISMATCH)
        worth = total if total is not None else summed
        order = Order(legacy_id, placed_at, OrderState.PLACED, self._currency_of(record, fields), worth, odd=odd)
        order.lines, order.paid_minor = lines, paid
        order.payment_id = values.id_text(values.first(record, fields.payment_id))
        order.paid_at = values.moment(values.first(record, fields.paid_at), self._zone)
        self._end(order, record, fields)
        self._person(order, record, fields)
        return order

    def item(self, record: object, fields: StockFields, position: int) -> Item | None:
        """None if it is no record at all."""
        if not isinstance(record, dict):
            return None
        odd: set[Oddity] = set()
        legacy_id = _legacy_id(record, fields.id, position, odd)
        quantity = _units(values.first(record, fields.quantity), odd)
        slot = values.text(values.first(record, fields.slot)).upper()
        if not _SLOT.fullmatch(slot):
            odd.add(Oddity.ODD_SLOT)
        told = values.first(record, fields.image)
        image = values.image_of(told)
        if told is not None and image is None:
            odd.add(Oddity.ODD_IMAGE)
        name = _name(values.first(record, fields.name), legacy_id, odd)
        price = self._money(record, fields.price_major, fields.price_minor, odd)
        if price is None:
            odd.add(Oddity.ODD_MONEY)
        return Item(
            legacy_id, name, price, quantity, None if Oddity.ODD_SLOT in odd else slot, image, told is not None, odd
        )

    def _placed_at(
        self, record: dict[str, object], fields: OrderFields, legacy_id: str, odd: set[Oddity]
    ) -> datetime | None:
        found = values.moment(values.first(record, fields.placed_at), self._zone)
        if found is None:
            odd.add(Oddity.OTHER_TIME)
            own = _OWN_MILLISECONDS.search(legacy_id)
            later = (values.first(record, fields.updated_at), values.first(record, fields.paid_at))
            told = [own and int(own[1]), *later]
            found = next((at for at in (values.moment(one, self._zone) for one in told) if at is not None), None)
        return found

    def _currency_of(self, record: dict[str, object], fields: OrderFields) -> str:
        told = values.text(values.first(record, fields.currency)).upper()
        return told if re.fullmatch("[A-Z]{3}", told) else self._currency

    def _money(
        self, record: dict[str, object], major: Sequence[str], minor: Sequence[str], odd: set[Oddity]
    ) -> int | None:
        """In minor units, whichever it is told in; None if it is not told, or not to be read."""
        told = values.first(record, minor)
        amount = values.number(told)
        if told is None:
            told = values.first(record, major)
            amount = values.number(told)
            amount = None if amount is None else self._mapping.minor(amount)
        if told is None:
            return None
        if isinstance(told, str):
            odd.add(Oddity.MONEY_AS_TEXT)
        return _whole(amount, odd)

    def _lines(self, record: dict[str, object], fields: OrderFields, odd: set[Oddity]) -> list[Line]:
        items = values.first(record, fields.items)
        told = items if isinstance(items, list) else []
        if not 1 <= len(told) <= MOST_LINES or not all(isinstance(item, dict) for item in told):
            odd.add(Oddity.ODD_ITEMS)
        found = []
        for item in told[:MOST_LINES]:
            if isinstance(item, dict):
                legacy_id = values.id_text(values.first(item, fields.item_id))
                price = self._money(item, fields.item_price_major, fields.item_price_minor, odd)
                if price is None:
                    odd.add(Oddity.ODD_MONEY)
                units = _units(values.first(item, fields.item_quantity), odd)
                name = _name(values.first(item, fields.item_name), legacy_id, odd)
                found.append(Line(legacy_id, name, price or 0, max(0, units or 0)))
        return found

    def _end(self, order: Order, record: dict[str, object], fields: OrderFields) -> None:
        """Its state and its money. Of a word nobody knows, a payment says whether it was paid."""
        word, words = values.text(values.first(record, fields.status)).lower(), self._mapping.statuses
        amount = order.total_minor if order.paid_minor is None else order.paid_minor
        known = (*words.paid, *words.pending, *words.cancelled, *words.expired, *words.refunded)
        if word not in known:
            order.odd.add(Oddity.ODD_STATUS)
        if word in words.pending:
            is_young = order.placed_at > self._pending_since
            order.state = OrderState.PLACED if is_young else OrderState.EXPIRED
            order.odd.add(Oddity.STOCK_TAKEN)
        elif word in words.refunded:
            order.state, order.given_back_minor = OrderState.SETTLED, amount
        elif word in words.paid or (word not in known and order.paid_minor):
            order.state, order.captured_minor = OrderState.SETTLED, amount
        else:
            order.state = OrderState.EXPIRED if word in words.expired else OrderState.CANCELLED
            if order.paid_minor:
                order.odd.add(Oddity.CANCELLED_BUT_PAID)
        if order.payment_id.startswith(self._mapping.synthetic):
            order.synthetic, order.captured_minor, order.given_back_minor = True, 0, 0
            order.odd.add(Oddity.SYNTHETIC_PAYMENT)
        if order.state is not OrderState.PLACED:
            told = values.moment(values.first(record, fields.updated_at), self._zone) or order.paid_at
            order.ended_at = max(order.placed_at, told or order.placed_at)

    def _person(self, order: Order, record: dict[str, object], fields: OrderFields) -> None:
        order.name = values.text(values.first(record, fields.name))
        upi = values.text(values.first(record, fields.upi), 320)
        order.upi = upi if _UPI.fullmatch(upi) else None
        phone = values.text(values.first(record, fields.phone), 40)
        order.phone = _phone(phone, self._country) if phone else None
        if phone and order.phone is None:
            order.odd.add(Oddity.ODD_PHONE)


@lru_cache(maxsize=10_000)
def _phone(typed: str, country: str) -> str | None:
    try:
        return in_one_form(typed, country)
    except WrongPhone:
        return None


def _legacy_id(record: dict[str, object], paths: Sequence[str], position: int, odd: set[Oddity]) -> str:
    """What it calls itself, else its place."""
    found = values.id_text(values.first(record, paths))
    if not found:
        odd.add(Oddity.NO_ID)
    return found or f"#{position}"


def _name(told: object, legacy_id: str, odd: set[Oddity]) -> str:
    found = values.text(told)
    if not found or found != told:
        odd.add(Oddity.ODD_NAME)
    return found or f"Item {legacy_id or '?'}"[:120]


def _whole(amount: Decimal | None, odd: set[Oddity]) -> int | None:
    if amount is None or not 0 <= amount <= values.MOST_MINOR:
        odd.add(Oddity.ODD_MONEY)
        return None
    found = int(amount.to_integral_value())
    if found != amount:
        odd.add(Oddity.ODD_MONEY)
    return found


def _units(told: object, odd: set[Oddity]) -> int | None:
    found = values.number(told)
    if found is None or found != found.to_integral_value() or abs(found) > values.MOST_UNITS:
        odd.add(Oddity.ODD_QUANTITY)
        return None
    if isinstance(told, str) or found < 0:
        odd.add(Oddity.ODD_QUANTITY)
    return int(found)
