"""What happened to a customer: notes, and the orders it was about. Work inside a unit of the operator."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

from cloud.audit.rules import AuditAction
from cloud.callers import Operator
from cloud.clock import Clock, new_id
from cloud.customers.service import CustomerRow, CustomerService
from cloud.database import Row, Transaction, columns
from cloud.encryption.columns import NOTE_TEXT
from cloud.encryption.keyring import Keyring
from cloud.errors import NotFound, Refused
from cloud.lists import Listing, PageQuery, Sort, read_page
from cloud.web import invalid
from shared.contract import Currency, Instant, Message, Minor, Name
from shared.errors import Code
from shared.orders import OrderState

MAX_NOTES = 500
MAX_ORDERS = 500
"""Of one customer: so all that is known of them fits into one answer."""

_NOTES = """
    SELECT n.tenant_id, n.id, n.order_id, n.text, a.name AS written_by, n.written_at
    FROM {picked} JOIN actors a ON a.tenant_id = n.tenant_id AND a.id = n.written_by
"""
_ALL_NOTES = (
    _NOTES.format(picked="customer_notes n") + " WHERE n.customer_id = $1 ORDER BY n.written_at DESC, n.id DESC"
)
_ORDERS = """
    SELECT l.order_id, l.linked_at, o.placed_at, o.machine_id, m.name AS machine_name, o.state, o.currency,
           o.total_minor, o.given_back_minor
    FROM customer_orders l JOIN orders o ON o.tenant_id = l.tenant_id AND o.id = l.order_id
    JOIN machines m ON m.tenant_id = o.tenant_id AND m.id = o.machine_id
    WHERE l.customer_id = $1 ORDER BY o.placed_at DESC, o.id DESC
"""
_COUNTS = """
    SELECT (SELECT count(*) FROM customer_notes WHERE customer_id = $1) AS notes,
           (SELECT count(*) FROM customer_orders WHERE customer_id = $1) AS orders
"""
_NOTE = """
    INSERT INTO customer_notes (tenant_id, id, customer_id, order_id, text, written_by, written_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_LINK = """
    INSERT INTO customer_orders (tenant_id, customer_id, order_id, linked_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT ON CONSTRAINT customer_orders_pkey DO NOTHING
"""
_IS_NOTED = "SELECT 1 FROM customer_notes WHERE customer_id = $1 AND order_id = $2"
_FORGET_NOTES = "DELETE FROM customer_notes WHERE customer_id = $1"
_FORGET_ORDERS = "DELETE FROM customer_orders WHERE customer_id = $1"
_UNLINK = "DELETE FROM customer_orders WHERE customer_id = $1 AND order_id = $2"
_LINK_MANY = """
    INSERT INTO customer_orders (tenant_id, customer_id, order_id, linked_at)
    SELECT $1, customer_id, order_id, $4 FROM (
        SELECT u.customer_id, u.order_id, row_number() OVER (PARTITION BY u.customer_id ORDER BY u.order_id DESC)
            + (SELECT count(*) FROM customer_orders o WHERE o.customer_id = u.customer_id) AS place
        FROM unnest($2::uuid[], $3::uuid[]) AS u (customer_id, order_id)
    ) AS told WHERE place <= $5
    ON CONFLICT ON CONSTRAINT customer_orders_pkey DO NOTHING
"""


NoteText = Annotated[str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True)]


class NewNote(Message):
    """What happened, perhaps with which order: that becomes one of the customer's."""

    text: NoteText
    order_id: UUID | None = None


class NoteMade(Message):
    """The id of a new note."""

    note_id: UUID


class NoteRow(Message):
    """What somebody wrote down. `text` is null if it cannot be read any more."""

    note_id: UUID
    order_id: UUID | None
    text: str | None
    written_by: Name
    written_at: Instant


class NoteQuery(PageQuery):
    """Notes, the newest first."""

    row = NoteRow


class NotePage(Message):
    """A page of notes, the newest first."""

    notes: tuple[NoteRow, ...]
    next_cursor: str | None


