"""A gateway as the kiosk page sees it: the HTTP API under /kiosk/v1 with orders that the test moves by hand."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID, uuid4

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from quart import Quart, Response, request, send_from_directory

from shared.catalog import Catalogue, CatalogueSlot, Machines, MachineSummary, SlotState
from shared.contract import Message, Rail
from shared.errors import Code, Problem
from shared.orders import OrderState, OrderView, PlaceOrder, VendOutcome, VendProgress, VendView

STATIC = Path(__file__).resolve().parents[2] / "edge" / "kiosk" / "static"
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'"
TERMINAL = {OrderState.SETTLED, OrderState.CANCELLED, OrderState.EXPIRED}


class FakeKiosk:
    """Holds catalogues and orders; every change reaches the pages by server-sent events."""

    def __init__(self, *catalogues: Catalogue) -> None:
        self.catalogues = {catalogue.machine_id: catalogue for catalogue in catalogues}
        self.orders: dict[UUID, OrderView] = {}
        self.refusal: Code | None = None
        self.lost_answers = 0
        self._keys: dict[str, UUID] = {}
        self._changed = asyncio.Condition()
        self._stopping = asyncio.Event()
        self._server: asyncio.Task[None] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def order(self) -> OrderView:
        """The one order there is."""
        (order,) = self.orders.values()
        return order

    async def start(self) -> None:
        """Listens on a free port, and on the same one when started again."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen()
        self._port = listener.getsockname()[1]
        self._stopping = asyncio.Event()
        config = Config()
        config.bind = [f"fd://{listener.detach()}"]
        config.graceful_timeout = 0.2
        config.accesslog = config.errorlog = None
        self._server = asyncio.create_task(
            serve(_build(self), config, shutdown_trigger=self._stopping.wait), name="fake kiosk"
        )

    async def stop(self) -> None:
        self._stopping.set()
        await self.changed()
        if self._server:
            await self._server

    async def changed(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def show(self, catalogue: Catalogue) -> None:
        self.catalogues[catalogue.machine_id] = catalogue
        await self.changed()

    async def move_order(self, **fields: object) -> None:
        """Changes fields of the one order, for example `state=OrderState.DISPENSING`."""
        self.orders[self.order.order_id] = self.order.model_copy(update=fields)
        await self.changed()

    async def move_vend(self, index: int, state: VendProgress, outcome: VendOutcome | None = None) -> None:
        vends = list(self.order.vends)
        vends[index] = vends[index].model_copy(update={"state": state, "outcome": outcome})
        await self.move_order(state=OrderState.DISPENSING, vends=tuple(vends))

    def place(self, wish: PlaceOrder, key: str) -> tuple[OrderView, int]:
        if key in self._keys:
            return self.orders[self._keys[key]], 200
        catalogue = self.catalogues[wish.machine_id]
        slots = {slot.slot: slot for slot in catalogue.slots}
        vends = tuple(_vend(slots[line.slot]) for line in wish.lines for _ in range(line.quantity))
        total = sum(vend.price_minor for vend in vends)
        order = OrderView(
            order_id=uuid4(),
            machine_id=wish.machine_id,
            state=OrderState.PLACED,
            rail=catalogue.rail,
            currency=catalogue.currency,
            total_minor=total,
            due_minor=max(0, total - catalogue.credit_minor) if catalogue.rail is Rail.CASH else 0,
            given_back_minor=0,
            vends=vends,
        )
        self.orders[order.order_id] = order
        self._keys[key] = order.order_id
        return order, 201

    async def events(
        self, name: str, read: Callable[[], Message], last: Callable[[Message], bool]
    ) -> AsyncIterator[bytes]:
        sent = b""
        while not self._stopping.is_set():
            message = read()
            if (line := message.to_line()) != sent:
                sent = line
                yield b"event: " + name.encode() + b"\ndata: " + line + b"\n\n"
                continue  # it may have changed again while that was written
            if last(message):
                return
            async with self._changed:
                await self._changed.wait()


def _vend(slot: CatalogueSlot) -> VendView:
    return VendView(
        vend_id=uuid4(),
        slot=slot.slot,
        product_name=slot.name,
        price_minor=slot.price_minor,
        state=VendProgress.WAITING,
        outcome=None,
    )


def _json(message: Message, status: int = 200) -> Response:
    return Response(message.to_line(), status, content_type="application/json")


def _problem(status: int, code: Code) -> Response:
    problem = Problem(title=code.value, status=status, code=code, detail=f"refused: {code.value}", request_id="r1")
    return Response(problem.to_line(), status, content_type="application/problem+json")


def _stream(events: AsyncIterator[bytes]) -> Response:
    response = Response(events, content_type="text/event-stream", headers={"Cache-Control": "no-store"})
    response.timeout = None
    return response


def _build(kiosk: FakeKiosk) -> ASGIFramework:
    app = Quart(__name__, static_folder=str(STATIC))

    @app.after_request
    async def policy(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        return response

    @app.get("/")
    @app.get("/machines/<uuid:machine_id>")
    async def page(machine_id: UUID | None = None) -> Response:
        return await send_from_directory(STATIC, "index.html")

    _add_machines(app, kiosk)
    _add_orders(app, kiosk)
    return app


def _add_machines(app: Quart, kiosk: FakeKiosk) -> None:
    @app.get("/kiosk/v1/machines")
    async def machines() -> Response:
        return _json(Machines(machines=tuple(_summary(catalogue) for catalogue in kiosk.catalogues.values())))

    @app.get("/kiosk/v1/machines/<uuid:machine_id>/catalogue")
    async def catalogue(machine_id: UUID) -> Response:
        known = kiosk.catalogues.get(machine_id)
        return _json(known) if known else _problem(404, Code.UNKNOWN_MACHINE)

    @app.get("/kiosk/v1/machines/<uuid:machine_id>/events")
    async def catalogue_events(machine_id: UUID) -> Response:
        if machine_id not in kiosk.catalogues:
            return _problem(404, Code.UNKNOWN_MACHINE)
        return _stream(kiosk.events("catalogue", lambda: kiosk.catalogues[machine_id], lambda _: False))


def _summary(catalogue: Catalogue) -> MachineSummary:
    return MachineSummary(
        machine_id=catalogue.machine_id,
        name=catalogue.name,
        rail=catalogue.rail,
        currency=catalogue.currency,
        online=any(slot.state is not SlotState.OFFLINE for slot in catalogue.slots),
    )


def _add_orders(app: Quart, kiosk: FakeKiosk) -> None:
    @app.post("/kiosk/v1/orders")
    async def place() -> Response:
        wish = PlaceOrder.model_validate_json(await request.get_data())
        if kiosk.refusal:
            return _problem(409, kiosk.refusal)
        placed = kiosk.place(wish, request.headers["Idempotency-Key"])
        if kiosk.lost_answers:
            kiosk.lost_answers -= 1
            return _problem(503, Code.UNAVAILABLE)
        return _json(*placed)

    @app.get("/kiosk/v1/orders/<uuid:order_id>")
    async def order(order_id: UUID) -> Response:
        return _json(kiosk.orders[order_id]) if order_id in kiosk.orders else _problem(404, Code.UNKNOWN_ORDER)

    @app.get("/kiosk/v1/orders/<uuid:order_id>/events")
    async def order_events(order_id: UUID) -> Response:
        if order_id not in kiosk.orders:
            return _problem(404, Code.UNKNOWN_ORDER)
        return _stream(
            kiosk.events("order", lambda: kiosk.orders[order_id], lambda _: kiosk.orders[order_id].state in TERMINAL)
        )

    @app.post("/kiosk/v1/orders/<uuid:order_id>/cancel")
    async def cancel(order_id: UUID) -> Response:
        await kiosk.move_order(state=OrderState.CANCELLED)
        return _json(kiosk.orders[order_id])
