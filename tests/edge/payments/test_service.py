"""Money adds up, whatever happens to the vends."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.clock import new_id
from shared.contract import Rail
from shared.devices import Credit
from shared.inventory import Reason
from shared.orders import OrderState
from shared.payments import CreditInserted, PaymentAuthorised, PaymentCaptured, PaymentGivenBack
from shared.topics import Channel, Topic
from tests.fakes.device import DROPPED, NOTHING_FELL
from tests.fakes.site import PRICE_MINOR, Site, running_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path, Rail.CASH) as site:
        yield site


async def sums(site: Site) -> dict[str, int]:
    """Money facts by event, in minor units."""
    found = dict.fromkeys(("inserted", "authorised", "captured", "given_back"), 0)
    for fact in await site.facts():
        match fact.body:
            case CreditInserted(amount_minor=amount):
                found["inserted"] += amount
            case PaymentAuthorised(amount_minor=amount):
                found["authorised"] += amount
            case PaymentCaptured(amount_minor=amount):
                found["captured"] += amount
            case PaymentGivenBack(amount_minor=amount):
                found["given_back"] += amount
    return found


async def test_every_coin_ends_captured_or_as_credit(site: Site) -> None:
    await site.device.insert_coin(5 * PRICE_MINOR + 700)
    await site.settle()
    for evidence in (DROPPED, NOTHING_FELL, DROPPED):
        site.device.evidence = evidence
        view = await site.order("A1", "A2")
        await site.until_state(view.order_id, OrderState.SETTLED)
        for slot in ("A1", "A2"):
            await site.move_stock(slot, 0, Reason.COUNT)
    money = await sums(site)
    assert money["authorised"] == money["captured"] + money["given_back"] == 6 * PRICE_MINOR
    assert money["given_back"] == 2 * PRICE_MINOR
    assert await site.credit() == money["inserted"] - money["authorised"] + money["given_back"]
    assert await site.credit() == PRICE_MINOR + 700
    rows = await site.database.read(lambda tx: tx.all("SELECT * FROM payments"))
    assert all(row["state"] == "settled" for row in rows)
    assert all(row["captured_minor"] + row["given_back_minor"] == row["amount_minor"] for row in rows)


async def test_credit_of_one_order_is_not_spent_by_two(site: Site) -> None:
    await site.device.insert_coin(PRICE_MINOR)
    await site.settle()
    first, second = await site.order("A1"), await site.order("A2")
    await site.until_state(first.order_id, OrderState.SETTLED)
    await site.settle()
    assert (await site.orders.view(second.order_id)).state is OrderState.PLACED
    assert await site.credit() == 0


async def test_a_coin_told_twice_is_counted_once_and_acknowledged_twice(site: Site) -> None:
    topic = Topic(site.machine_id, site.device_id, Channel.CREDIT)
    coin = Credit(boot_id=new_id(), credit_id=new_id(), amount_minor=500, currency="INR")
    sent = len(site.sent)
    for _ in range(2):
        await site.payments.record_credit(topic, coin)
    assert await site.credit() == 500
    assert (await sums(site))["inserted"] == 500
    assert [b"acknowledge_credit" in payload for _, payload in site.sent[sent:]] == [True, True]


async def test_an_unpaid_order_that_is_cancelled_takes_no_credit(site: Site) -> None:
    await site.device.insert_coin(PRICE_MINOR - 1)
    view = await site.order("A1")
    await site.settle()
    await site.orders.cancel(view.order_id)
    assert await site.credit() == PRICE_MINOR - 1
    events = [fact.body.event for fact in await site.facts()]
    assert events.count("payment_voided") == 1
    assert "payment_authorised" not in events
