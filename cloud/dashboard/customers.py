"""Customers: who rang, found by their telephone number."""

from uuid import UUID

from pydantic import ValidationError
from quart import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as PlainResponse

from cloud.auth.identity import Identity
from cloud.conditional import ANY
from cloud.contacts.service import ContactService, NewNote
from cloud.customers.service import (
    CustomerPage,
    CustomerQuery,
    CustomerService,
    CustomerSettings,
    CustomersFound,
    NewCustomer,
    PhoneSearch,
    settings_of,
)
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, parsed, read_form
from cloud.dashboard.page import add_page, page_query
from cloud.dashboard.signed_in import SignedInPages
from cloud.database import Transaction
from cloud.errors import Refused
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import invalid

HERE = "/customers"
WRONG = {
    "phone": "must be a telephone number",
    "name": "has 120 characters at most",
    "upi_address": "must be a UPI address, such as asha@okbank",
    "text": "must say what happened, in 2,000 characters at most",
    "country": "must be two letters, such as IN",
    "keep_days": "must be 1 to 3,650 days",
}
"""What is wrong with a field, for people."""


class CustomerPages:
    """What is done with customers together."""

    def __init__(
        self, pages: SignedInPages, identity: Identity, customers: CustomerService, contacts: ContactService
    ) -> None:
        self._pages = pages
        self._database = identity.database
        self._customers = customers
        self._contacts = contacts

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, HERE, self.show)
        add_page(pages, f"{HERE}/search", self.search, "POST")
        add_page(pages, f"{HERE}/new", self.create, "POST")
        add_page(pages, f"{HERE}/settings", self.show_settings, "GET")
        add_page(pages, f"{HERE}/settings", self.set, "POST")

    @operation(Permission.CUSTOMERS_READ)
    async def show(self) -> Response:
        """GET /customers?cursor=: a number to be searched, and when others were last heard of."""
        return await self._ask(Form())

    @operation(Permission.CUSTOMERS_READ)
    async def search(self) -> Response | PlainResponse:
        """POST /customers/search: to whoever has this number, else asks who it is. The number is in no address."""
        form, operator = await read_form(), current_operator()

        async def work(transaction: Transaction) -> CustomersFound:
            return await self._customers.search(transaction, operator, parsed(PhoneSearch, form, WRONG))

        try:
            found = await self._database.unit("dashboard.customers.search", work, caller=operator)
        except Refused as error:
            return await self._ask(form.answered(error), status=error.status)
        for customer in found.customers:
            return redirect(f"{HERE}/{customer.customer_id}", 303)
        return await self._ask(form, Form({"phone": [form.get("phone")]}, prefix="new"))

    @operation(Permission.CUSTOMERS_WRITE)
    async def create(self) -> Response | PlainResponse:
        """POST /customers/new: somebody new, perhaps with a first note."""
        form, operator = await read_form("new"), current_operator()

        async def work(transaction: Transaction) -> UUID:
            wish = parsed(NewCustomer, form, WRONG)
            note = parsed(NewNote, form, WRONG) if form.get("text").strip() else None
            made = await self._customers.create(transaction, operator, wish)
            if note is not None:
                await self._contacts.note(transaction, operator, made.customer_id, note)
            return made.customer_id

        try:
            customer_id = await self._database.unit("dashboard.customers.create", work, caller=operator)
        except Refused as error:
            return await self._ask(Form(), form.answered(error), status=error.status)
        return lead(f"{HERE}/{customer_id}", "The customer is added.")

    @operation(Permission.CUSTOMERS_ERASE)
    async def show_settings(self) -> Response:
        """GET /customers/settings."""
        now = await self._database.unit("dashboard.customers", settings_of, caller=current_operator())
        form = Form({"country": [now.country], "keep_days": [str(now.keep_days)]})
        return await self._pages.show("customer_settings.html", form=form)

    @operation(Permission.CUSTOMERS_ERASE)
    async def set(self) -> Response | PlainResponse:
        """POST /customers/settings."""
        form, operator = await read_form(), current_operator()

        async def work(transaction: Transaction) -> CustomerSettings:
            return await self._customers.set(transaction, operator, _settings(form), ANY)

        try:
            now = await self._database.unit("dashboard.customers.set", work, caller=operator)
        except Refused as error:
            return await self._pages.show("customer_settings.html", form=form.answered(error), status=error.status)
        return lead(HERE, f"Customers are kept for {now.keep_days} days after they were last heard of.")

    async def _ask(self, form: Form, new: Form | None = None, *, status: int = 200) -> Response:
        """`new`: somebody to be added."""
        operator, query = current_operator(), page_query(CustomerQuery)

        async def work(transaction: Transaction) -> tuple[CustomerPage, CustomerSettings]:
            return await self._customers.page(transaction, query), await settings_of(transaction)

        page, settings = await self._database.unit("dashboard.customers", work, caller=operator)
        return await self._pages.show(
            "customers.html",
            form=form,
            new=new,
            page=page,
            settings=settings,
            first_page="cursor" not in request.args,
            may_write=Permission.CUSTOMERS_WRITE in operator.permissions,
            may_set=Permission.CUSTOMERS_ERASE in operator.permissions,
            status=status,
        )


def _settings(form: Form) -> CustomerSettings:
    """Raises Refused."""
    country, days = form.get("country").strip().upper(), form.get("keep_days").strip()
    if not days.isdecimal():
        raise invalid("keep_days", WRONG["keep_days"])
    try:
        return CustomerSettings(country=country, keep_days=int(days))
    except ValidationError as error:
        path = str(error.errors()[0]["loc"][0])
        raise invalid(path, WRONG[path]) from None
