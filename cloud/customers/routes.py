"""/v1/customers: people who asked for help."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response

from cloud.conditional import precondition
from cloud.customers.service import (
    ChangeCustomer,
    CustomerMade,
    CustomerPage,
    CustomerQuery,
    CustomerRow,
    CustomerService,
    CustomerSettings,
    CustomerSettingsEdit,
    CustomersFound,
    NewCustomer,
    PhoneSearch,
    settings_of,
)
from cloud.database import Database
from cloud.idempotency import Once
from cloud.lists import answer_page
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import answer
from shared.errors import Code

READ, WRITE = Permission.CUSTOMERS_READ, Permission.CUSTOMERS_WRITE


class CustomerRoutes:
    """What is done with customers."""

    def __init__(self, database: Database, customers: CustomerService, once: Once) -> None:
        self._database = database
        self._customers = customers
        self._once = once

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("customers", __name__, url_prefix="/customers")
        routes.add_url_rule("", view_func=self.list_customers, methods=["GET"])
        routes.add_url_rule("", view_func=self.create_customer, methods=["POST"])
        routes.add_url_rule("/search", view_func=self.search_customers, methods=["POST"])
        routes.add_url_rule("/settings", view_func=self.show_settings, methods=["GET"])
        routes.add_url_rule("/settings", view_func=self.change_settings, methods=["PUT"])
        routes.add_url_rule("/<uuid:customer_id>", view_func=self.show_customer, methods=["GET"])
        routes.add_url_rule("/<uuid:customer_id>", view_func=self.change_customer, methods=["PATCH"])
        return routes

    @operation(READ, summary="List customers", answers={200: CustomerPage})
    async def list_customers(self, query: CustomerQuery) -> Response:
        """Without anything personal, the one last heard of first. Who they are is shown one by one, and audited."""
        work = partial(self._customers.page, query=query)
        return answer_page(await self._database.unit("customers.list", work, caller=current_operator()), query)

    @operation(
        WRITE,
        summary="Create a customer",
        answers={201: CustomerMade},
        problems=(Code.CONFLICT,),
        idempotent=True,
    )
    async def create_customer(self, body: NewCustomer) -> Response:
        """Somebody who asked for help, known by their telephone number. A number is one customer's."""
        work = partial(self._customers.create, operator=current_operator(), wish=body)
        return await self._once("customers.create", work, body)

    @operation(READ, summary="Search a customer by telephone number", answers={200: CustomersFound})
    async def search_customers(self, body: PhoneSearch) -> Response:
        """Whoever has exactly this number, however it is written. It is in a body to stay out of logs."""
        work = partial(self._customers.search, operator=current_operator(), wish=body)
        return answer(await self._database.unit("customers.search", work, caller=current_operator()))

    @operation(READ, summary="Show how long customers are kept", answers={200: CustomerSettings}, conditional=True)
    async def show_settings(self) -> Response:
        """For how many days after they were last heard of, and of which country their numbers are."""
        return answer(await self._database.unit("customers.settings", settings_of, caller=current_operator()))

    @operation(
        Permission.CUSTOMERS_ERASE,
        summary="Set how long customers are kept",
        answers={200: CustomerSettings},
        guarded=True,
    )
    async def change_settings(self, body: CustomerSettingsEdit) -> Response:
        """Whoever was last heard of longer ago is erased within the hour. What is left out goes back to its default."""
        work = partial(self._customers.set, operator=current_operator(), wish=body, expected=precondition())
        return answer(await self._database.unit("customers.set", work, caller=current_operator()))

    @operation(READ, summary="Show a customer", answers={200: CustomerRow}, conditional=True)
    async def show_customer(self, customer_id: UUID) -> Response:
        """All that is known of them but for notes and orders. Of one who was erased: when, and why."""
        work = partial(self._customers.show, operator=current_operator(), customer_id=customer_id)
        return answer(await self._database.unit("customers.show", work, caller=current_operator()))

    @operation(WRITE, summary="Change a customer", answers={200: CustomerRow}, problems=(Code.CONFLICT,), guarded=True)
    async def change_customer(self, customer_id: UUID, body: ChangeCustomer) -> Response:
        """Another name, number or UPI address."""
        operator = current_operator()
        work = partial(
            self._customers.change, operator=operator, customer_id=customer_id, wish=body, expected=precondition()
        )
        return answer(await self._database.unit("customers.change", work, caller=operator))
