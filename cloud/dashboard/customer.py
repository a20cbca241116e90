"""One customer: what is known of them, what happened, and how they are forgotten."""

from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

from quart import Blueprint, Response, request
from werkzeug.wrappers import Response as PlainResponse

from cloud.auth.identity import Identity
from cloud.catalog.service import Place, places
from cloud.conditional import ANY
from cloud.contacts.routes import attached
from cloud.contacts.service import ContactService, CustomerExport, NewNote, NoteQuery
from cloud.customers.rules import for_people
from cloud.customers.service import Because, ChangeCustomer, CustomerService
from cloud.dashboard.customers import HERE, WRONG
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, parsed, read_form
from cloud.dashboard.page import add_page, page_query
from cloud.dashboard.signed_in import SignedInPages
from cloud.database import Transaction, Work
from cloud.erasure.service import erase
from cloud.errors import Refused
from cloud.operations import current_operator, operation
from cloud.orders.service import OrderQuery, order_page
from cloud.permissions import Permission
from cloud.web import as_id, invalid
from shared.contract import Message

T = TypeVar("T")

CONFIRMATION = "erase"
"""What has to be typed."""


class OneCustomerPages:
    """What is done with a customer."""

    def __init__(
        self, pages: SignedInPages, identity: Identity, customers: CustomerService, contacts: ContactService
    ) -> None:
        self._pages = pages
        self._database = identity.database
        self._clock = identity.clock
        self._customers = customers
        self._contacts = contacts

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        one = f"{HERE}/<uuid:customer_id>"
        add_page(pages, one, self.show)
        add_page(pages, f"{one}/edit", self.show_edit, "GET")
        add_page(pages, f"{one}/edit", self.change, "POST")
        add_page(pages, f"{one}/notes", self.note, "POST")
        add_page(pages, f"{one}/orders", self.show_orders, "GET")
        add_page(pages, f"{one}/orders", self.link, "POST")
        add_page(pages, f"{one}/orders/<uuid:order_id>/removal", self.unlink, "POST")
        add_page(pages, f"{one}/export", self.download, "GET")
        add_page(pages, f"{one}/erasure", self.erase, "POST")

    @operation(Permission.CUSTOMERS_READ)
    async def show(self, customer_id: UUID) -> Response:
        """GET /customers/…?cursor=: who they are, their orders and notes."""
        return await self._ask(customer_id, Form())

    @operation(Permission.CUSTOMERS_WRITE)
    async def show_edit(self, customer_id: UUID) -> Response:
        """GET /customers/…/edit."""
        work = partial(self._customers.show, operator=current_operator(), customer_id=customer_id)
        found = await self._do(work)
        told = {"phone": found.phone, "name": found.name, "upi_address": found.upi_address}
        form = Form({name: [text or ""] for name, text in told.items()})
        return await self._pages.show("customer_edit.html", form=form, customer_id=customer_id)

    @operation(Permission.CUSTOMERS_WRITE)
    async def change(self, customer_id: UUID) -> Response | PlainResponse:
        """POST /customers/…/edit."""
        form = await read_form()
        try:
            wish = parsed(ChangeCustomer, form, WRONG, empty=("name", "upi_address"))
            work = partial(
                self._customers.change, operator=current_operator(), customer_id=customer_id, wish=wish, expected=ANY
            )
            await self._do(work)
        except Refused as error:
            shown = {"form": form.answered(error), "customer_id": customer_id}
            return await self._pages.show("customer_edit.html", status=error.status, **shown)
        return lead(f"{HERE}/{customer_id}", "The customer is changed.")

    @operation(Permission.CUSTOMERS_WRITE)
    async def note(self, customer_id: UUID) -> Response | PlainResponse:
        """POST /customers/…/notes."""
        form = await read_form()
        try:
            wish = parsed(NewNote, form, WRONG)
            work = partial(self._contacts.note, operator=current_operator(), customer_id=customer_id, wish=wish)
            await self._do(work)
        except Refused as error:
            return await self._ask(customer_id, form.answered(error), error.status)
        return lead(f"{HERE}/{customer_id}", "It is noted.")

    @operation(Permission.CUSTOMERS_WRITE)
    async def show_orders(self, customer_id: UUID) -> Response:
        """GET /customers/…/orders?machine=&day=&cursor=: orders, one of which may be theirs."""
        form, status = Form({name: [request.args.get(name, "")] for name in ("machine", "day")}), 200
        query = page_query(OrderQuery)
        try:
            query = query.model_copy(update=_narrowed(form))
        except Refused as error:
            form, status = form.answered(error), error.status

        async def work(transaction: Transaction) -> tuple[Message, list[Place]]:
            await self._customers.known(transaction, customer_id)
            return await order_page(transaction, query), await places(transaction)

        page, known = await self._do(work)
        machines = [
            (str(place.machine_id), f"{place.machine_name}, {place.site_name}") for place in known if place.machine_id
        ]
        return await self._pages.show(
            "customer_orders.html",
            form=form,
            page=page,
            machines=[("", "All machines"), *machines],
            customer_id=customer_id,
            first_page="cursor" not in request.args,
            status=status,
        )

    @operation(Permission.CUSTOMERS_WRITE)
    async def link(self, customer_id: UUID) -> PlainResponse:
        """POST /customers/…/orders."""
        order_id, operator = as_id("order_id", (await read_form()).get("order_id")), current_operator()
        try:
            await self._do(partial(self._contacts.link, operator=operator, customer_id=customer_id, order_id=order_id))
        except Refused as error:
            return lead(f"{HERE}/{customer_id}", error.detail, "bad")
        return lead(f"{HERE}/{customer_id}", "The order is one of theirs.")

    @operation(Permission.CUSTOMERS_WRITE)
    async def unlink(self, customer_id: UUID, order_id: UUID) -> PlainResponse:
        """POST /customers/…/orders/…/removal."""
        operator = current_operator()
        try:
            await self._do(
                partial(self._contacts.unlink, operator=operator, customer_id=customer_id, order_id=order_id)
            )
        except Refused as error:
            return lead(f"{HERE}/{customer_id}", error.detail, "bad")
        return lead(f"{HERE}/{customer_id}", "The order is none of theirs.", "plain")

    @operation(Permission.CUSTOMERS_READ)
    async def download(self, customer_id: UUID) -> Response:
        """GET /customers/…/export: everything that is held about them, as a file."""
        operator = current_operator()
        work: Work[CustomerExport] = partial(self._contacts.everything, operator=operator, customer_id=customer_id)
        return attached(await self._do(work))

    @operation(Permission.CUSTOMERS_ERASE)
    async def erase(self, customer_id: UUID) -> PlainResponse:
        """POST /customers/…/erasure: once the word was typed."""
        if (await read_form()).get("typed").strip().lower() != CONFIRMATION:
            return lead(f"{HERE}/{customer_id}", f"Nothing was erased: type the word {CONFIRMATION} first.", "bad")
        operator = current_operator()
        work = partial(
            erase,
            actor=operator.actor,
            tenant_id=operator.tenant_id,
            customer_id=customer_id,
            because=Because.REQUEST,
            at=self._clock.now(),
        )
        await self._do(work)
        return lead(f"{HERE}/{customer_id}", "The customer is erased.", "plain")

    async def _do(self, work: Work[T]) -> T:
        return await self._database.unit("dashboard.customer", work, caller=current_operator())

    async def _ask(self, customer_id: UUID, form: Form, status: int = 200) -> Response:
        operator, query = current_operator(), page_query(NoteQuery)

        work = partial(self._contacts.overview, operator=operator, customer_id=customer_id, query=query)
        customer, notes, orders = await self._do(work)
        return await self._pages.show(
            "customer.html",
            customer=customer,
            phone=for_people(customer.phone) if customer.phone else "",
            notes=notes,
            orders=orders.orders,
            form=form,
            word=CONFIRMATION,
            first_page="cursor" not in request.args,
            may_write=Permission.CUSTOMERS_WRITE in operator.permissions and customer.erased_at is None,
            may_erase=Permission.CUSTOMERS_ERASE in operator.permissions and customer.erased_at is None,
            status=status,
        )


def _narrowed(form: Form) -> dict[str, object]:
    """What the finder of orders asks for. Raises Refused."""
    found: dict[str, object] = {}
    if form.get("machine"):
        found["machine_id"] = as_id("machine", form.get("machine"))
    if form.get("day"):
        try:
            day = date.fromisoformat(form.get("day"))
            found["placed_from"] = begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
            found["placed_to"] = begin + timedelta(days=1)
        except (ValueError, OverflowError):
            raise invalid("day", "must be a day, such as 2026-01-31") from None
    return found
