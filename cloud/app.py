"""The composition root: builds every part and puts the web application together."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from email.utils import format_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Literal

import structlog
from quart import Quart, Response, g, request, websocket
from quart.typing import ResponseTypes
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.wrappers import Response as PlainResponse

from cloud import api, schema
from cloud.addresses import Network
from cloud.auth.identity import build as build_identity
from cloud.auth.service import AuthService
from cloud.bounded_app import REQUEST_SECONDS, BoundedApp
from cloud.cache import Caches
from cloud.clock import Clock, new_id
from cloud.conditional import tag
from cloud.configuration.service import SettingsSigner
from cloud.cors import Cors
from cloud.dashboard import routes as dashboard
from cloud.dashboard.assets import Assets
from cloud.dashboard.shell import Shell, wants_page
from cloud.database import Database
from cloud.encryption.keyring import Keyring
from cloud.errors import LarderError, Refused, Unavailable
from cloud.failpoints import Failpoints
from cloud.jobs import Retention, jobs
from cloud.limits import Limits
from cloud.live import LiveSettings
from cloud.mail import Carrier, MailRoom
from cloud.object_store import ObjectStore
from cloud.operations import Access, operation, require_declared
from cloud.origin import Origin, bind_origin
from cloud.pictures.service import PictureLimits, Pictures
from cloud.reference.routes import Reference
from cloud.reports import Reports
from cloud.rollouts.rules import keys_by_id
from cloud.scheduler import Scheduler
from cloud.settings import Live
from cloud.short_websocket import ShortWebsocket
from cloud.throttle import Throttle
from cloud.waiting_body import WaitingConnection, WaitingRequest
from cloud.watch import Watch
from cloud.web import answer, problem
from cloud.webhooks.destinations import Allowed
from cloud.webhooks.sender import Sender
from cloud.webhooks.service import WebhookService
from cloud.webhooks.worker import WebhookWorker
from shared.contract import Message
from shared.errors import Code
from shared.sync import MAX_BATCH_BYTES

log = structlog.get_logger()

Part = Callable[[], Coroutine[None, None, None]]
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=63072000",
    "Cache-Control": "no-store",
}
"""Of every answer that does not say otherwise."""
_CODES = {
    HTTPStatus.BAD_REQUEST: Code.MALFORMED_BODY,
    HTTPStatus.NOT_FOUND: Code.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: Code.METHOD_NOT_ALLOWED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Code.TOO_LARGE,
    HTTPStatus.REQUEST_TIMEOUT: Code.TIMEOUT,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: Code.UNSUPPORTED_MEDIA_TYPE,
}


class Liveness(Message):
    """That it answers."""

    status: Literal["live"] = "live"


class Readiness(Message):
    """That it can do its work."""

    status: Literal["ready"] = "ready"


def create_app(
    database_url: str,
    *,
    clock: Clock,
    failpoints: Failpoints,
    draining: asyncio.Event,
    keyring: Keyring,
    carrier: Carrier,
    objects: ObjectStore,
    mail_from: str = "Larder <larder@localhost>",
    public_url: str = "http://127.0.0.1:8000",
    pool_size: int = 8,
    release_keys: Sequence[str] = (),
    signer: SettingsSigner | None = None,
    live: LiveSettings | None = None,
    trusted_proxies: Sequence[Network] = (),
    retention: Retention | None = None,
    database: Database | None = None,
    replica: Database | None = None,
    replica_lag_s: float = 10.0,
    request_seconds: float = REQUEST_SECONDS,
    leaving: asyncio.Event | None = None,
    mail_folder: Path | None = None,
    picture_limits: PictureLimits | None = None,
    webhooks_to: Allowed | None = None,
) -> Quart:
    """The cloud on a migrated database. Setting `leaving` makes it say that it is not ready any more, `draining` ends
    all streams; a part that dies sets it too.

    `keyring` encrypts single columns; `release_keys` are the Ed25519 public keys, in hex, of those who may sign
    releases; `signer` signs settings; files of tenants lie in `objects`; `trusted_proxies` are believed about where a
    request comes from; the mail in `mail_folder` is shown to anybody; webhooks may be sent where `webhooks_to` says.
    Without a `retention` this instance never does the work that comes due by the clock (jobs.py), and sends no
    webhooks. A `database` that is given is opened and closed with the application, as is its `replica`, which reports
    read while it is at most `replica_lag_s` behind.
    """
    live = live or LiveSettings(Live())
    database = database or Database(database_url, failpoints, pool_size=pool_size)
    caches = Caches()
    database.on_ring(caches.rung)
    watch = Watch(database_url, caches)
    auth = AuthService(database, clock, caches)
    throttle = Throttle(Limits(database), live, trusted_proxies)
    app = BoundedApp("cloud", static_folder=None)
    app.live, app.request_seconds = live, request_seconds
    app.asgi_websocket_class = ShortWebsocket
    app.asgi_http_class, app.request_class = WaitingConnection, WaitingRequest
    pictures = Pictures(database, objects, clock, picture_limits or PictureLimits())
    app.config["BACKGROUND_TASK_SHUTDOWN_TIMEOUT"] = 0.1  # those only throw messages away
    app.config["MAX_CONTENT_LENGTH"] = max(MAX_BATCH_BYTES, pictures.limits.picture_bytes)
    _stamp_requests(app, clock, throttle, leaving or draining)
    throttle.install(app)
    Cors(live).install(app)
    mails = MailRoom(carrier, mail_from, clock)
    identity = build_identity(database, clock, caches, keyring, throttle, mails, public_url)
    destinations = webhooks_to or Allowed()
    webhooks = WebhookService(database, keyring, clock, destinations)
    reports = Reports(database, replica, clock, longest_lag=replica_lag_s)
    parts = (database, reports, auth, throttle, live, watch, clock, failpoints, draining)
    app.before_request(identity.gate.admit)
    app.after_request(tag)
    keys = keys_by_id(release_keys)
    app.register_blueprint(
        api.blueprint(*parts, keyring, keys, signer, identity, pictures, public_url, caches, webhooks)
    )
    shell = Shell(Assets(), search=True)
    pages = (identity, throttle, watch, draining, keyring, webhooks, signer, public_url)
    app.register_blueprint(dashboard.blueprint(shell, *pages, mail_folder))
    app.register_blueprint(Reference(public_url).blueprint())
    _serve_health(app, database, leaving or draining)
    _answer_errors(app, clock, shell)
    running: dict[str, Part] = {"watch": watch.run, "mail": mails.run, "caches": caches.run, "reports": reports.run}
    if retention is not None:
        running["scheduler"] = Scheduler(database_url, jobs(database, clock, retention, objects)).run
        sender = Sender(destinations, clock)
        worker = WebhookWorker(database, keyring, clock, sender, failpoints, mails, public_url)
        running["webhooks"] = worker.run
    _run_parts(app, [database] if replica is None else [database, replica], running, draining)
    require_declared(app)
    return app


def _run_parts(app: Quart, databases: Sequence[Database], parts: Mapping[str, Part], draining: asyncio.Event) -> None:
    """Each as a task from start to stop; one that dies before sets `draining`."""
    tasks: set[asyncio.Task[None]] = set()

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.critical("part_died", part=task.get_name(), error=repr(task.exception()))
            draining.set()

    @app.before_serving
    async def start() -> None:
        for database in databases:
            await database.open()
        for name, run in parts.items():
            task = asyncio.create_task(run(), name=name)
            task.add_done_callback(ended)
            tasks.add(task)

    @app.after_serving
    async def stop() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # one that died has been told of
        for database in databases:
            await database.close()


def _serve_health(app: Quart, database: Database, leaving: asyncio.Event) -> None:
    @app.get("/health/live")
    @operation(Access.PUBLIC, summary="Is it alive?", answers={200: Liveness})
    async def live() -> Response:
        """The process answers."""
        return answer(Liveness())

    @app.get("/health/ready")
    @operation(Access.PUBLIC, summary="Is it ready?", answers={200: Readiness})
    async def ready() -> Response:
        """The database answers and has this version's schema, and nobody has told us to stop."""
        if leaving.is_set() or not await database.unit("health.ready", schema.is_current):
            raise Unavailable
        return answer(Readiness())


