"""Customers: found by their number, made, changed, shown. Whoever looks is told in the audit log, and nothing of whom.

All methods but those of settings work inside a unit of the operator.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

import structlog
from pydantic import Field, StringConstraints

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.callers import Operator
from cloud.clock import Clock, new_id
from cloud.conditional import Precondition
from cloud.customers import rules
from cloud.customers.rules import Person
from cloud.database import Row, Transaction, columns
from cloud.encryption.columns import CUSTOMER_NAME, CUSTOMER_PHONE, CUSTOMER_UPI, PHONE_INDEX, EncryptedColumn
from cloud.encryption.keyring import Keyring
from cloud.errors import NotFound, Refused, Undecipherable
from cloud.lists import Listing, PageQuery, Sort, read_page
from cloud.web import invalid
from shared.contract import Instant, Message, Name
from shared.errors import Code

log = structlog.get_logger()

_COLUMNS = (
    "tenant_id, id, name, phone, phone_index, upi_address, created_at, last_contact_at, erased_at, erased_because"
)
_ONE = f"SELECT {_COLUMNS} FROM customers WHERE id = $1"  # noqa: S608  our own columns
_FOUND = f"SELECT {_COLUMNS} FROM customers WHERE phone_index = ANY($1::text[])"  # noqa: S608  as above
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('customers ' || current_setting('app.tenant'), 0))"
_ADD = """
    INSERT INTO customers (tenant_id, id, name, phone, phone_index, upi_address, created_at, last_contact_at)
    SELECT $1, *, $7, $7 FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[])
"""
_CHANGE = """
    UPDATE customers SET name = $2, phone = $3, phone_index = coalesce($4, phone_index), upi_address = $5,
                         last_contact_at = $6
    WHERE id = $1
"""
_HEARD = "UPDATE customers SET last_contact_at = $2 WHERE id = $1"
_ERASE = """
    UPDATE customers SET name = NULL, phone = NULL, phone_index = NULL, upi_address = NULL,
                         erased_at = $2, erased_because = $3
    WHERE id = $1 AND erased_at IS NULL
"""
_OUTLIVED = """
    SELECT id FROM customers WHERE erased_at IS NULL AND last_contact_at < $1
    ORDER BY last_contact_at, id LIMIT $2 FOR UPDATE
"""
_ERASED = "SELECT id, erased_at, erased_because FROM customers WHERE erased_at IS NOT NULL ORDER BY id"
_SETTINGS = "SELECT country, keep_days FROM customer_settings"
_SET = """
    INSERT INTO customer_settings (tenant_id, country, keep_days) VALUES ($1, $2, $3)
    ON CONFLICT ON CONSTRAINT customer_settings_pkey DO UPDATE
    SET country = excluded.country, keep_days = excluded.keep_days
