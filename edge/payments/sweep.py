"""Who may take money now: told to each device anew, so that none takes a coin that nobody would count."""

import asyncio
from collections.abc import Iterable, Mapping
from uuid import UUID

import structlog

from edge.catalog.rules import Machine
from edge.catalog.service import MACHINES_KEY, CatalogService, machine_key
from edge.database import Database, Transaction
from edge.devices.service import link_key
from edge.inventory.service import InventoryService, state_of, stock_key
from edge.links import LINKS_KEY, UNSIGNED, Links
from edge.payments import store
from edge.payments.rules import takes_cash
from edge.payments.service import credit_key
from edge.watch import Watch
from shared.catalog import SlotState
from shared.devices import AcceptMoney, RefuseMoney

RENEW_S = 10.0
"""How often a device is allowed anew: of three such words it may lose one (MONEY_LEASE_S)."""

log = structlog.get_logger()


class CashSweep:
    """Looks when a device, a machine or what it sells has changed, and every `renew_s`."""

    def __init__(
        self,
        database: Database,
        catalog: CatalogService,
        inventory: InventoryService,
        links: Links,
        watch: Watch,
        renew_s: float = RENEW_S,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._inventory = inventory
        self._links = links
        self._watch = watch
        self._renew_s = renew_s
        self._allowed: set[UUID] = set()

    async def run(self) -> None:
        """Sweep for ever."""
        watched: set[UUID] = set()
        while True:
            with self._watch.on(LINKS_KEY, MACHINES_KEY, *_keys(watched)) as changed:
                machines = await self._database.read(self._machines)
                if machines.keys() != watched:
                    watched = set(machines)
                    continue
                self._tell(machines)
                try:
                    async with asyncio.timeout(self._renew_s):
                        await changed.wait()
                except TimeoutError:
                    continue

    def _machines(self, tx: Transaction) -> dict[UUID, str | None]:
        """Each machine, and the currency that it may take now, if any."""
        has_room = self._database.has_room()
        return {
            machine.machine_id: machine.currency if self._takes_cash(tx, machine, has_room) else None
            for machine in self._catalog.machines(tx)
        }

    def _takes_cash(self, tx: Transaction, machine: Machine, has_room: bool) -> bool:
        wanted = self._sells(tx, machine.machine_id) or store.is_awaited(tx, machine.machine_id)
        return takes_cash(machine.rail, in_service=machine.in_service, has_room=has_room, wanted=wanted)

    def _sells(self, tx: Transaction, machine_id: UUID) -> bool:
        levels = self._inventory.levels(tx, machine_id)
        offered = self._catalog.offer(tx, machine_id).slots.values()
        states = (state_of(levels.get(slot.slot), online=self._links.can_begin(slot.device_id)) for slot in offered)
        return SlotState.OK in states

    def _tell(self, machines: Mapping[UUID, str | None]) -> None:
        """Whoever is not there takes nothing by itself. A refusal that is lost comes again with the next sweep.

        A device that has leave to boot takes nothing either, whatever the machine's others sell.
        """
        allowed = set()
        for machine_id, device_id, nonce in self._links.reachable():
            currency = machines.get(machine_id)
            if currency is not None and self._links.can_begin(device_id):
                allowed.add(device_id)
                self._links.send(machine_id, device_id, AcceptMoney(currency=currency, nonce=nonce, mac=UNSIGNED))
            else:
                self._links.send(machine_id, device_id, RefuseMoney(mac=UNSIGNED))
        if allowed != self._allowed:
            log.info("cash_taken_by", device_ids=sorted(map(str, allowed)))
        self._allowed = allowed


def _keys(machine_ids: Iterable[UUID]) -> list[str]:
    """What tells that a machine has another offer, stock or order that waits for money, or a device about to boot."""
    return [key(machine_id) for machine_id in machine_ids for key in (machine_key, stock_key, credit_key, link_key)]