class LinkedOrder(Message):
    """An order of a customer. Money in minor units of `currency`."""

    order_id: UUID
    linked_at: Instant
    placed_at: Instant
    machine_id: UUID
    machine_name: Name
    state: OrderState
    currency: Currency
    total_minor: Minor
    given_back_minor: Minor


class LinkedOrders(Message):
    """All orders of a customer that are still there, the newest first."""

    orders: tuple[LinkedOrder, ...]


class CustomerExport(Message):
    """Everything that is held about a person."""

    exported_at: Instant
    customer: CustomerRow
    notes: tuple[NoteRow, ...]
    orders: tuple[LinkedOrder, ...]


class ContactService:
    """What is noted of customers."""

    def __init__(self, customers: CustomerService, keyring: Keyring, clock: Clock) -> None:
        self._customers = customers
        self._keyring = keyring
        self._clock = clock
        self._listing = Listing(
            name="customer_notes",
            row=NoteRow,
            page=NotePage,
            table="customer_notes n",
            show=_NOTES,
            read=self._note,
            sorts={"-written_at": Sort({"written_at": "n.written_at", "note_id": "n.id"}, descending=True)},
            filters={"customer_id": "n.customer_id = {}"},
        )

    async def notes(
        self, transaction: Transaction, operator: Operator, customer_id: UUID, query: NoteQuery
    ) -> NotePage:
        """A page of a customer's notes. Raises NotFound, Refused for a cursor that is not theirs."""
        await self._customers.found(transaction, customer_id)
        page = await self._notes(transaction, customer_id, query)
        if page.notes:
            await self._customers.record(transaction, operator, customer_id, AuditAction.CUSTOMER_READ, shown="notes")
        return page

    async def note(self, transaction: Transaction, operator: Operator, customer_id: UUID, wish: NewNote) -> NoteMade:
        """What was said or done. Raises NotFound, Refused (409: erased, or too much is noted; 422: no such order)."""
        await self._customers.known(transaction, customer_id)
        await self._require_room(transaction, customer_id)
        if wish.order_id is not None:
            try:
                await self._link(transaction, operator, customer_id, wish.order_id)
            except NotFound:
                raise invalid("order_id", "is no order of this business") from None
        key = (operator.tenant_id, new_id())
        text = NOTE_TEXT.seal(self._keyring, key, wish.text)
        now = self._clock.now()
        await transaction.execute(_NOTE, *key, customer_id, wish.order_id, text, operator.actor.id, now)
        await self._customers.heard_of(transaction, customer_id)
        about = {"note_id": str(key[1])} | ({"order_id": str(wish.order_id)} if wish.order_id else {})
        await self._customers.record(transaction, operator, customer_id, AuditAction.CUSTOMER_NOTED, **about)
        return NoteMade(note_id=key[1])

    async def orders(self, transaction: Transaction, operator: Operator, customer_id: UUID) -> LinkedOrders:
        """A customer's orders. Raises NotFound."""
        await self._customers.found(transaction, customer_id)
        found = await self._orders(transaction, customer_id)
        if found:
            await self._customers.record(transaction, operator, customer_id, AuditAction.CUSTOMER_READ, shown="orders")
        return LinkedOrders(orders=found)

    async def link(self, transaction: Transaction, operator: Operator, customer_id: UUID, order_id: UUID) -> None:
        """The order is one of theirs; perhaps it was before. Raises NotFound, Refused (409)."""
        await self._customers.known(transaction, customer_id)
        await self._require_room(transaction, customer_id)
        if await self._link(transaction, operator, customer_id, order_id):
            await self._customers.heard_of(transaction, customer_id)
            action, told = AuditAction.CUSTOMER_ORDER_LINKED, {"order_id": str(order_id)}
            await self._customers.record(transaction, operator, customer_id, action, **told)

    async def unlink(self, transaction: Transaction, operator: Operator, customer_id: UUID, order_id: UUID) -> None:
        """The order is none of theirs. Raises NotFound, Refused (409: a note is about it)."""
        await self._customers.known(transaction, customer_id)
        if await transaction.fetch_one(_IS_NOTED, customer_id, order_id) is not None:
            raise Refused(Code.CONFLICT, "A note of this customer is about this order.", status=409)
        if not await transaction.execute(_UNLINK, customer_id, order_id):
            raise NotFound
        action, told = AuditAction.CUSTOMER_ORDER_UNLINKED, {"order_id": str(order_id)}
        await self._customers.record(transaction, operator, customer_id, action, **told)

    async def overview(
        self, transaction: Transaction, operator: Operator, customer_id: UUID, query: NoteQuery
    ) -> tuple[CustomerRow, NotePage, LinkedOrders]:
        """What a person sees of a customer at once, a page of the notes with it; told as one look.

        Raises NotFound, Refused for a cursor that is not theirs.
        """
        shown = await self._customers.show(transaction, operator, customer_id)
        notes = await self._notes(transaction, customer_id, query)
        return shown, notes, LinkedOrders(orders=await self._orders(transaction, customer_id))

    async def everything(self, transaction: Transaction, operator: Operator, customer_id: UUID) -> CustomerExport:
        """All that is held about a person. Raises NotFound."""
        row = await self._customers.found(transaction, customer_id)
        notes = tuple(self._note(note) for note in await transaction.fetch(_ALL_NOTES, customer_id))
        orders = await self._orders(transaction, customer_id)
        await self._customers.record(transaction, operator, customer_id, AuditAction.CUSTOMER_EXPORTED)
        shown = self._customers.shown(row)
        return CustomerExport(exported_at=self._clock.now(), customer=shown, notes=notes, orders=orders)

    async def _notes(self, transaction: Transaction, customer_id: UUID, query: NoteQuery) -> NotePage:
        return await read_page(transaction, self._listing, query, customer_id=customer_id)

    async def _orders(self, transaction: Transaction, customer_id: UUID) -> tuple[LinkedOrder, ...]:
        rows = await transaction.fetch(_ORDERS, customer_id)
        return tuple(LinkedOrder.model_validate(dict(row), strict=False) for row in rows)

    async def _link(self, transaction: Transaction, operator: Operator, customer_id: UUID, order_id: UUID) -> int:
        """Whether it is new. Raises NotFound."""
        if await transaction.fetch_one("SELECT 1 FROM orders WHERE id = $1", order_id) is None:
            raise NotFound
        return await transaction.execute(_LINK, operator.tenant_id, customer_id, order_id, self._clock.now())

    async def _require_room(self, transaction: Transaction, customer_id: UUID) -> None:
        counts = await transaction.fetch_one(_COUNTS, customer_id)
        assert counts is not None  # noqa: S101  it has no FROM
        if counts["notes"] >= MAX_NOTES or counts["orders"] >= MAX_ORDERS:
            full = f"A customer has {MAX_NOTES} notes and {MAX_ORDERS} orders at most."
            raise Refused(Code.CONFLICT, full, status=409)

    def _note(self, row: Row) -> NoteRow:
        return NoteRow(
            note_id=row["id"],
            order_id=row["order_id"],
            text=self._customers.opened(NOTE_TEXT, row),
            written_by=row["written_by"],
            written_at=row["written_at"],
        )


async def forget(transaction: Transaction, customer_id: UUID) -> None:
    """Inside a unit of the tenant: nothing is noted of them any more, and no order is theirs."""
    await transaction.execute(_FORGET_NOTES, customer_id)
    await transaction.execute(_FORGET_ORDERS, customer_id)


async def link_many(
    transaction: Transaction, tenant_id: UUID, pairs: Sequence[tuple[UUID, UUID]], now: datetime
) -> None:
    """Inside a unit of the tenant: orders that are customers', (customer, order); each has MAX_ORDERS at most.

    Sent: the caller goes on.
    """
    if pairs:
        await transaction.send(_LINK_MANY, tenant_id, *columns(list(pairs)), now, MAX_ORDERS)
