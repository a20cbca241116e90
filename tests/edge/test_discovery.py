"""mDNS on the loopback interface: found, counting, gone, and never in the way."""

import asyncio
import socket

from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from edge.clock import Clock, new_id
from edge.discovery import DEVICE_TYPE, GATEWAY_TYPE, MOST_HEARD, Discovery
from tests.fakes.until import until


async def test_the_gateway_is_found_and_counts_devices() -> None:
    gateway_id = new_id()
    discovery = Discovery(gateway_id, 18883, ["127.0.0.1"], Clock())
    task = asyncio.create_task(discovery.run())
    device = AsyncZeroconf(interfaces=["127.0.0.1"])
    try:
        await until(lambda: discovery.health().advertised)
        found = AsyncServiceInfo(GATEWAY_TYPE, f"{gateway_id}.{GATEWAY_TYPE}")
        assert await found.async_request(device.zeroconf, 5000)
        assert (found.port, found.parsed_addresses()) == (18883, ["127.0.0.1"])
        assert found.decoded_properties == {"v": "1", "gateway": str(gateway_id)}

        name = f"{new_id()}.{DEVICE_TYPE}"
        here = [socket.inet_aton("127.0.0.1")]
        await (await device.async_register_service(AsyncServiceInfo(DEVICE_TYPE, name, addresses=here, port=1)))
        await until(lambda: discovery.health().devices > 0)
        assert [f"{board}.{DEVICE_TYPE}" for board in discovery.health().boards] == [name]
        assert discovery.health().last_answer_s is not None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await device.async_close()
    assert task.cancelled()
    assert not discovery.health().advertised


def test_names_that_somebody_makes_up_fill_nothing() -> None:
    discovery = Discovery(new_id(), 1, ["127.0.0.1"], Clock())
    for number in range(MOST_HEARD + 50):
        discovery.heard(f"board {number}.{DEVICE_TYPE}", is_there=True)
    assert (discovery.health().devices, discovery.health().boards) == (MOST_HEARD, frozenset())
    discovery.heard(f"board 0.{DEVICE_TYPE}", is_there=False)
    board = new_id()
    discovery.heard(f"{board}.{DEVICE_TYPE}", is_there=True)
    assert discovery.health().boards == {board}


async def test_a_failure_is_counted_and_not_fatal() -> None:
    discovery = Discovery(new_id(), 1, ["192.0.2.1"], Clock())  # TEST-NET-1: not an address of this machine
    task = asyncio.create_task(discovery.run())
    await until(lambda: discovery.health().failures > 0)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def test_without_an_interface_it_does_nothing() -> None:
    discovery = Discovery(new_id(), 1, [], Clock())
    async with asyncio.timeout(1):
        await discovery.run()
    assert not discovery.health().advertised
