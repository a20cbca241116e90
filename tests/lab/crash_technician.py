"""The people around a site: they fill coils and book it in the cloud, swap boards and issue their claim codes."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from cloud.clock import Clock
from cloud.database import Database, Transaction
from cloud.devices import service as devices
from cloud.failpoints import Failpoints
from cloud.inventory import service as inventory
from cloud.postgres import EmbeddedPostgres
from shared.inventory import Reason
from tests.system.stage import SLOTS, Machine, Stage


class Technician:
    """Works through the cloud's own services, beside the running cloud, on its database."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        seeded = json.loads((stage.folder / "seed.json").read_text())
        self._tenant_id, self._site_id = UUID(seeded["tenant_id"]), UUID(seeded["site_id"])

    async def restock(self, machine: Machine, units: int, slots: tuple[str, ...] = SLOTS) -> None:
        """Put products into the coils and say so in the cloud; also says that these slots were looked at."""
        for slot in slots:
            self._stage.ask_device(machine, "restock", slot, str(units))
        moves = [(slot, units, Reason.RESTOCK) for slot in slots]

        async def work(tx: Transaction) -> None:
            await inventory.instruct(tx, self._tenant_id, self._site_id, UUID(machine.machine_id), moves)

        async with self._database() as database:
            await database.unit("lab.restock", work, tenant_id=self._tenant_id)

    async def new_claim_code(self, machine: Machine) -> str:
        """A fresh one-time code for the machine's device."""

        async def work(tx: Transaction) -> str:
            device_id = UUID(machine.device_id)
            return await devices.renew_claim_code(tx, self._site_id, device_id, Clock().now())

        async with self._database() as database:
            return await database.unit("lab.claim_code", work, tenant_id=self._tenant_id)

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Database]:
        postgres = EmbeddedPostgres(self._stage.folder / "cloud")
        await postgres.start()
        database = Database(postgres.app_url, Failpoints(), pool_size=1)
        try:
            await database.open()
            yield database
        finally:
            await database.close()
            await postgres.stop()
