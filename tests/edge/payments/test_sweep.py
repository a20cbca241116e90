"""A coin is taken only where the gateway wants it: allowed for moments at a time, refused as soon as it does not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import pytest

from edge.access import Identity, IdentityKind
from edge.clock import new_id
from edge.database import Database, Transaction
from edge.devices.service import link_key
from edge.links import LINKS_KEY
from edge.payments.rules import takes_cash
from edge.payments.sweep import RENEW_S, CashSweep
from firmware.vending.till import LEASE_MS
from shared.catalog import MachineVersion, PlanogramSlot, PlanogramVersion
from shared.commands import COMMAND, mac_of
from shared.contract import Rail
from shared.devices import HEARTBEAT_S, MONEY_LEASE_S, AcceptMoney, RefuseMoney
from shared.inventory import Reason
from shared.orders import OrderState
from shared.releases import LEAVE_S
from shared.topics import Channel, Topic
from tests.fakes.site import PRICE_MINOR, SLOTS, Site, running_site
from tests.fakes.until import until

T = TypeVar("T")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path, Rail.CASH) as site:
        yield site


def told(site: Site) -> list[AcceptMoney | RefuseMoney]:
    """What the devices were told of money, oldest first."""
    commands = [COMMAND.validate_json(payload) for _, payload in site.money_words]
    return [command for command in commands if isinstance(command, AcceptMoney | RefuseMoney)]


async def change_machine(site: Site, version: int, *, rail: Rail = Rail.CASH, in_service: bool = True) -> None:
    machine = MachineVersion(
        machine_id=site.machine_id, version=version, name="Snacks", rail=rail, currency="INR", in_service=in_service
    )
    await site.database.unit("test.machine", lambda tx: site.catalog.apply_machine(tx, machine))


@pytest.mark.criterion("8.2")
async def test_a_cash_machines_device_is_allowed_as_soon_as_it_is_there(site: Site) -> None:
    await until(lambda: site.device.takes_money)
    command = told(site)[0]
    assert isinstance(command, AcceptMoney)
    assert (command.currency, command.nonce) == ("INR", site.device.nonce)
    assert command.mac == mac_of(site.device.key, site.machine_id, site.device_id, command)


async def test_a_machine_out_of_service_takes_nothing(site: Site) -> None:
    await until(lambda: site.device.takes_money)
    await change_machine(site, 2, in_service=False)
    await until(lambda: not site.device.takes_money)
    await change_machine(site, 3)
    await until(lambda: site.device.takes_money)
    await change_machine(site, 4, rail=Rail.FREE)
    await until(lambda: not site.device.takes_money)


async def test_a_machine_with_nothing_to_sell_takes_nothing(site: Site) -> None:
    for slot in sorted(SLOTS - {"A1"}):
        await site.move_stock(slot, -10, Reason.ADJUST)
    await site.settle()
    assert site.device.takes_money
    await site.move_stock("A1", -10, Reason.ADJUST)
    await until(lambda: not site.device.takes_money)
    await site.move_stock("A1", 1, Reason.RESTOCK)
    await until(lambda: site.device.takes_money)
    vend_id = new_id()
    await site.database.unit("test.suspect", lambda tx: site.inventory.suspect(tx, site.machine_id, "A1", vend_id))
    await until(lambda: not site.device.takes_money)


async def test_money_that_an_order_waits_for_is_taken_though_it_has_the_last_product(tmp_path: Path) -> None:
    async with running_site(tmp_path, Rail.CASH, opening=0) as site:
        await site.move_stock("A1", 1, Reason.RESTOCK)
        await until(lambda: site.device.takes_money)
        order = await site.order("A1")
        await site.settle()
        assert site.device.takes_money
        await site.orders.cancel(order.order_id)
        order = await site.order("A1")
        await site.device.insert_coin(PRICE_MINOR)
        await site.until_state(order.order_id, OrderState.DISPENSING)
        await until(lambda: not site.device.takes_money)


async def test_what_another_device_sells_that_is_away_cannot_be_sold(site: Site) -> None:
    await until(lambda: site.device.takes_money)
    away = new_id()
    offer = await site.database.read(lambda tx: site.catalog.offer(tx, site.machine_id))
    product_id = offer.slots["A1"].product_id
    slot = PlanogramSlot(slot="A1", product_id=product_id, device_id=away, price_minor=1, capacity=9, par_level=1)
    planogram = PlanogramVersion(
        machine_id=site.machine_id, version=2, effective_at=datetime(2026, 1, 1, tzinfo=UTC), slots=(slot,)
    )

    def work(tx: Transaction) -> None:
        site.catalog.apply_planogram(tx, planogram)
        site.catalog.recall_version(tx, site.machine_id, 2)

    await site.database.unit("test.planogram", work)
    await until(lambda: not site.device.takes_money)


async def test_the_permission_is_renewed_in_time(site: Site) -> None:
    await until(lambda: site.device.takes_money)
    before = len(told(site))
    sweep = CashSweep(site.database, site.catalog, site.inventory, site.links, site.watch, renew_s=0.01)
    sweeping = asyncio.create_task(sweep.run(), name="cash")
    await until(lambda: len(told(site)) >= before + 3)
    sweeping.cancel()
    assert MONEY_LEASE_S * 1000 == LEASE_MS
    assert 2 * RENEW_S < MONEY_LEASE_S
    assert RENEW_S <= HEARTBEAT_S, "the device renews its nonce no faster than we its permission"


class FullDisk(Database):
    """A ledger that can be read and has no room for another promise."""

    def __init__(self, ledger: Database) -> None:
        self._ledger = ledger

    async def read(self, work: Callable[[Transaction], T]) -> T:
        return await self._ledger.read(work)

    def has_room(self) -> bool:
        return False


async def test_nothing_is_taken_that_could_not_be_written_down(site: Site) -> None:
    await until(lambda: site.device.takes_money)
    sweep = CashSweep(FullDisk(site.database), site.catalog, site.inventory, site.links, site.watch)
    sweeping = asyncio.create_task(sweep.run(), name="cash")
    await until(lambda: not site.device.takes_money)
    sweeping.cancel()


async def test_a_device_that_is_not_there_is_told_nothing(site: Site) -> None:
    await until(lambda: site.device.takes_money)
    site.disconnect()
    before = len(told(site))
    await change_machine(site, 2, in_service=False)
    await change_machine(site, 3)
    await site.settle()
    assert len(told(site)) == before


async def test_a_free_machine_takes_nothing(tmp_path: Path) -> None:
    async with running_site(tmp_path, Rail.FREE) as site:
        await until(lambda: bool(told(site)))
        assert all(isinstance(command, RefuseMoney) for command in told(site))


def join(site: Site, machine_id: UUID) -> UUID:
    """Another device, without any product, stands in this machine, and can be commanded."""
    other = Identity(IdentityKind.DEVICE, machine_id, new_id())
    site.links.connected(other, lambda reason: None)
    link = site.links.of(Topic(machine_id, other.device_id, Channel.HELLO))
    link.nonce, link.key = "1" * 16, bytes(32)
    site.watch.touch([LINKS_KEY])
    return other.device_id


async def until_told(site: Site, machine_id: UUID, device_id: UUID, word: type[AcceptMoney | RefuseMoney]) -> None:
    """Wait until the newest word to the device is this one."""
    topic = str(Topic(machine_id, device_id, Channel.COMMAND))

    def is_told() -> bool:
        words = [payload for to, payload in site.money_words if to == topic]
        return bool(words) and isinstance(COMMAND.validate_json(words[-1]), word)

    await until(is_told, RENEW_S / 2)


async def test_one_open_machine_opens_no_other(site: Site) -> None:
    machine_id = new_id()
    await until_told(site, machine_id, join(site, machine_id), RefuseMoney)
    assert site.device.takes_money


@pytest.mark.criterion("8.2")
@pytest.mark.parametrize("leaver", ["what sells", "what takes the coins"])
async def test_no_device_takes_money_while_what_it_takes_it_for_or_it_itself_is_about_to_boot(
    site: Site, leaver: str
) -> None:
    till = join(site, site.machine_id)
    await until_told(site, site.machine_id, till, AcceptMoney)
    site.links.let_go(site.device_id if leaver == "what sells" else till, LEAVE_S)
    site.watch.touch([link_key(site.machine_id)])
    await until_told(site, site.machine_id, till, RefuseMoney)
    assert site.device.takes_money is (leaver != "what sells")


async def test_a_refusal_that_was_lost_comes_again(site: Site) -> None:
    await until(lambda: site.device.takes_money)
    site.device.deaf = True
    await change_machine(site, 2, in_service=False)
    await site.settle()
    site.device.deaf = False
    assert site.device.takes_money
    site.watch.touch([LINKS_KEY])
    await until(lambda: not site.device.takes_money)


@pytest.mark.parametrize(
    ("rail", "in_service", "has_room", "wanted", "takes"),
    [
        (Rail.CASH, True, True, True, True),
        (Rail.FREE, True, True, True, False),
        (Rail.CASH, False, True, True, False),
        (Rail.CASH, True, False, True, False),
        (Rail.CASH, True, True, False, False),
    ],
)
def test_cash_is_for_cash_machines_in_service_that_want_it_and_have_room_to_write_it_down(
    rail: Rail, in_service: bool, has_room: bool, wanted: bool, takes: bool
) -> None:
    assert takes_cash(rail, in_service=in_service, has_room=has_room, wanted=wanted) is takes
