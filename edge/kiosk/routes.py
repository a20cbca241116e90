"""The kiosk over HTTP: what customers' pages read, the orders they send, and how the gateway is."""

from pathlib import Path
from uuid import UUID

from quart import Blueprint, Quart, Response, send_from_directory

from edge.dispensing.service import vend_key
from edge.kiosk import problems, walls
from edge.kiosk.health import Health
from edge.kiosk.problems import answer, read_body, read_idempotency_key
from edge.kiosk.streams import Streams
from edge.kiosk.views import KioskViews, catalogue_keys
from edge.orders.service import OrderService, order_key
from edge.payments.service import credit_key
from shared.contract import Message
from shared.orders import OrderState, OrderView, PlaceOrder

STATIC = Path(__file__).parent / "static"
MAX_BODY_BYTES = 16 * 1024
BODY_TIMEOUT_S = 5
TERMINAL = frozenset({OrderState.SETTLED, OrderState.CANCELLED, OrderState.EXPIRED})


def create_app(
    views: KioskViews, orders: OrderService, streams: Streams, health: Health, allowed_hosts: tuple[str, ...]
) -> Quart:
    """The whole HTTP face of the gateway."""
    app = Quart("edge.kiosk", static_folder=str(STATIC), static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config["BODY_TIMEOUT"] = BODY_TIMEOUT_S
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 31_536_000  # the built files carry a hash in their names
    problems.add_to(app)
    walls.add_to(app, allowed_hosts)
    app.register_blueprint(_pages())
    app.register_blueprint(_machines(views, streams), url_prefix="/kiosk/v1/machines")
    app.register_blueprint(_orders(orders, streams), url_prefix="/kiosk/v1/orders")
    app.register_blueprint(_health(health))
    return app


def _pages() -> Blueprint:
    routes = Blueprint("pages", __name__)

    @routes.get("/")
    @routes.get("/machines/<uuid:machine_id>")
    async def page(machine_id: UUID | None = None) -> Response:
        return await send_from_directory(STATIC, "index.html", cache_timeout=0)

    return routes


def _machines(views: KioskViews, streams: Streams) -> Blueprint:
    routes = Blueprint("machines", __name__)

    @routes.get("")
    async def machines() -> Response:
        return answer(await views.machines())

    @routes.get("/<uuid:machine_id>/catalogue")
    async def catalogue(machine_id: UUID) -> Response:
        return answer(await views.catalogue(machine_id))

    @routes.get("/<uuid:machine_id>/events")
    async def events(machine_id: UUID) -> Response:
        await views.catalogue(machine_id)
        return streams.follow("catalogue", catalogue_keys(machine_id), lambda: views.catalogue(machine_id))

    return routes


def _orders(orders: OrderService, streams: Streams) -> Blueprint:
    routes = Blueprint("orders", __name__)

    @routes.post("")
    async def place() -> Response:
        key = read_idempotency_key()
        view, is_new = await orders.place(key, await read_body(PlaceOrder))
        return answer(view, 201 if is_new else 200)

    @routes.get("/<uuid:order_id>")
    async def order(order_id: UUID) -> Response:
        return answer(await orders.view(order_id))

    @routes.get("/<uuid:order_id>/events")
    async def events(order_id: UUID) -> Response:
        keys = _order_keys(await orders.view(order_id))
        return streams.follow("order", keys, lambda: orders.view(order_id), _is_over)

    @routes.post("/<uuid:order_id>/cancel")
    async def cancel(order_id: UUID) -> Response:
        return answer(await orders.cancel(order_id))

    return routes


def _health(health: Health) -> Blueprint:
    routes = Blueprint("health", __name__)

    @routes.get("/health/live")
    async def live() -> Response:
        return Response('{"live":true}', content_type="application/json")

    @routes.get("/health/ready")
    async def ready() -> Response:
        found = await health.health()
        return answer(found, 200 if found.ready else 503)

    @routes.get("/kiosk/v1/status")
    async def status() -> Response:
        return answer(await health.status())

    return routes


def _order_keys(view: OrderView) -> tuple[str, ...]:
    return order_key(view.order_id), credit_key(view.machine_id), *(vend_key(vend.vend_id) for vend in view.vends)


def _is_over(message: Message) -> bool:
    return isinstance(message, OrderView) and message.state in TERMINAL
