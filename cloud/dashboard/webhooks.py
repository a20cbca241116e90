"""Webhooks: which systems are told what, and what came of it."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

from pydantic import ValidationError
from quart import Blueprint, Response, request
from werkzeug.wrappers import Response as PlainResponse

from cloud.auth.identity import Identity
from cloud.conditional import ANY
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.page import PAGE_ROWS, add_page, page_query
from cloud.dashboard.signed_in import SignedInPages
from cloud.database import Work
from cloud.errors import Refused
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import invalid
from cloud.webhooks.messages import (
    DeliveryQuery,
    DeliveryRow,
    DeliveryState,
    DisabledBecause,
    Replay,
    WebhookEdit,
    WebhookQuery,
    WebhookRow,
    WebhookSecret,
    WebhookWish,
)
from cloud.webhooks.rules import EventType
from cloud.webhooks.service import WebhookService

T = TypeVar("T")
HERE = "/webhooks"
ONE = f"{HERE}/<uuid:webhook_id>"
EVENTS: tuple[tuple[EventType, str], ...] = (
    (EventType.ORDER_PLACED, "An order was placed"),
    (EventType.ORDER_COMPLETED, "An order is settled: all was vended or given back"),
    (EventType.ORDER_CANCELLED, "An order was cancelled, or expired unpaid"),
    (EventType.VEND_FAILED, "A unit was not dispensed, or nobody can tell"),
    (EventType.STOCK_CHANGED, "Stock of a slot moved"),
    (EventType.SLOT_EMPTY, "A slot's sensor says empty"),
    (EventType.SLOT_SUSPECT, "A slot sells nothing until a person has looked"),
    (EventType.DEVICE_CONNECTED, "A device came"),
    (EventType.DEVICE_DISCONNECTED, "A device went"),
)
STATES = {
    DeliveryState.WAITING: ("waiting", "busy"),
    DeliveryState.DELIVERED: ("delivered", "good"),
    DeliveryState.DEAD: ("dead", "bad"),
}
_REASONS = {
    DisabledBecause.ASKED: ("disabled", ""),
    DisabledBecause.GONE: ("disabled: it answered 410", "bad"),
    DisabledBecause.FAILING: ("disabled: it kept failing", "bad"),
}


class WebhookPages:
    """What is done with webhooks."""

    def __init__(self, pages: SignedInPages, identity: Identity, webhooks: WebhookService) -> None:
        self._pages = pages
        self._database = identity.database
        self._clock = identity.clock
        self._webhooks = webhooks

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, HERE, self.show, "GET")
        add_page(pages, f"{HERE}/new", self.show_new, "GET")
        add_page(pages, f"{HERE}/new", self.create, "POST")
        add_page(pages, ONE, self.show_one, "GET")
        add_page(pages, f"{ONE}/edit", self.show_edit, "GET")
        add_page(pages, f"{ONE}/edit", self.edit, "POST")
        add_page(pages, f"{ONE}/state", self.switch, "POST")
        add_page(pages, f"{ONE}/deletion", self.delete, "POST")
        add_page(pages, f"{ONE}/secret", self.rotate, "POST")
        add_page(pages, f"{ONE}/ping", self.ping, "POST")
        add_page(pages, f"{ONE}/replay", self.replay_dead, "POST")
        add_page(pages, f"{ONE}/deliveries/<uuid:delivery_id>", self.show_delivery, "GET")
        add_page(pages, f"{ONE}/deliveries/<uuid:delivery_id>/replay", self.replay, "POST")

    @operation(Permission.WEBHOOKS_READ)
    async def show(self) -> Response:
        """GET /webhooks?cursor=: the newest first."""
        page = await self._webhooks.webhooks(current_operator(), page_query(WebhookQuery))
        return await self._pages.show(
            "webhooks.html",
            webhooks=page.webhooks,
            states={webhook.webhook_id: _state(webhook) for webhook in page.webhooks},
            next_cursor=page.next_cursor,
            first_page="cursor" not in request.args,
            may_write=_may_write(),
        )

    @operation(Permission.WEBHOOKS_WRITE)
    async def show_new(self) -> Response:
        """GET /webhooks/new."""
        return await self._ask(Form(), None)

    @operation(Permission.WEBHOOKS_WRITE)
    async def create(self) -> Response:
        """POST /webhooks/new: the answer shows the secret, this once."""
        form = await read_form()
        try:
            work = partial(self._webhooks.create, operator=current_operator(), wish=_wish(form))
            made = await self._unit(work)
        except Refused as error:
            return await self._ask(form.answered(error), None, error.status)
        return await self._made(made)

    @operation(Permission.WEBHOOKS_READ)
    async def show_one(self, webhook_id: UUID) -> Response:
        """GET /webhooks/…?state=&cursor=: it, and what was sent to it."""
        operator, state = current_operator(), request.args.get("state", "")
        webhook = await self._webhooks.webhook(operator, webhook_id)
        page = await self._webhooks.deliveries(operator, webhook_id, _deliveries(state))
        return await self._pages.show(
            "webhook.html",
            webhook=webhook,
            state=_state(webhook),
            deliveries=page.deliveries,
            states=STATES,
            chosen=state,
            next_cursor=page.next_cursor,
            first_page="cursor" not in request.args,
            form=_last_day(self._clock.now()),
            may_write=_may_write(),
        )

    @operation(Permission.WEBHOOKS_WRITE)
    async def show_edit(self, webhook_id: UUID) -> Response:
        """GET /webhooks/…/edit."""
        webhook = await self._webhooks.webhook(current_operator(), webhook_id)
        events = [event.value for event in webhook.events]
        form = Form({"url": [webhook.url], "description": [webhook.description], "events": events})
        return await self._ask(form, webhook)

    @operation(Permission.WEBHOOKS_WRITE)
    async def edit(self, webhook_id: UUID) -> Response | PlainResponse:
        """POST /webhooks/…/edit."""
        operator, form = current_operator(), await read_form()
        try:
            wish = _wish(form)
            edit = WebhookEdit(url=wish.url, events=wish.events, description=wish.description)
            await self._webhooks.edit(operator, webhook_id, edit, ANY)
        except Refused as error:
            return await self._ask(
                form.answered(error), await self._webhooks.webhook(operator, webhook_id), error.status
            )
        return lead(_path(webhook_id), "The webhook is changed.")

    @operation(Permission.WEBHOOKS_WRITE)
    async def switch(self, webhook_id: UUID) -> PlainResponse:
        """POST /webhooks/…/state: enabled=yes, or anything else."""
        is_enabled = (await read_form()).get("enabled") == "yes"
        await self._webhooks.edit(current_operator(), webhook_id, WebhookEdit(enabled=is_enabled), ANY)
        told = "The webhook is enabled. What waits for it is sent." if is_enabled else "The webhook is disabled."
        return lead(_path(webhook_id), told)

    @operation(Permission.WEBHOOKS_WRITE)
    async def delete(self, webhook_id: UUID) -> PlainResponse:
        """POST /webhooks/…/deletion."""
        await self._webhooks.delete(current_operator(), webhook_id)
        return lead(HERE, "The webhook is deleted.", "plain")

    @operation(Permission.WEBHOOKS_WRITE)
    async def rotate(self, webhook_id: UUID) -> Response:
        """POST /webhooks/…/secret: a new one, shown this once."""
        work = partial(self._webhooks.rotate, operator=current_operator(), webhook_id=webhook_id)
        return await self._made(await self._unit(work))

    @operation(Permission.WEBHOOKS_WRITE)
    async def ping(self, webhook_id: UUID) -> PlainResponse:
        """POST /webhooks/…/ping."""
        work = partial(self._webhooks.ping, operator=current_operator(), webhook_id=webhook_id)
        try:
            sent: DeliveryRow = await self._unit(work)
        except Refused as error:
            return lead(_path(webhook_id), error.detail, "bad")
        return lead(f"{_path(webhook_id)}/deliveries/{sent.delivery_id}", "A ping is on its way. Load this page again.")

    @operation(Permission.WEBHOOKS_READ)
    async def show_delivery(self, webhook_id: UUID, delivery_id: UUID) -> Response:
        """GET /webhooks/…/deliveries/…: what is sent, and each attempt."""
        operator = current_operator()
        webhook = await self._webhooks.webhook(operator, webhook_id)
        found = await self._webhooks.delivery(operator, webhook_id, delivery_id)
        return await self._pages.show(
            "webhook_delivery.html", webhook=webhook, found=found, states=STATES, may_write=_may_write()
        )

    @operation(Permission.WEBHOOKS_WRITE)
    async def replay(self, webhook_id: UUID, delivery_id: UUID) -> PlainResponse:
        """POST /webhooks/…/deliveries/…/replay."""
        await self._webhooks.replay_one(current_operator(), webhook_id, delivery_id)
        return lead(f"{_path(webhook_id)}/deliveries/{delivery_id}", "It is sent again, under the same id.")

    @operation(Permission.WEBHOOKS_WRITE)
    async def replay_dead(self, webhook_id: UUID) -> PlainResponse:
        """POST /webhooks/…/replay: all dead ones of some days."""
        form = await read_form()
        try:
            begin, end = _day(form, "from"), _day(form, "to") + timedelta(days=1)
        except Refused as error:
            return lead(_path(webhook_id), error.errors[0].message, "bad")
        wish = Replay(created_from=begin, created_to=end)
        done = await self._webhooks.replay_dead(current_operator(), webhook_id, wish)
        told = f"{done.replayed} dead deliveries are sent again." if done.replayed else "Nothing was dead in this time."
        return lead(_path(webhook_id), told, "good" if done.replayed else "plain")

    async def _unit(self, work: Work[T]) -> T:
        return await self._database.unit("dashboard.webhooks", work, caller=current_operator())

    async def _made(self, made: WebhookSecret) -> Response:
        return await self._pages.show("webhook_secret.html", made=made)

    async def _ask(self, form: Form, webhook: WebhookRow | None, status: int = 200) -> Response:
        events = [(event.value, words, event.value) for event, words in EVENTS]
        return await self._pages.show("webhook_form.html", form=form, webhook=webhook, events=events, status=status)


def _path(webhook_id: UUID) -> str:
    return f"{HERE}/{webhook_id}"


def _may_write() -> bool:
    return Permission.WEBHOOKS_WRITE in current_operator().permissions


def _wish(form: Form) -> WebhookWish:
    """What the form asks for. Raises Refused."""
    events = tuple(EventType(event) for event in form.all("events") if event in set(EventType))
    if not events:
        raise invalid("events", "choose at least one thing to be told of")
    if not form.get("url").strip().startswith(("https://", "http://")):
        raise invalid("url", "must be a whole address that begins with https://")
    try:
        return WebhookWish(url=form.get("url").strip(), events=events, description=form.get("description").strip())
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise invalid(name, "is too long or too short") from None


def _deliveries(state: str) -> DeliveryQuery:
    """Raises Refused."""
    if not state:
        return page_query(DeliveryQuery)
    try:
        return DeliveryQuery(limit=PAGE_ROWS, cursor=request.args.get("cursor"), state=DeliveryState(state))
    except ValueError:
        raise invalid("state", "is none of a delivery") from None


def _state(webhook: WebhookRow) -> tuple[str, str]:
    """Words and the tone of a badge."""
    if webhook.disabled_because is not None:
        return _REASONS[webhook.disabled_because]
    return ("failing", "bad") if webhook.failing_since else ("enabled", "good")


def _last_day(now: datetime) -> Form:
    today = now.date()
    return Form({"from": [str(today - timedelta(days=1))], "to": [str(today)]})


def _day(form: Form, name: str) -> datetime:
    """The begin of a day in UTC. Raises Refused."""
    try:
        return datetime.strptime(form.get(name), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise invalid(name, "Choose the first and the last day.") from None
