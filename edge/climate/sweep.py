"""Forgets the zones of devices that were replaced: nobody watches them there any more, so nothing would ever change."""

import asyncio
from uuid import UUID

from edge.catalog.service import CatalogService
from edge.climate.service import ClimateService
from edge.database import Database, Transaction
from edge.devices.service import DeviceService
from edge.errors import Refused

SWEEP_S = 60.0
"""Between two looks, and before the first one: after a restart devices take a moment to come back."""


class ClimateSweep:
    """A device was replaced once its machine's planogram lets it turn no slot, and it is not there.

    Its locks go with it, as they do with a board that is replaced under the same id: the new one judges anew. Should it
    come back all the same, it says how its zones are, and that counts.
    """

    def __init__(
        self,
        database: Database,
        climate: ClimateService,
        catalog: CatalogService,
        devices: DeviceService,
        sweep_s: float = SWEEP_S,
    ) -> None:
        self._database = database
        self._climate = climate
        self._catalog = catalog
        self._devices = devices
        self._sweep_s = sweep_s

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await asyncio.sleep(self._sweep_s)
            if await self._database.read(self._replaced):
                await self._database.unit("climate.sweep", self._forget)

    def _replaced(self, tx: Transaction) -> list[tuple[UUID, UUID]]:
        """(machine, device) of locked zones that nobody watches."""
        return [found for found in self._climate.locked(tx) if self._is_replaced(tx, *found)]

    def _is_replaced(self, tx: Transaction, machine_id: UUID, device_id: UUID) -> bool:
        if self._devices.online(device_id):
            return False
        try:
            slots = self._catalog.offer(tx, machine_id).slots
        except Refused:
            # A machine that is not known sells nothing.
            return False
        return all(slot.device_id != device_id for slot in slots.values())

    def _forget(self, tx: Transaction) -> None:
        for machine_id, device_id in self._replaced(tx):
            self._climate.forget(tx, machine_id, device_id)
