"""/v1/customers/{id}: notes, orders, and everything together."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response

from cloud.contacts.service import (
    ContactService,
    CustomerExport,
    LinkedOrders,
    NewNote,
    NoteMade,
    NotePage,
    NoteQuery,
)
from cloud.database import Database
from cloud.idempotency import Once
from cloud.lists import answer_page
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import answer
from shared.errors import Code

READ, WRITE = Permission.CUSTOMERS_READ, Permission.CUSTOMERS_WRITE


class ContactRoutes:
    """What happened to customers."""

    def __init__(self, database: Database, contacts: ContactService, once: Once) -> None:
        self._database = database
        self._contacts = contacts
        self._once = once

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("contacts", __name__, url_prefix="/customers/<uuid:customer_id>")
        routes.add_url_rule("/export", view_func=self.export_customer, methods=["GET"])
        routes.add_url_rule("/notes", view_func=self.list_notes, methods=["GET"])
        routes.add_url_rule("/notes", view_func=self.add_note, methods=["POST"])
        routes.add_url_rule("/orders", view_func=self.list_orders, methods=["GET"])
        routes.add_url_rule("/orders/<uuid:order_id>", view_func=self.link_order, methods=["PUT"])
        routes.add_url_rule("/orders/<uuid:order_id>", view_func=self.unlink_order, methods=["DELETE"])
        return routes

    @operation(READ, summary="Export what is held about a customer", answers={200: CustomerExport})
    async def export_customer(self, customer_id: UUID) -> Response:
        """Everything, to be given to the person: what is known of them, all notes, and all their orders."""
        work = partial(self._contacts.everything, operator=current_operator(), customer_id=customer_id)
        found = await self._database.unit("customers.export", work, caller=current_operator())
        return attached(found)

    @operation(READ, summary="List notes of a customer", answers={200: NotePage})
    async def list_notes(self, customer_id: UUID, query: NoteQuery) -> Response:
        """What was said and done, the newest first."""
        work = partial(self._contacts.notes, operator=current_operator(), customer_id=customer_id, query=query)
        return answer_page(await self._database.unit("customers.notes", work, caller=current_operator()), query)

    @operation(
        WRITE,
        summary="Add a note to a customer",
        answers={201: NoteMade},
        problems=(Code.CONFLICT,),
        idempotent=True,
    )
    async def add_note(self, customer_id: UUID, body: NewNote) -> Response:
        """What happened, perhaps with which order. That counts as a contact."""
        work = partial(self._contacts.note, operator=current_operator(), customer_id=customer_id, wish=body)
        return await self._once("customers.note", work, body)

    @operation(READ, summary="List orders of a customer", answers={200: LinkedOrders})
    async def list_orders(self, customer_id: UUID) -> Response:
        """All that were linked and are still there, the newest first."""
        work = partial(self._contacts.orders, operator=current_operator(), customer_id=customer_id)
        return answer(await self._database.unit("customers.orders", work, caller=current_operator()))

    @operation(WRITE, summary="Link an order to a customer", answers={204: None}, problems=(Code.CONFLICT,))
    async def link_order(self, customer_id: UUID, order_id: UUID) -> Response:
        """The order is one of theirs. That counts as a contact."""
        operator = current_operator()
        work = partial(self._contacts.link, operator=operator, customer_id=customer_id, order_id=order_id)
        await self._database.unit("customers.link", work, caller=operator)
        return Response(status=204)

    @operation(WRITE, summary="Unlink an order from a customer", answers={204: None}, problems=(Code.CONFLICT,))
    async def unlink_order(self, customer_id: UUID, order_id: UUID) -> Response:
        """The order is none of theirs. One that a note is about stays."""
        operator = current_operator()
        work = partial(self._contacts.unlink, operator=operator, customer_id=customer_id, order_id=order_id)
        await self._database.unit("customers.unlink", work, caller=operator)
        return Response(status=204)


def attached(found: CustomerExport) -> Response:
    """As a file, whose name says nothing of the person."""
    response = answer(found)
    response.headers["Content-Disposition"] = f'attachment; filename="customer-{found.customer.customer_id}.json"'
    return response
