"""Which of our machines is what a folder, or a record, calls one; made where there is none.

All of it is inside a unit of the tenant.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cloud.catalog import service as catalog
from cloud.database import Transaction
from cloud.devices import service as devices
from cloud.errors import NotFound
from cloud.lowdb import models
from cloud.lowdb.folder import NotTaken
from cloud.lowdb.mapping import MachinePart, Mapping
from cloud.onboarding import service as onboarding
from shared.contract import Rail


@dataclass(frozen=True)
class Place:
    """A machine and its site."""

    machine_id: UUID
    site_id: UUID


async def place_of(transaction: Transaction, tenant_id: UUID, mapping: Mapping, source: str) -> Place:
    """The machine that is called so. One that is made is out of service: no gateway of ours runs it yet.

    Raises NotTaken when the mapping names a machine that is not there.
    """
    part = mapping.machines.get(source, MachinePart())
    known = await models.machine_known(transaction, source)
    wanted = known or part.machine_id
    if wanted is not None:
        try:
            found = await catalog.machine(wanted)
        except NotFound:
            raise NotTaken(f"the machine {wanted} of the mapping is not there") from None
        if known is None:
            await models.add_machine(transaction, tenant_id, source, found.machine_id)
        return Place(found.machine_id, found.site_id)
    site = part.site or mapping.site or source
    currency = part.currency or mapping.currency
    site_id = await onboarding.site_called(site) or await onboarding.create_site(tenant_id, site, currency)
    name, rail = part.name or source, Rail.CASH
    made = await catalog.create_machine(transaction, tenant_id, site_id, name, rail, in_service=False)
    await models.add_machine(transaction, tenant_id, source, made)
    return Place(made, site_id)


async def board_of(transaction: Transaction, tenant_id: UUID, place: Place, source: str, now: datetime) -> UUID:
    """A device to come, which will turn the machine's motors: it gets a code once somebody asks for one."""
    device_id, _ = await devices.expect_device(
        transaction, tenant_id, place.site_id, place.machine_id, f"{source} board", now
    )
    return device_id
