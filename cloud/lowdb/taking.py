"""One file of records, taken over inside one unit of the tenant."""

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from cloud.contacts import service as contacts
from cloud.customers.rules import Person
from cloud.customers.service import CustomerService
from cloud.database import Transaction
from cloud.encryption.columns import LEGACY_FINGERPRINT, LEGACY_ORIGINAL
from cloud.encryption.keyring import Keyring
from cloud.lowdb import models
from cloud.lowdb.machines import Place, place_of
from cloud.lowdb.mapping import Mapping, OrdersCollection, StockCollection
from cloud.lowdb.models import Kept, Known
from cloud.lowdb.personal import Impersonal
from cloud.lowdb.report import FileReport, MachineDays, Named
from cloud.lowdb.rules import Item, Oddity, Order, Reading
from cloud.lowdb.scanner import Found
from cloud.lowdb.stocking import stock
from cloud.lowdb.values import derived_id
from cloud.onboarding import service as onboarding
from cloud.orders import service as orders
from cloud.orders.service import LineTakenOver, OrderTakenOver
from cloud.payments import service as payments
from cloud.payments.service import PaymentTakenOver
from cloud.sales import service as sales
from cloud.sales.rules import Tally
from shared.orders import OrderState

_NO_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""In the ids of records that are no orders."""
_OPEN = (OrderState.PLACED, OrderState.EXPIRED)


@dataclass(frozen=True)
class Run:
    """What holds for all files of a run. `country` is of telephone numbers without a +."""

    tenant_id: UUID
    mapping: Mapping
    keyring: Keyring
    customers: CustomerService
    now: datetime
    country: str


@dataclass
class Counted:
    """What the files of a run have told so far, by machine."""

    days: dict[str, MachineDays] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    """Orders that have been counted: they may stand in two files."""
    named: list[Named] = field(default_factory=list)
    """Pictures that items name."""

    def add(self, more: "Counted") -> None:
        """What one more file has told."""
        self.seen |= more.seen
        self.named += more.named
        for machine, days in more.days.items():
            had = self.days.setdefault(machine, MachineDays())
            had.database = days.database
            for (day, currency), sums in days.files.items():
                had.add(day, currency, *sums)


@dataclass
class _Told:
    """A record, and what is known of it."""

    found: Found
    position: int
    legacy_id: str
    occurrence: int
    order: Order | None
    is_copy: bool
    odd: set[Oddity]
    record_id: UUID
    customer_id: UUID | None = None


class _Names:
    """How often something called itself so in the file. Of all but the first it is known whether it says the same."""

    def __init__(self) -> None:
        self._first: dict[str, int] = {}
        self._more: Counter[str] = Counter()

    def next(self, legacy_id: str, text: str, odd: set[Oddity]) -> tuple[int, bool]:
        """Which one of its name this is, from 1 on, and whether it is a copy of the first."""
        if legacy_id not in self._first:
            self._first[legacy_id] = hash(text)
            return 1, False
        self._more[legacy_id] += 1
        is_copy = self._first[legacy_id] == hash(text)
        odd.add(Oddity.EXACT_COPY if is_copy else Oddity.REPEATED_ID)
        return 1 + self._more[legacy_id], is_copy


class FileTaking:
    """Takes batches of records; `end` it before the commit."""

    def __init__(self, transaction: Transaction, run: Run, file_id: UUID, report: FileReport, seen: Set[int]) -> None:
        self._transaction = transaction
        self._run = run
        self._file_id = file_id
        self._report = report
        self._seen = seen
        self._counted = Counted()
        self._places: dict[str, Place] = {}
        self._readings: dict[str, Reading] = {}
        self._products: dict[str, Map[str, UUID]] = {}
        self._names: dict[tuple[str, str], _Names] = {}
        self._tally = Tally()

    async def _place(self, source: str) -> Place:
        if source not in self._places:
            run = self._run
            self._places[source] = await place_of(self._transaction, run.tenant_id, run.mapping, source)
            self._readings[source] = Reading(run.mapping, source, run.now, run.country)
            self._products[source] = await models.products(self._transaction, source)
        return self._places[source]

    async def orders(self, source: str, collection: OrdersCollection, batch: Sequence[tuple[int, Found]]) -> None:
        """Orders of one machine."""
        place = await self._place(source)
        read = partial(self._readings[source].order, fields=collection.fields)
        names = self._names.setdefault((source, "orders"), _Names())
        told = [
            self._told(source, names, found, position, read(found.value, position=position))
            for position, found in batch
        ]
        async with models.planned_anew(self._transaction):
            known = await models.known(self._transaction, source, "orders", [one.legacy_id for one in told])
        new, advanced = [], []
        for one in told:
            was = known.get((one.legacy_id, one.occurrence))
            verdict = self._verdict(one, was)
            if verdict == "advanced" and was is not None:
                one.record_id = was.record_id
                advanced.append((one, was))
            elif verdict == "new":
                new.append(one)
            self._report.count(verdict, is_copy=one.is_copy)
            self._count(source, one, verdict)
        await self._identify([*new, *(one for one, _ in advanced)])
        await self._write(source, place, collection, new)
        await self._advance(source, place, collection, advanced)

    def _told(self, source: str, names: _Names, found: Found, position: int, order: Order | None) -> _Told:
        odd = (
            {Oddity.NO_RECORD if not isinstance(found.value, dict) else Oddity.NO_TIME} if order is None else order.odd
        )
        legacy_id = f"#{position}" if order is None else order.legacy_id
        occurrence, is_copy = names.next(legacy_id, found.text, odd)
        at = _NO_TIME if order is None else order.placed_at
        record_id = derived_id(at, str(self._run.tenant_id), source, "orders", legacy_id, str(occurrence))
        return _Told(found, position, legacy_id, occurrence, None if is_copy else order, is_copy, odd, record_id)

    def _verdict(self, one: _Told, was: Known | None) -> str:
        if was is None:
            return "new"
        if was.fingerprint is None:
            return "erased"
        is_same = was.fingerprint in self._fingerprints(one.found.text)
        order = one.order
        if order is not None and was.state in _OPEN and _is_same_sale(order, was):
            has_moved = order.state is not was.state and order.state is not OrderState.PLACED
            return "advanced" if has_moved or not is_same else "unchanged"
        return "unchanged" if is_same else "conflicts"

    def _count(self, source: str, one: _Told, verdict: str) -> None:
        report, order = self._report, one.order
        report.without_order += order is None and not one.is_copy
        order_odd = set(one.odd)
        if verdict in {"conflicts", "erased"}:
            order_odd.add(Oddity.CONFLICT if verdict == "conflicts" else Oddity.ERASED)
        report.tell(one.legacy_id, one.position, order_odd)
        key = hash((source, one.legacy_id, one.occurrence))
        if order is not None and key not in self._seen and key not in self._counted.seen:
            self._counted.seen.add(key)
            days = self._counted.days.setdefault(source, MachineDays())
            sums = (1, order.total_minor, order.captured_minor, order.given_back_minor)
            days.add(str(order.placed_at.date()), order.currency, *sums)

    async def _identify(self, told: Sequence[_Told]) -> None:
        """Whose orders these are."""
        run = self._run
        people = [Person(o.phone, o.name or None, o.upi) for one in told if (o := one.order) is not None and o.phone]
        async with models.planned_anew(self._transaction):
            found = await run.customers.take_over(self._transaction, run.tenant_id, people)
        for one in told:
            if one.order is not None and one.order.phone:
                one.customer_id = found[one.order.phone]

    async def _write(self, source: str, place: Place, collection: OrdersCollection, new: Sequence[_Told]) -> None:
        transaction, run = self._transaction, self._run
        products = self._products[source]
        for one in new:
            if one.order is not None and any(line.legacy_id not in products for line in one.order.lines):
                one.odd.add(Oddity.ITEM_GONE)
        taken = [self._ours(one, one.order, source, place) for one in new if one.order is not None]
        await orders.take_over(transaction, run.tenant_id, taken, self._tally)
        await self._pay(new)
        impersonal = Impersonal(collection.fields)  # Postgres works meanwhile on what was sent
        kept = [self._kept(one, None, is_personal=_is_personal(one, impersonal)) for one in new]
        await self._link(new)
        await models.add(transaction, run.tenant_id, source, collection, self._file_id, run.now, kept)

    async def _advance(
        self, source: str, place: Place, collection: OrdersCollection, told: Sequence[tuple[_Told, Known]]
    ) -> None:
        """Orders that were open when they came first, and have gone on in the meantime."""
        gone_on = [(one, one.order) for one, was in told if one.order is not None and one.order.state is not was.state]
        ours = [self._ours(one, order, source, place) for one, order in gone_on]
        async with models.planned_anew(self._transaction):
            await orders.end_taken_over(self._transaction, ours, self._tally)
        await self._pay([one for one, _ in gone_on])
        impersonal = Impersonal(collection.fields)
        kept = [self._kept(one, None, is_personal=_is_personal(one, impersonal)) for one, _ in told]
        await models.change(self._transaction, self._file_id, kept)
        await self._link([one for one, _ in told])

    async def _pay(self, told: Iterable[_Told]) -> None:
        paid = [self._payment(one.record_id, one.order) for one in told if one.order is not None and one.order.is_paid]
        await payments.take_over(self._transaction, self._run.tenant_id, paid)

    async def _link(self, told: Iterable[_Told]) -> None:
        pairs = [
            (one.customer_id, one.record_id) for one in told if one.order is not None and one.customer_id is not None
        ]
        await contacts.link_many(self._transaction, self._run.tenant_id, pairs, self._run.now)

    def _ours(self, one: _Told, order: Order, source: str, place: Place) -> OrderTakenOver:
        products = self._products[source]
        return OrderTakenOver(
            one.record_id,
            place.machine_id,
            self._run.mapping.rail,
            order.currency,
            order.total_minor,
            order.placed_at,
            order.state,
            order.captured_minor,
            order.given_back_minor,
            order.ended_at,
            tuple(LineTakenOver(products.get(s.legacy_id), s.name, s.price_minor, s.quantity) for s in order.lines),
        )

    def _payment(self, order_id: UUID, order: Order) -> PaymentTakenOver:
        moved = order.captured_minor + order.given_back_minor
        return PaymentTakenOver(
            derived_id(order.placed_at, str(order_id), "payment"),
            order_id,
            self._run.mapping.rail,
            order.currency,
            order.total_minor if order.synthetic else moved,
            order.captured_minor,
            order.given_back_minor,
            order.paid_at or order.ended_at or order.placed_at,
            order.synthetic,
            order.payment_id,
        )

    def _kept(self, one: _Told, product_id: UUID | None, *, is_personal: bool) -> Kept:
        text = one.found.text
        return Kept(
            one.record_id,
            one.legacy_id,
            one.occurrence,
            one.position,
            product_id,
            one.customer_id,
            is_personal,
            ",".join(sorted(one.odd)),
            LEGACY_ORIGINAL.seal(self._run.keyring, (self._run.tenant_id, one.record_id), text),
            self._fingerprints(text)[0],
        )

    def _fingerprints(self, text: str) -> list[str]:
        return LEGACY_FINGERPRINT.all_of(self._run.keyring, self._run.tenant_id, text)

    async def items(self, source: str, collection: StockCollection, batch: Sequence[tuple[int, Found]]) -> None:
        """The inventory of one machine, all of it."""
        place, run = await self._place(source), self._run
        names, reading = self._names.setdefault((source, "inventory"), _Names()), self._readings[source]
        told = [
            self._told_item(source, names, found, position, reading.item(found.value, collection.fields, position))
            for position, found in batch
        ]
        known = await models.known(self._transaction, source, "inventory", [one.legacy_id for one, _ in told])
        new = []
        for one, item in told:
            verdict = self._verdict(one, known.get((one.legacy_id, one.occurrence)))
            self._report.count(verdict, is_copy=one.is_copy)
            if verdict == "new":
                new.append((one, item))
            elif verdict == "conflicts":
                one.odd.add(Oddity.CONFLICT)
        wanted = [(one.record_id, item) for one, item in new if item is not None and not one.is_copy]
        made = await stock(self._transaction, run.tenant_id, run.mapping, source, place, wanted, run.now)
        kept = [self._kept(one, made.get(one.record_id), is_personal=False) for one, _ in new]
        await models.add(self._transaction, run.tenant_id, source, collection, self._file_id, run.now, kept)
        self._products[source] = await models.products(self._transaction, source)
        for one, item in told:
            self._report.tell(one.legacy_id, one.position, one.odd)
            was = known.get((one.legacy_id, one.occurrence))
            product_id = made.get(one.record_id) if was is None else was.product_id
            if item is not None and item.image is not None:
                machine, file = item.image
                self._counted.named.append(Named(machine or source, item.legacy_id, file, product_id))

    def _told_item(
        self, source: str, names: _Names, found: Found, position: int, item: Item | None
    ) -> tuple[_Told, Item | None]:
        odd = {Oddity.NO_RECORD} if item is None else item.odd
        legacy_id = f"#{position}" if item is None else item.legacy_id
        occurrence, is_copy = names.next(legacy_id, found.text, odd)
        record_id = derived_id(_NO_TIME, str(self._run.tenant_id), source, "inventory", legacy_id, str(occurrence))
        return _Told(found, position, legacy_id, occurrence, None, is_copy, odd, record_id), item

    async def end(self) -> Counted:
        """What the orders add to the sums; and the days of their machines as they are now."""
        await onboarding.lock_gateways(self._transaction, [place.site_id for place in self._places.values()])
        await sales.add(self._transaction, self._run.tenant_id, self._tally)
        async with models.planned_anew(self._transaction):
            for source, days in self._counted.days.items():
                days.database = await orders.taken_over_days(self._transaction, self._places[source].machine_id)
        return self._counted


def _is_personal(one: _Told, impersonal: Impersonal) -> bool:
    order = one.order
    return bool(order and (order.name or order.phone or order.upi)) or not impersonal.is_all(one.found.value)


def _is_same_sale(order: Order, was: Known) -> bool:
    return (order.placed_at, order.total_minor, order.currency) == (was.placed_at, was.total_minor, was.currency)