def _answer_errors(app: Quart, clock: Clock, shell: Shell) -> None:
    async def told(error: LarderError) -> Response | PlainResponse:
        answer = problem(error, _request_id(), clock)
        return await shell.problem(error, _request_id()) if wants_page() else answer

    app.register_error_handler(LarderError, told)

    @app.errorhandler(HTTPException)
    async def of_http(error: HTTPException) -> Response | PlainResponse:
        status = error.code or 500
        code = _CODES.get(HTTPStatus(status), Code.INTERNAL if status >= 500 else Code.VALIDATION_FAILED)
        response = await told(Refused(code, HTTPStatus(status).phrase + ".", status=status))
        if isinstance(error, MethodNotAllowed):
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return response

    @app.errorhandler(Exception)
    async def unexpected(error: Exception) -> Response | PlainResponse:
        log.error("request_failed", exc_info=error)
        return await told(Refused(Code.INTERNAL, "Something went wrong on our side.", status=500))


def _request_id() -> str:
    return str(g.get("request_id", "")) or new_id().hex


def _stamp_requests(app: Quart, clock: Clock, throttle: Throttle, leaving: asyncio.Event) -> None:
    @app.before_request
    async def begin() -> None:
        g.request_id = new_id().hex
        route = None if request.url_rule is None else request.url_rule.rule  # a path may hold a secret
        structlog.contextvars.bind_contextvars(request_id=g.request_id, method=request.method, route=route)
        bind_origin(Origin(g.request_id, throttle.address()))

    @app.before_websocket
    async def begin_websocket() -> None:
        g.request_id = new_id().hex
        route = None if websocket.url_rule is None else websocket.url_rule.rule
        structlog.contextvars.bind_contextvars(request_id=g.request_id, route=route)
        bind_origin(Origin(g.request_id, throttle.address()))

    @app.after_websocket
    async def finish_refusal(response: ResponseTypes | None) -> ResponseTypes | None:
        return await finish(response) if isinstance(response, Response) else response

    @app.after_request
    async def finish(response: Response) -> Response:
        response.headers["X-Request-Id"] = _request_id()
        if leaving.is_set():
            response.headers["Connection"] = "close"  # whoever would come again on it finds another instance
        response.headers["Date"] = format_datetime(clock.now(), usegmt=True)  # gateways set their clocks by it
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response
