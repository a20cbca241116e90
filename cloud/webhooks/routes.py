"""/v1/webhooks: other systems, told what happens."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response

from cloud.conditional import precondition
from cloud.idempotency import Once
from cloud.lists import answer_page
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import answer
from cloud.webhooks.messages import (
    Delivery,
    DeliveryPage,
    DeliveryQuery,
    DeliveryRow,
    Replay,
    Replayed,
    WebhookEdit,
    WebhookPage,
    WebhookQuery,
    WebhookRow,
    WebhookSecret,
    WebhookWish,
)
from cloud.webhooks.service import WebhookService
from shared.errors import Code

READ, WRITE = Permission.WEBHOOKS_READ, Permission.WEBHOOKS_WRITE
_ALL, _ONE = "/webhooks", "/webhooks/<uuid:webhook_id>"
_DELIVERIES = f"{_ONE}/deliveries"
_DELIVERY = f"{_DELIVERIES}/<uuid:delivery_id>"


class WebhookRoutes:
    """What is done with webhooks."""

    def __init__(self, webhooks: WebhookService, once: Once) -> None:
        self._webhooks = webhooks
        self._once = once

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("webhooks", __name__)
        routes.add_url_rule(_ALL, view_func=self.list_webhooks, methods=["GET"])
        routes.add_url_rule(_ALL, view_func=self.create_webhook, methods=["POST"])
        routes.add_url_rule(_ONE, view_func=self.show_webhook, methods=["GET"])
        routes.add_url_rule(_ONE, view_func=self.edit_webhook, methods=["PATCH"])
        routes.add_url_rule(_ONE, view_func=self.delete_webhook, methods=["DELETE"])
        routes.add_url_rule(f"{_ONE}/secret", view_func=self.rotate_secret, methods=["POST"])
        routes.add_url_rule(f"{_ONE}/ping", view_func=self.ping_webhook, methods=["POST"])
        routes.add_url_rule(f"{_ONE}/replay", view_func=self.replay_dead, methods=["POST"])
        routes.add_url_rule(_DELIVERIES, view_func=self.list_deliveries, methods=["GET"])
        routes.add_url_rule(_DELIVERY, view_func=self.show_delivery, methods=["GET"])
        routes.add_url_rule(f"{_DELIVERY}/replay", view_func=self.replay_delivery, methods=["POST"])
        return routes

    @operation(READ, summary="List webhooks", answers={200: WebhookPage}, conditional=True)
    async def list_webhooks(self, query: WebhookQuery) -> Response:
        """All endpoints, the newest first."""
        return answer_page(await self._webhooks.webhooks(current_operator(), query), query)

    @operation(
        WRITE,
        summary="Create a webhook",
        answers={201: WebhookSecret},
        problems=(Code.CONFLICT,),
        idempotent=True,
    )
    async def create_webhook(self, body: WebhookWish) -> Response:
        """Its secret is in this answer, and shown nowhere else. It is told of what happens from now on."""
        work = partial(self._webhooks.create, operator=current_operator(), wish=body)
        return await self._once("webhooks.create", work, body)

    @operation(READ, summary="Show a webhook", answers={200: WebhookRow}, conditional=True)
    async def show_webhook(self, webhook_id: UUID) -> Response:
        """One endpoint."""
        return answer(await self._webhooks.webhook(current_operator(), webhook_id))

    @operation(WRITE, summary="Edit a webhook", answers={200: WebhookRow}, guarded=True)
    async def edit_webhook(self, webhook_id: UUID, body: WebhookEdit) -> Response:
        """Also disables and enables it. What waits for it meanwhile is sent when it is enabled again."""
        return answer(await self._webhooks.edit(current_operator(), webhook_id, body, precondition()))

    @operation(WRITE, summary="Delete a webhook", answers={204: None})
    async def delete_webhook(self, webhook_id: UUID) -> Response:
        """Nothing is sent there any more, nor what waits."""
        await self._webhooks.delete(current_operator(), webhook_id)
        return Response(status=204)

    @operation(WRITE, summary="Rotate a webhook's secret", answers={201: WebhookSecret}, idempotent=True)
    async def rotate_secret(self, webhook_id: UUID) -> Response:
        """For a day both sign, the new one first; one that was still older signs no more."""
        work = partial(self._webhooks.rotate, operator=current_operator(), webhook_id=webhook_id)
        return await self._once("webhooks.rotate", work)

    @operation(WRITE, summary="Ping a webhook", answers={201: DeliveryRow}, problems=(Code.CONFLICT,), idempotent=True)
    async def ping_webhook(self, webhook_id: UUID) -> Response:
        """A test event, signed and sent like any other; its delivery tells what came of it."""
        work = partial(self._webhooks.ping, operator=current_operator(), webhook_id=webhook_id)
        return await self._once("webhooks.ping", work)

    @operation(WRITE, summary="Replay dead deliveries", answers={200: Replayed})
    async def replay_dead(self, webhook_id: UUID, body: Replay) -> Response:
        """Those of a time, each under the id it had. Ask again until none is left."""
        return answer(await self._webhooks.replay_dead(current_operator(), webhook_id, body))

    @operation(READ, summary="List deliveries", answers={200: DeliveryPage}, conditional=True)
    async def list_deliveries(self, webhook_id: UUID, query: DeliveryQuery) -> Response:
        """What was sent to an endpoint and what waits, the newest first."""
        return answer_page(await self._webhooks.deliveries(current_operator(), webhook_id, query), query)

    @operation(READ, summary="Show a delivery", answers={200: Delivery}, conditional=True)
    async def show_delivery(self, webhook_id: UUID, delivery_id: UUID) -> Response:
        """What is sent, and what came of each attempt, the newest first (100 at most)."""
        return answer(await self._webhooks.delivery(current_operator(), webhook_id, delivery_id))

    @operation(WRITE, summary="Replay a delivery", answers={200: DeliveryRow})
    async def replay_delivery(self, webhook_id: UUID, delivery_id: UUID) -> Response:
        """Sent again under the id it had, whether it is dead, delivered or waits for its next try."""
        return answer(await self._webhooks.replay_one(current_operator(), webhook_id, delivery_id))
