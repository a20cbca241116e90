"""GET /v1/gateways/{id}/sync: for comparing both ledgers."""

from uuid import UUID

from quart import Blueprint, Response

from cloud.auth.service import AuthService, Position, positions
from cloud.database import Database, Transaction
from cloud.errors import NotFound
from cloud.web import answer, bearer
from shared.contract import Digest, Instant, Message


class GatewaySync(Message):
    """The cloud equals the gateway up to `seq` of `epoch`, where the hash chain is `chain`."""

    gateway_id: UUID
    epoch: int
    seq: int
    chain: Digest
    acknowledged_at: Instant | None


def blueprint(database: Database, auth: AuthService) -> Blueprint:
    """The gateway route."""
    routes = Blueprint("gateways", __name__, url_prefix="/gateways")

    @routes.get("/<uuid:gateway_id>/sync")
    async def show_sync(gateway_id: UUID) -> Response:
        operator = await auth.operator(bearer())

        async def work(_: Transaction) -> list[Position]:
            return await positions(gateway_id)

        found = await database.unit("gateways.sync", work, tenant_id=operator.tenant_id)
        if not found:
            raise NotFound
        at = found[0]
        return answer(
            GatewaySync(
                gateway_id=at.gateway_id,
                epoch=at.epoch,
                seq=at.seq,
                chain=at.chain.hex(),
                acknowledged_at=at.acknowledged_at,
            )
        )

    return routes
