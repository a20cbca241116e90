"""What happens when two things happen at once, and when a device says what it has no right to say."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.clock import new_id
from edge.errors import Refused
from shared.contract import Rail
from shared.devices import Credit, Evidence, Hello, VendAnswer, VendReport, VendResult, VendState
from shared.errors import Code
from shared.orders import OrderState, VendOutcome, VendProgress
from shared.topics import Channel, Topic
from tests.fakes.site import PRICE_MINOR, Site, running_site

FELL = Evidence(drop=True, left_home=True, home_before=True, home_after=True, motor_ms=900)


@pytest.fixture
async def cash(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path, Rail.CASH) as site:
        yield site


async def test_a_vend_that_was_cancelled_before_it_was_published_is_never_published(cash: Site) -> None:
    await cash.device.insert_coin(PRICE_MINOR)
    await cash.settle()
    cash.interruptions.at("orders.place.before_commit", cash.disconnect)
    view = await cash.order("A1")
    await cash.orders.cancel(view.order_id)
    await cash.connect()
    view = await cash.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is VendOutcome.NOT_STARTED
    assert "dispense" not in cash.device.heard
    assert await cash.credit() == PRICE_MINOR


async def test_a_command_for_a_connection_that_was_replaced_waits_for_the_hello(cash: Site) -> None:
    await cash.device.insert_coin(PRICE_MINOR)
    await cash.settle()
    cash.interruptions.at("orders.place.after_commit", cash.log_in)
    view = await cash.order("A1")
    await cash.settle()
    assert "dispense" not in cash.device.heard
    await cash.device.hello()
    view = await cash.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is VendOutcome.DISPENSED
    assert cash.device.heard.count("dispense") == 1


async def test_cancelling_while_the_device_comes_back_requests_nothing(cash: Site) -> None:
    view = await cash.order("A1", "A2")
    cash.disconnect()
    await cash.device.insert_coin(2 * PRICE_MINOR)
    await cash.settle()
    assert (await cash.orders.view(view.order_id)).state is OrderState.AUTHORISED
    cash.log_in()
    busy = asyncio.create_task(cash.database.unit("test.busy", lambda tx: time.sleep(0.2)))
    await asyncio.sleep(0.02)
    await cash.device.hello()
    await asyncio.sleep(0.02)
    cancel = asyncio.create_task(cash.orders.cancel(view.order_id))
    await asyncio.gather(busy, cancel)
    view = await cash.until_state(view.order_id, OrderState.SETTLED)
    await cash.settle()
    assert {vend.outcome for vend in view.vends} == {VendOutcome.CANCELLED}
    assert cash.device.starts == {}
    assert await cash.credit() == 2 * PRICE_MINOR


async def test_a_stranger_settles_nobody_elses_vend(cash: Site) -> None:
    view = await cash.order("A1")
    await cash.orders.cancel(view.order_id)
    stranger = Topic(new_id(), new_id(), Channel.OUTCOME)
    report = VendReport(
        boot_id=new_id(),
        epoch=1,
        seq=1,
        vend_id=view.vends[0].vend_id,
        slot="A1",
        result=VendResult.DONE,
        evidence=FELL,
    )
    await cash.orders.record_outcome(stranger, report)
    assert await cash.stock("A1") == 10


async def test_a_stranger_makes_nobody_elses_vend_ambiguous(cash: Site) -> None:
    cash.device.slow = True
    await cash.device.insert_coin(PRICE_MINOR)
    view = await cash.order("A1")
    await cash.until(view.order_id, lambda now: now.vends[0].state is VendProgress.STARTED)
    answer = VendAnswer(
        boot_id=new_id(),
        epoch=1,
        seq=1,
        vend_id=view.vends[0].vend_id,
        state=VendState.FORGOTTEN,
        nonce="0" * 16,
    )
    await cash.dispenses.answer(Topic(new_id(), new_id(), Channel.STATE), answer)
    await cash.settle()
    assert (await cash.orders.view(view.order_id)).state is OrderState.DISPENSING


async def test_a_coin_of_another_currency_is_not_counted(cash: Site) -> None:
    topic = Topic(cash.machine_id, cash.device_id, Channel.CREDIT)
    coin = Credit(boot_id=new_id(), credit_id=new_id(), amount_minor=500, currency="JPY")
    with pytest.raises(Refused) as refused:
        await cash.payments.record_credit(topic, coin)
    assert refused.value.code is Code.VALIDATION_FAILED
    assert await cash.credit() == 0


async def test_a_device_out_of_its_mind_is_not_believed_and_can_sell_once_it_is_itself(cash: Site) -> None:
    topic = Topic(cash.machine_id, cash.device_id, Channel.HELLO)
    mad = Hello(boot_id=new_id(), journal_id=new_id(), firmware="1", epoch=2**31 - 1, seq=5, nonce="f" * 16, open=())
    await cash.dispenses.hello(topic, mad)
    await cash.connect()
    await cash.settle()
    await cash.device.insert_coin(PRICE_MINOR)
    view = await cash.order("A1")
    view = await cash.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is VendOutcome.DISPENSED
