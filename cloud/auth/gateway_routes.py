"""GET /v1/gateways/{id}/sync: for comparing both ledgers."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response

from cloud.auth.service import positions
from cloud.database import Database
from cloud.errors import NotFound
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import answer
from shared.contract import Digest, Instant, Message


class GatewaySync(Message):
    """The cloud equals the gateway up to `seq` of `epoch`, where the hash chain is `chain`.

    But `dead_letters` of those facts could not take effect and wait for a replay, and `conflicts` contradicted what had
    been told: they were refused and kept.
    """

    gateway_id: UUID
    epoch: int
    seq: int
    chain: Digest
    acknowledged_at: Instant | None
    dead_letters: int
    conflicts: int


def blueprint(database: Database) -> Blueprint:
    """The gateway route."""
    routes = Blueprint("gateways", __name__, url_prefix="/gateways")

    @routes.get("/<uuid:gateway_id>/sync")
    @operation(
        Permission.GATEWAYS_READ,
        summary="Show the sync of a gateway",
        answers={200: GatewaySync},
        conditional=True,
    )
    async def show_sync(gateway_id: UUID) -> Response:
        """For comparing both ledgers: up to which fact they are the same."""
        work = partial(positions, gateway_id=gateway_id)
        found = await database.unit("gateways.sync", work, caller=current_operator())
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
                dead_letters=at.dead_letters,
                conflicts=at.conflicts,
            )
        )

    return routes
