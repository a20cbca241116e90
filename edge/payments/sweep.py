"""Who may take money now: told to each device anew, so that none takes a coin that nobody would count."""

import asyncio
from uuid import UUID

import structlog

from edge.catalog.service import MACHINES_KEY, CatalogService
from edge.database import Database, Transaction
from edge.links import LINKS_KEY, UNSIGNED, Links
from edge.payments.rules import takes_cash
from edge.watch import Watch
from shared.devices import AcceptMoney, RefuseMoney

RENEW_S = 10.0
"""How often a device is allowed anew: of three such words it may lose one (MONEY_LEASE_S)."""

log = structlog.get_logger()


class CashSweep:
    """Looks when a device or a machine has changed, and every `renew_s`."""

    def __init__(
        self, database: Database, catalog: CatalogService, links: Links, watch: Watch, renew_s: float = RENEW_S
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._links = links
        self._watch = watch
        self._renew_s = renew_s
        self._allowed: set[UUID] = set()

    async def run(self) -> None:
        """Sweep for ever."""
        with self._watch.on(LINKS_KEY, MACHINES_KEY) as changed:
            while True:
                changed.clear()
                self._tell(await self._database.read(self._open_machines))
                try:
                    async with asyncio.timeout(self._renew_s):
                        await changed.wait()
                except TimeoutError:
                    continue

    def _open_machines(self, tx: Transaction) -> set[UUID]:
        has_room = self._database.has_room()
        return {
            machine.machine_id
            for machine in self._catalog.machines(tx)
            if takes_cash(machine.rail, in_service=machine.in_service, has_room=has_room)
        }

    def _tell(self, open_machines: set[UUID]) -> None:
        """Whoever is not there takes nothing by itself. A refusal that is lost comes again with the next sweep."""
        allowed = set()
        for machine_id, device_id, nonce in self._links.reachable():
            if machine_id in open_machines:
                allowed.add(device_id)
                self._links.send(machine_id, device_id, AcceptMoney(nonce=nonce, mac=UNSIGNED))
            else:
                self._links.send(machine_id, device_id, RefuseMoney(mac=UNSIGNED))
        if allowed != self._allowed:
            log.info("cash_taken_by", device_ids=sorted(map(str, allowed)))
        self._allowed = allowed
