"""DELETE /v1/customers/{id}."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response

from cloud.clock import Clock
from cloud.customers.service import Because
from cloud.database import Database
from cloud.erasure.service import erase
from cloud.operations import current_operator, operation
from cloud.permissions import Permission


def blueprint(database: Database, clock: Clock) -> Blueprint:
    """The route by which people are erased."""
    routes = Blueprint("erasure", __name__, url_prefix="/customers")

    @routes.delete("/<uuid:customer_id>")
    @operation(Permission.CUSTOMERS_ERASE, summary="Erase a customer", answers={204: None})
    async def erase_customer(customer_id: UUID) -> Response:
        """On their request: what is personal goes, with notes and links to orders. The orders stay, of nobody.

        Once more changes nothing.
        """
        operator = current_operator()
        work = partial(
            erase,
            actor=operator.actor,
            tenant_id=operator.tenant_id,
            customer_id=customer_id,
            because=Because.REQUEST,
            at=clock.now(),
        )
        await database.unit("erasure.erase", work, caller=operator)
        return Response(status=204)

    return routes
