"""/v1/inventory, its movements, and what is asked of machines."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response

from cloud.database import Database
from cloud.exports import export, file_of
from cloud.idempotency import Once
from cloud.inventory import service
from cloud.inventory.models import (
    MOVEMENTS,
    MovementExport,
    MovementPage,
    MovementQuery,
    MovementRow,
    StockAsked,
    StockPage,
    StockQuery,
    StockWish,
)
from cloud.lists import answer_page
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.reports import Reports


class InventoryRoutes:
    """What lies in the slots."""

    def __init__(self, database: Database, reports: Reports, once: Once) -> None:
        self._database = database
        self._reports = reports
        self._once = once

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("inventory", __name__)
        routes.add_url_rule("/inventory", view_func=self.list_stock, methods=["GET"])
        routes.add_url_rule("/inventory/movements", view_func=self.list_movements, methods=["GET"])
        routes.add_url_rule("/inventory/movements/export", view_func=self.export_movements, methods=["GET"])
        routes.add_url_rule("/machines/<uuid:machine_id>/stock", view_func=self.move_stock, methods=["POST"])
        return routes

    @operation(Permission.INVENTORY_READ, summary="List stock", answers={200: StockPage}, conditional=True)
    async def list_stock(self, query: StockQuery) -> Response:
        """What lies in each slot: the sum of its movements, and what people and sensors say of it."""
        work = partial(service.stock_page, query=query)
        return answer_page(await self._database.unit("inventory.list", work, caller=current_operator()), query)

    @operation(Permission.INVENTORY_READ, summary="List stock movements", answers={200: MovementPage})
    async def list_movements(self, query: MovementQuery) -> Response:
        """Each unit that came or went, and why, by machine, slot and time."""
        work = partial(service.movement_page, query=query)
        return answer_page(await self._database.unit("inventory.movements", work, caller=current_operator()), query)

    @operation(Permission.INVENTORY_READ, summary="Export stock movements", answers={200: file_of(MovementRow)})
    async def export_movements(self, query: MovementExport) -> Response:
        """All movements that fit, as CSV or NDJSON, as they are at this moment. Ends early if the line breaks.

        In CSV, a text that a spreadsheet might run as a formula has a `'` before it.
        """
        return await export(self._database, self._reports, MOVEMENTS, query, query.format)

    @operation(Permission.INVENTORY_WRITE, summary="Move stock", answers={201: StockAsked}, idempotent=True)
    async def move_stock(self, machine_id: UUID, body: StockWish) -> Response:
        """Ask the machine's gateway to restock, count, waste or adjust slots; it does so once, online or later."""
        work = partial(service.ask, operator=current_operator(), machine_id=machine_id, wish=body)
        return await self._once("inventory.move_stock", work, body)