"""


Typed = Annotated[
    str,
    StringConstraints(min_length=3, max_length=40),
    Field(
        description="A telephone number as people write it; without a + it is of the business's country.",
        examples=["98200 12345"],
    ),
]
Upi = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._-]{2,256}@[A-Za-z][A-Za-z0-9]{1,63}$"),
    Field(description="A UPI address.", examples=["asha@okbank"]),
]
Phone = Annotated[str, Field(description="In E.164.", examples=["+919820012345"])]
Nothing = Literal[""]


class Because(StrEnum):
    """Why somebody was erased."""

    REQUEST = "request"
    RETENTION = "retention"


class NewCustomer(Message):
    """Somebody who asked for help."""

    phone: Typed
    name: Name | None = None
    upi_address: Upi | None = None


class ChangeCustomer(Message):
    """What shall be different; what is left out or null stays as it is, and an empty text takes it away."""

    phone: Typed | None = None
    name: Name | Nothing | None = None
    upi_address: Upi | Nothing | None = None


class CustomerMade(Message):
    """The id of somebody new, and nothing personal: answers that an Idempotency-Key gives again are kept."""

    customer_id: UUID


class CustomerRow(Message):
    """All that is known of a customer, but for notes and orders. Of one who was erased: when, and why."""

    customer_id: UUID
    name: Name | None
    phone: Phone | None
    upi_address: str | None
    created_at: Instant
    last_contact_at: Instant
    erased_at: Instant | None
    erased_because: Because | None


class PhoneSearch(Message):
    """Whose number this is. In a body, since addresses of requests are written down by proxies."""

    phone: Typed


class CustomersFound(Message):
    """Who was found: one, or nobody."""

    customers: tuple[CustomerRow, ...]


class CustomerLine(Message):
    """A customer without anything personal."""

    customer_id: UUID
    created_at: Instant
    last_contact_at: Instant
    notes: int
    orders: int
    erased_at: Instant | None
    erased_because: Because | None


class CustomerQuery(PageQuery):
    """Customers, the one last heard of first."""

    row = CustomerLine

    erased: Annotated[bool, Field(description="Those who were erased, in place of the others.")] = False


class CustomerPage(Message):
    """A page of customers, the one last heard of first."""

    customers: tuple[CustomerLine, ...]
    next_cursor: str | None


class CustomerSettings(Message):
    """How long customers are known after they were last heard of, and of which country numbers without a + are."""

    country: Annotated[
        str, StringConstraints(pattern=r"^[A-Z]{2}$"), Field(description="ISO 3166.", examples=["IN"])
    ] = "IN"
    keep_days: Annotated[int, Field(ge=1, le=3650, examples=[365])] = 365


class CustomerSettingsEdit(CustomerSettings):
    """As it shall be. What is left out goes back to its default."""


_CUSTOMERS = Listing(
    name="customers",
    row=CustomerLine,
    page=CustomerPage,
    table="customers c",
    show="""
        SELECT c.id AS customer_id, c.created_at, c.last_contact_at, c.erased_at, c.erased_because,
               (SELECT count(*) FROM customer_notes n
                    WHERE n.tenant_id = c.tenant_id AND n.customer_id = c.id) AS notes,
               (SELECT count(*) FROM customer_orders o
                    WHERE o.tenant_id = c.tenant_id AND o.customer_id = c.id) AS orders
        FROM {picked}""",
    read=lambda row: CustomerLine.model_validate(dict(row), strict=False),
    sorts={"-last_contact_at": Sort({"last_contact_at": "c.last_contact_at", "customer_id": "c.id"}, descending=True)},
    filters={"erased": "(c.erased_at IS NOT NULL) = {}"},
)


class CustomerService:
    """What those may do with customers who may do it."""

    def __init__(self, keyring: Keyring, clock: Clock) -> None:
        self._keyring = keyring
        self._clock = clock

    async def page(self, transaction: Transaction, query: CustomerQuery) -> CustomerPage:
        """Customers without anything personal. Raises Refused for a cursor that is not theirs."""
        return await read_page(transaction, _CUSTOMERS, query)

    async def search(self, transaction: Transaction, operator: Operator, wish: PhoneSearch) -> CustomersFound:
        """Whoever has this number. Raises Refused (422)."""
        found = await self._by_phone(transaction, operator.tenant_id, await self._phone(transaction, wish.phone))
        if found is None:
            return CustomersFound(customers=())
        await self.record(transaction, operator, found["id"], AuditAction.CUSTOMER_READ)
        return CustomersFound(customers=(self.shown(found),))

    async def create(self, transaction: Transaction, operator: Operator, wish: NewCustomer) -> CustomerMade:
        """Somebody new. Raises Refused (409: the number is somebody's; 422)."""
        phone = await self._phone(transaction, wish.phone)
        await self._require_free(transaction, operator.tenant_id, phone)
        made = await self._add(transaction, operator.tenant_id, [Person(phone, wish.name, wish.upi_address)])
        await self.record(transaction, operator, made[phone], AuditAction.CUSTOMER_CREATED)
        return CustomerMade(customer_id=made[phone])

    async def take_over(self, transaction: Transaction, tenant_id: UUID, people: Sequence[Person]) -> dict[str, UUID]:
        """Inside a unit of the tenant: by number who has it, made if nobody does. Who is known stays as they are."""
        if not people:
            return {}
        await transaction.execute(_LOCK)
        wanted = {person.phone: person for person in people}
        phones = {index: phone for phone in wanted for index in PHONE_INDEX.all_of(self._keyring, tenant_id, phone)}
        found = {phones[row["phone_index"]]: row["id"] for row in await transaction.fetch(_FOUND, list(phones))}
        return found | await self._add(transaction, tenant_id, [wanted[new] for new in wanted.keys() - found])

    async def _add(self, transaction: Transaction, tenant_id: UUID, people: Sequence[Person]) -> dict[str, UUID]:
        made, rows = {person.phone: new_id() for person in people}, []
        for person in people:
            row = (tenant_id, made[person.phone])
            name, upi = (
                self._sealed(CUSTOMER_NAME, row, person.name),
                self._sealed(CUSTOMER_UPI, row, person.upi_address),
            )
            phone = CUSTOMER_PHONE.seal(self._keyring, row, person.phone)
            rows.append((row[1], name, phone, PHONE_INDEX.all_of(self._keyring, tenant_id, person.phone)[0], upi))
        if rows:
            await transaction.execute(_ADD, tenant_id, *columns(rows), self._clock.now())
        return made

    async def show(self, transaction: Transaction, operator: Operator, customer_id: UUID) -> CustomerRow:
        """One customer. Raises NotFound."""
        row = self.shown(await self.found(transaction, customer_id))
        if row.erased_at is None:
            await self.record(transaction, operator, customer_id, AuditAction.CUSTOMER_READ)
        return row

    async def change(
        self,
        transaction: Transaction,
        operator: Operator,
        customer_id: UUID,
        wish: ChangeCustomer,
        expected: Precondition,
    ) -> CustomerRow:
        """Another name, number or UPI address. Raises NotFound, Refused (409: erased, or the number is somebody
        else's; 412; 422)."""
        row = await self.known(transaction, customer_id)
        expected.require(self.shown(row))
        key, phone, index = (row["tenant_id"], customer_id), row["phone"], None
        if wish.phone is not None:
            number = await self._phone(transaction, wish.phone)
            await self._require_free(transaction, operator.tenant_id, number, but=customer_id)
            phone = CUSTOMER_PHONE.seal(self._keyring, key, number)
            index = PHONE_INDEX.all_of(self._keyring, operator.tenant_id, number)[0]
        name = row["name"] if wish.name is None else self._sealed(CUSTOMER_NAME, key, wish.name)
        upi = row["upi_address"] if wish.upi_address is None else self._sealed(CUSTOMER_UPI, key, wish.upi_address)
        await transaction.execute(_CHANGE, customer_id, name, phone, index, upi, self._clock.now())
        fields = sorted(field for field in ChangeCustomer.model_fields if getattr(wish, field) is not None)
        await self.record(transaction, operator, customer_id, AuditAction.CUSTOMER_CHANGED, changed=fields)
        return self.shown(await self.found(transaction, customer_id))

    async def found(self, transaction: Transaction, customer_id: UUID, *, lock: bool = False) -> Row:
        """The row of a customer, erased or not. Raises NotFound."""
        row = await transaction.fetch_one(f"{_ONE} FOR UPDATE" if lock else _ONE, customer_id)
        if row is None:
            raise NotFound
        return row

    async def known(self, transaction: Transaction, customer_id: UUID) -> Row:
        """The row of a customer who is not erased, locked. Raises NotFound, Refused (409)."""
        row = await self.found(transaction, customer_id, lock=True)
        if row["erased_at"] is not None:
            raise Refused(Code.CONFLICT, "This customer was erased.", status=409)
        return row

    async def heard_of(self, transaction: Transaction, customer_id: UUID) -> None:
        """There was a contact at this moment."""
        await transaction.execute(_HEARD, customer_id, self._clock.now())

    async def set(
        self, transaction: Transaction, operator: Operator, wish: CustomerSettings, expected: Precondition
    ) -> CustomerSettings:
        """From now on so. Raises Refused (412, 422)."""
        if not rules.is_country(wish.country):
            raise invalid("country", "is none whose telephone numbers are known")
        await transaction.execute(_LOCK)
        before = await settings_of(transaction)
        expected.require(before)
        await transaction.execute(_SET, operator.tenant_id, wish.country, wish.keep_days)
        await audit.record(
            transaction,
            operator.actor,
            operator.tenant_id,
            AuditAction.CUSTOMER_SETTINGS_CHANGED,
            Subject(SubjectKind.TENANT, operator.tenant_id),
            before=before.model_dump(),
            after=wish.model_dump(),
        )
        return wish

    async def record(
        self, transaction: Transaction, operator: Operator, customer_id: UUID, action: AuditAction, **about: object
    ) -> None:
        """In the audit log; `about` must hold nothing personal."""
        subject = Subject(SubjectKind.CUSTOMER, customer_id)
        await audit.record(transaction, operator.actor, operator.tenant_id, action, subject, after=about or None)

    def shown(self, row: Row) -> CustomerRow:
        """What is known of them."""
        because = row["erased_because"]
        return CustomerRow(
            customer_id=row["id"],
            name=self.opened(CUSTOMER_NAME, row),
            phone=self.opened(CUSTOMER_PHONE, row),
            upi_address=self.opened(CUSTOMER_UPI, row),
            created_at=row["created_at"],
            last_contact_at=row["last_contact_at"],
            erased_at=row["erased_at"],
            erased_because=None if because is None else Because(because),
        )

    def opened(self, column: EncryptedColumn, row: Row) -> str | None:
        """The text of a row. One that cannot be read is none: it keeps nobody from the others."""
        kept = row[column.column]
        if kept is None:
            return None
        try:
            return column.open(self._keyring, (row["tenant_id"], row["id"]), kept)
        except Undecipherable as error:
            log.error("value_unreadable", reason=str(error))
            return None

    def _sealed(self, column: EncryptedColumn, row: tuple[UUID, UUID], text: str | None) -> str | None:
        return column.seal(self._keyring, row, text) if text else None

    async def _phone(self, transaction: Transaction, typed: str) -> str:
        """Raises Refused (422)."""
        try:
            return rules.in_one_form(typed, (await settings_of(transaction)).country)
        except rules.WrongPhone as error:
            raise invalid("phone", str(error)) from None

    async def _by_phone(self, transaction: Transaction, tenant_id: UUID, phone: str) -> Row | None:
        return await transaction.fetch_one(_FOUND, PHONE_INDEX.all_of(self._keyring, tenant_id, phone))

    async def _require_free(
        self, transaction: Transaction, tenant_id: UUID, phone: str, but: UUID | None = None
    ) -> None:
        """Nobody else has this number, and nobody gets it until the commit. Raises Refused (409)."""
        # The index alone does not keep two from it: while its key is changed, one number has two values.
        await transaction.execute(_LOCK)
        other = await self._by_phone(transaction, tenant_id, phone)
        if other is not None and other["id"] != but:
            raise Refused(Code.CONFLICT, "A customer with this number is known: search for it.", status=409)


async def settings_of(transaction: Transaction) -> CustomerSettings:
    """Inside a unit of the tenant: what it has chosen, or the defaults."""
    row = await transaction.fetch_one(_SETTINGS)
    return CustomerSettings() if row is None else CustomerSettings(**row)


async def outlived(transaction: Transaction, now: datetime, at_most: int) -> list[UUID]:
    """Inside a unit of the tenant: of whom nobody has heard for longer than it keeps them."""
    before = rules.outlived(now, (await settings_of(transaction)).keep_days)
    return [row["id"] for row in await transaction.fetch(_OUTLIVED, before, at_most)]


async def empty(transaction: Transaction, customer_id: UUID, because: Because, at: datetime) -> bool:
    """Inside a unit of the tenant: take everything out of the row; whether anything was in it. Raises NotFound."""
    if await transaction.execute(_ERASE, customer_id, at, because):
        return True
    if await transaction.fetch_one("SELECT 1 FROM customers WHERE id = $1", customer_id) is None:
        raise NotFound
    return False


async def erased(transaction: Transaction) -> list[tuple[UUID, datetime, Because]]:
    """Inside a unit of the tenant: who was erased, when and why."""
    rows = await transaction.fetch(_ERASED)
    return [(row["id"], row["erased_at"], Because(row["erased_because"])) for row in rows]
