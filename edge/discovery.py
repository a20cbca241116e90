"""mDNS: the gateway says where it is and counts the devices that answer. A hint, never a proof of identity."""

import asyncio
import random
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import structlog
import zeroconf
from zeroconf import ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from edge.clock import Clock

GATEWAY_TYPE = "_larder-gw._tcp.local."
DEVICE_TYPE = "_larder-dev._tcp.local."
FAREWELL_S = 2.0
FIRST_RETRY_S = 5.0
LAST_RETRY_S = 300.0
MOST_HEARD = 256
"""Names are kept of so many, whatever else somebody makes up: a site has 96 boards at most."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DiscoveryHealth:
    """How mDNS is doing. `last_answer_s`: seconds since a device was last heard, None if never.

    `boards`: the ids by which devices that are there call themselves.
    """

    advertised: bool
    devices: int
    last_answer_s: float | None
    failures: int
    boards: frozenset[UUID] = frozenset()

    @classmethod
    def none(cls) -> "DiscoveryHealth":
        """Nothing advertised, nobody heard."""
        return cls(advertised=False, devices=0, last_answer_s=None, failures=0)


class Discovery:
    """Advertises the gateway's MQTT port on `interfaces` (own IP addresses) and browses for devices there.

    With no interface it does nothing. A failure is logged and tried again: discovery never stops the gateway.
    """

    def __init__(self, gateway_id: UUID, port: int, interfaces: Sequence[str], clock: Clock) -> None:
        self._gateway_id = gateway_id
        self._port = port
        self._interfaces = list(interfaces)
        self._clock = clock
        self._devices: set[str] = set()
        self._heard: float | None = None
        self._advertised = False
        self._failures = 0

    def health(self) -> DiscoveryHealth:
        """The state of now."""
        silence = None if self._heard is None else self._clock.monotonic() - self._heard
        boards = frozenset(board for name in self._devices if (board := _board(name)) is not None)
        return DiscoveryHealth(self._advertised, len(self._devices), silence, self._failures, boards)

    async def run(self) -> None:
        """Advertise and browse until cancelled; then take the advertisement back."""
        if not self._interfaces:
            return
        pause = FIRST_RETRY_S
        while True:
            try:
                await self._advertise()
            except (OSError, zeroconf.Error, TimeoutError) as error:
                self._failures += 1
                log.warning("discovery_failed", error=repr(error), retry_s=round(pause))
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret
                pause = min(pause * 2, LAST_RETRY_S)

    async def _advertise(self) -> None:
        for address in self._interfaces:
            _assert_own(address)
        mdns = AsyncZeroconf(interfaces=self._interfaces)
        browser = AsyncServiceBrowser(mdns.zeroconf, DEVICE_TYPE, handlers=[self._heard_device])
        try:
            await (await mdns.async_register_service(self._service()))
            self._advertised = True
            log.info("discovery_advertised", gateway_id=str(self._gateway_id), port=self._port)
            await asyncio.get_running_loop().create_future()
        finally:
            self._advertised = False
            self._devices.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await browser.async_cancel()
                    await mdns.async_close()

    def _service(self) -> AsyncServiceInfo:
        return AsyncServiceInfo(
            GATEWAY_TYPE,
            f"{self._gateway_id}.{GATEWAY_TYPE}",
            addresses=[socket.inet_pton(_family(address), address) for address in self._interfaces],
            port=self._port,
            properties={"v": "1", "gateway": str(self._gateway_id)},
            server=f"larder-{self._gateway_id}.local.",
        )

    def _heard_device(
        self, zeroconf: zeroconf.Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        self.heard(name, is_there=state_change is not ServiceStateChange.Removed)

    def heard(self, name: str, *, is_there: bool) -> None:
        """A device came or went, by this name."""
        self._heard = self._clock.monotonic()
        if not is_there:
            self._devices.discard(name)
        elif len(self._devices) < MOST_HEARD:
            self._devices.add(name)


def _board(name: str) -> UUID | None:
    """The id in the name that a device gives itself (firmware/vending/announcer.py)."""
    try:
        return UUID(name.removesuffix(f".{DEVICE_TYPE}"))
    except ValueError:
        return None


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _assert_own(address: str) -> None:
    """Raises OSError. zeroconf would find out too, but leave its sockets open."""
    with socket.socket(_family(address), socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
