"""/v1/catalog/products and /v1/machines, with their planograms."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar
from uuid import UUID

from quart import Blueprint, Response

from cloud.cache import Cache, Caches, Owned
from cloud.catalog import service
from cloud.catalog.models import (
    MachineEdit,
    MachinePage,
    MachineRow,
    PlanogramPage,
    PlanogramQuery,
    PlanogramWish,
    ProductEdit,
    ProductPage,
    ProductRow,
    ProductWish,
)
from cloud.catalog.service import MachineQuery, ProductQuery
from cloud.conditional import precondition
from cloud.database import Database, Transaction, Work
from cloud.idempotency import Once
from cloud.lists import answer_page
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import answer
from shared.catalog import PlanogramVersion
from shared.contract import Message

M = TypeVar("M", bound=Message)

MOST, MOST_OF_TENANT = 500, 50
"""Answers that are kept, of up to 200 rows each: 20 MB with names of 30 letters, 90 MB with the longest."""


class CatalogRoutes:
    """What is sold where, at which price.

    Answers about products and machines are kept until one of the tenant changes. Planograms depend on the time and
    are read each time.
    """

    def __init__(self, database: Database, once: Once, caches: Caches) -> None:
        self._database = database
        self._once = once
        self._kept: Cache[tuple[UUID, str, str, str], bytes] = caches.make(
            service.CATALOGUE, most=MOST, most_of_tenant=MOST_OF_TENANT
        )

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("catalog", __name__)
        products, machines = "/catalog/products", "/machines"
        planograms = f"{machines}/<uuid:machine_id>/planograms"
        routes.add_url_rule(products, view_func=self.list_products, methods=["GET"])
        routes.add_url_rule(products, view_func=self.create_product, methods=["POST"])
        routes.add_url_rule(f"{products}/<uuid:product_id>", view_func=self.show_product, methods=["GET"])
        routes.add_url_rule(f"{products}/<uuid:product_id>", view_func=self.edit_product, methods=["PATCH"])
        routes.add_url_rule(machines, view_func=self.list_machines, methods=["GET"])
        routes.add_url_rule(f"{machines}/<uuid:machine_id>", view_func=self.show_machine, methods=["GET"])
        routes.add_url_rule(f"{machines}/<uuid:machine_id>", view_func=self.edit_machine, methods=["PATCH"])
        routes.add_url_rule(planograms, view_func=self.list_planograms, methods=["GET"])
        routes.add_url_rule(planograms, view_func=self.publish_planogram, methods=["POST"])
        return routes

    @operation(Permission.CATALOG_READ, summary="List products", answers={200: ProductPage}, conditional=True)
    async def list_products(self, query: ProductQuery) -> Response:
        """What the tenant sells, by name."""
        work = partial(service.product_page, query=query)
        return await self._read("catalog.products", work, query.model_dump_json(), partial(answer_page, query=query))

    @operation(Permission.CATALOG_WRITE, summary="Create a product", answers={201: ProductRow}, idempotent=True)
    async def create_product(self, body: ProductWish) -> Response:
        """A new product. Machines hear of it with the first planogram that has it."""
        work = partial(service.add_product, operator=current_operator(), name=body.name)
        return await self._once("catalog.create_product", work, body)

    @operation(Permission.CATALOG_READ, summary="Show a product", answers={200: ProductRow}, conditional=True)
    async def show_product(self, product_id: UUID) -> Response:
        """One product."""

        async def work(_: Transaction) -> ProductRow:
            return await service.product(product_id)

        return await self._read("catalog.product", work, str(product_id), answer)

    @operation(Permission.CATALOG_WRITE, summary="Edit a product", answers={200: ProductRow}, guarded=True)
    async def edit_product(self, product_id: UUID, body: ProductEdit) -> Response:
        """Told to every site that sells it."""
        operator, expected = current_operator(), precondition()
        work = partial(service.edit_product, operator=operator, product_id=product_id, edit=body, expected=expected)
        return answer(await self._database.unit("catalog.edit_product", work, caller=operator))

    @operation(Permission.MACHINES_READ, summary="List machines", answers={200: MachinePage}, conditional=True)
    async def list_machines(self, query: MachineQuery) -> Response:
        """Vending cabinets, by name."""
        work = partial(service.machine_page, query=query)
        return await self._read("catalog.machines", work, query.model_dump_json(), partial(answer_page, query=query))

    @operation(Permission.MACHINES_READ, summary="Show a machine", answers={200: MachineRow}, conditional=True)
    async def show_machine(self, machine_id: UUID) -> Response:
        """One vending cabinet."""

        async def work(_: Transaction) -> MachineRow:
            return await service.machine(machine_id)

        return await self._read("catalog.machine", work, str(machine_id), answer)

    @operation(Permission.MACHINES_WRITE, summary="Edit a machine", answers={200: MachineRow}, guarded=True)
    async def edit_machine(self, machine_id: UUID, body: MachineEdit) -> Response:
        """Its name, and whether it is in service. Told to its gateway."""
        operator, expected = current_operator(), precondition()
        work = partial(service.edit_machine, operator=operator, machine_id=machine_id, edit=body, expected=expected)
        return answer(await self._database.unit("catalog.edit_machine", work, caller=operator))

    @operation(Permission.CATALOG_READ, summary="List planograms of a machine", answers={200: PlanogramPage})
    async def list_planograms(self, machine_id: UUID, query: PlanogramQuery) -> Response:
        """What sat, sits and will sit in a machine, the newest version first."""
        work = partial(service.planogram_page, machine_id=machine_id, query=query)
        return answer_page(await self._database.unit("catalog.planograms", work, caller=current_operator()), query)

    @operation(
        Permission.CATALOG_WRITE,
        summary="Publish a planogram",
        answers={201: PlanogramVersion},
        idempotent=True,
    )
    async def publish_planogram(self, machine_id: UUID, body: PlanogramWish) -> Response:
        """The machine's next planogram, with all its slots, told to its gateway now and in force from its time on."""
        work = partial(service.plan, operator=current_operator(), machine_id=machine_id, wish=body)
        return await self._once("catalog.publish_planogram", work, body)

    async def _read(self, name: str, work: Work[M], asked: str, write: Callable[[M], Response]) -> Response:
        """The answer that is kept for whoever sees this part of the tenant and asks this, or else a new one."""
        operator = current_operator()

        async def load() -> Owned[bytes]:
            answered = write(await self._database.unit(name, work, caller=operator))
            return Owned(operator.tenant_id, await answered.get_data(as_text=False))

        text = await self._kept.get((operator.tenant_id, operator.scope.setting(), name, asked), load)
        return Response(text, mimetype="application/json")
