"""A coin is taken only where the gateway wants it: allowed for moments at a time, refused as soon as it does not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from edge.access import Identity, IdentityKind
from edge.clock import new_id
from edge.database import Database, Transaction
from edge.links import LINKS_KEY
from edge.payments.rules import takes_cash
from edge.payments.sweep import RENEW_S, CashSweep
from firmware.vending.till import LEASE_MS
from shared.catalog import MachineVersion
from shared.commands import COMMAND, mac_of
from shared.contract import Rail
from shared.devices import HEARTBEAT_S, MONEY_LEASE_S, AcceptMoney, RefuseMoney
from shared.topics import Channel, Topic
from tests.fakes.site import Site, running_site
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
    assert command.nonce == site.device.nonce
    assert command.mac == mac_of(site.device.key, site.machine_id, site.device_id, command)


async def test_a_machine_out_of_service_takes_nothing(site: Site) -> None:
    await until(lambda: site.device.takes_money)
    await change_machine(site, 2, in_service=False)
    await until(lambda: not site.device.takes_money)
    await change_machine(site, 3)
    await until(lambda: site.device.takes_money)
    await change_machine(site, 4, rail=Rail.FREE)
    await until(lambda: not site.device.takes_money)


async def test_the_permission_is_renewed_in_time(site: Site) -> None:
    await until(lambda: site.device.takes_money)
    before = len(told(site))
    sweep = CashSweep(site.database, site.catalog, site.links, site.watch, renew_s=0.01)
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
    sweep = CashSweep(FullDisk(site.database), site.catalog, site.links, site.watch)
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


async def test_one_open_machine_opens_no_other(site: Site) -> None:
    other = Identity(IdentityKind.DEVICE, new_id(), new_id())
    site.links.connected(other, lambda reason: None)
    link = site.links.of(Topic(other.machine_id, other.device_id, Channel.HELLO))
    link.nonce, link.key = "1" * 16, bytes(32)
    site.watch.touch([LINKS_KEY])
    topic = str(Topic(other.machine_id, other.device_id, Channel.COMMAND))
    await until(lambda: any(to == topic for to, _ in site.money_words))
    assert {type(COMMAND.validate_json(payload)) for to, payload in site.money_words if to == topic} == {RefuseMoney}
    assert site.device.takes_money


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
    ("rail", "in_service", "has_room", "takes"),
    [
        (Rail.CASH, True, True, True),
        (Rail.FREE, True, True, False),
        (Rail.CASH, False, True, False),
        (Rail.CASH, True, False, False),
    ],
)
def test_cash_is_for_cash_machines_in_service_with_room_to_write_it_down(
    rail: Rail, in_service: bool, has_room: bool, takes: bool
) -> None:
    assert takes_cash(rail, in_service=in_service, has_room=has_room) is takes
