"""What a kiosk shows of a machine, put together from the features that know its parts."""

from collections.abc import Collection, Mapping
from uuid import UUID

from edge.catalog.rules import OfferedSlot
from edge.catalog.service import CatalogService, machine_key
from edge.database import Database, Transaction
from edge.devices.service import DeviceService, link_key
from edge.inventory.service import InventoryService, Level, state_of, stock_key
from edge.payments.service import PaymentService, credit_key
from shared.catalog import Catalogue, CatalogueSlot, Machines, MachineSummary


class KioskViews:
    """Each view is one consistent snapshot of the ledger, and of who is online."""

    def __init__(
        self,
        database: Database,
        catalog: CatalogService,
        inventory: InventoryService,
        devices: DeviceService,
        payments: PaymentService,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._inventory = inventory
        self._devices = devices
        self._payments = payments

    async def unexpected(self, boards: Collection[UUID]) -> list[UUID]:
        """Those of these devices that are not expected here."""
        return await self._database.read(lambda tx: self._devices.unexpected(tx, boards))

    async def machines(self) -> Machines:
        """The machines of the site."""
        return await self._database.read(self._machines)

    async def catalogue(self, machine_id: UUID) -> Catalogue:
        """What the machine sells now. Raises Refused (unknown_machine)."""
        return await self._database.read(lambda tx: self._catalogue(tx, machine_id))

    async def stock(self) -> dict[str, dict[str, int]]:
        """Units on hand, by machine id and slot."""

        def read(tx: Transaction) -> dict[str, dict[str, int]]:
            machines = [machine.machine_id for machine in self._catalog.machines(tx)]
            levels = {machine_id: self._inventory.levels(tx, machine_id) for machine_id in machines}
            return {
                str(machine_id): {slot: level.on_hand for slot, level in of_machine.items()}
                for machine_id, of_machine in levels.items()
            }

        return await self._database.read(read)

    def _machines(self, tx: Transaction) -> Machines:
        return Machines(
            machines=tuple(
                MachineSummary(
                    machine_id=machine.machine_id,
                    name=machine.name,
                    rail=machine.rail,
                    currency=machine.currency,
                    online=any(map(self._online, self._catalog.offer(tx, machine.machine_id).slots.values())),
                )
                for machine in self._catalog.machines(tx)
            )
        )

    def _catalogue(self, tx: Transaction, machine_id: UUID) -> Catalogue:
        offer = self._catalog.offer(tx, machine_id)
        levels = self._inventory.levels(tx, machine_id)
        return Catalogue(
            machine_id=machine_id,
            name=offer.machine.name,
            rail=offer.machine.rail,
            currency=offer.machine.currency,
            in_service=offer.machine.in_service,
            planogram_version=offer.version,
            credit_minor=self._payments.credit(tx, machine_id),
            slots=tuple(self._slot(offered, levels) for offered in offer.slots.values()),
        )

    def _slot(self, offered: OfferedSlot, levels: Mapping[str, Level]) -> CatalogueSlot:
        level = levels.get(offered.slot)
        return CatalogueSlot(
            slot=offered.slot,
            product_id=offered.product_id,
            name=offered.name,
            price_minor=offered.price_minor,
            available=level.available if level else 0,
            state=state_of(level, online=self._online(offered)),
        )

    def _online(self, offered: OfferedSlot) -> bool:
        return self._devices.online(offered.device_id)


def catalogue_keys(machine_id: UUID) -> tuple[str, ...]:
    """Touched when the machine's catalogue has changed (watch.py), but for what comes by time alone."""
    return machine_key(machine_id), stock_key(machine_id), credit_key(machine_id), link_key(machine_id)
