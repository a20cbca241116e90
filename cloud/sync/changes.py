"""What a gateway has to hear since a cursor."""

from uuid import UUID

import structlog
from pydantic import TypeAdapter

from cloud.auth.service import GatewayCaller
from cloud.catalog import service as catalog
from cloud.configuration import service as configuration
from cloud.database import Database, Transaction
from cloud.devices import service as devices
from cloud.encryption.keyring import Keyring
from cloud.inventory import service as inventory
from cloud.onboarding.service import change_bounds, changes_since
from cloud.rollouts import service as rollouts
from cloud.upkeep import service as upkeep
from shared.sync import ChangeBody, Changes

log = structlog.get_logger()

_BODY: TypeAdapter[ChangeBody] = TypeAdapter(ChangeBody)


class ChangeFeed:
    """Answers "what moved?"."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def since(self, caller: GatewayCaller, cursor: int | None, limit: int) -> Changes:
        """At most `limit` changes after `cursor`; the full state when there is no cursor or it is out of bounds."""

        async def work(transaction: Transaction) -> Changes:
            # Read first: what commits after this line comes again with the next pull, which does no harm.
            bounds = await change_bounds(transaction, caller.site_id)
            if cursor is None or not bounds.oldest <= cursor <= bounds.newest:
                log.info("full_state_sent", gateway_id=str(caller.gateway_id), cursor=bounds.newest)
                state = await full_state(transaction, self._keyring, caller.site_id)
                return Changes(cursor=bounds.newest, full=True, more=False, changes=state)
            if cursor == bounds.newest:
                return Changes(cursor=cursor, full=False, more=False, changes=())
            rows = await changes_since(transaction, caller.site_id, cursor, limit)
            last = rows[-1][0] if rows else cursor
            bodies = await upkeep.with_pins(transaction, self._keyring, [_BODY.validate_json(body) for _, body in rows])
            bodies = await configuration.with_texts(transaction, self._keyring, bodies)
            return Changes(cursor=last, full=False, more=last < bounds.newest, changes=bodies)

        return await self._database.unit("sync.changes", work, tenant_id=caller.tenant_id)


async def full_state(transaction: Transaction, keyring: Keyring, site_id: UUID) -> tuple[ChangeBody, ...]:
    """Inside a unit of the tenant: everything a site's gateway needs to know that knows nothing."""
    return (
        *await catalog.current(transaction, site_id),
        *await devices.expected(transaction, site_id),
        *await inventory.pending(transaction, site_id),
        *await rollouts.assignments(transaction, site_id),
        *await configuration.settings_for(transaction, keyring, site_id),
        *await upkeep.pending(transaction, keyring, site_id),
    )
