"""What devices say, and who hears it: one table from channel to message and use case."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import ValidationError

from edge.climate.service import ClimateService
from edge.devices.service import DeviceService
from edge.dispensing.service import DispenseService
from edge.errors import LarderError
from edge.inventory.service import InventoryService
from edge.links import Links
from edge.mqtt import LocalMqtt, Message
from edge.orders.service import OrderService
from edge.parcels.service import ParcelService
from edge.payments.service import PaymentService
from edge.releases.service import ReleaseService
from edge.upkeep.service import UpkeepService
from shared import devices as wire
from shared import topics
from shared import upkeep as care
from shared.climate import ZoneReport
from shared.parcels import Ask
from shared.releases import FirmwareReport
from shared.topics import Channel, Topic

ONCE_A_CONNECTION = frozenset({Channel.SENSOR, Channel.SETTINGS, Channel.OTA})
"""Told at each connect and at each change, and acknowledged by nobody."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Route:
    """The message a channel carries and the use case that takes it."""

    message: type[wire.DeviceMessage]
    handle: Callable[[Topic, Any], Awaitable[None]]
    of_link: bool = False
    """It is about the connection it came over: one that a newer connection has overtaken says nothing any more."""


class MqttRoutes:
    """Hands each message to its use case, one after the other, those of one device in the order it sent them."""

    def __init__(
        self,
        mqtt: LocalMqtt,
        devices: DeviceService,
        dispenses: DispenseService,
        inventory: InventoryService,
        payments: PaymentService,
        orders: OrderService,
        parcels: ParcelService,
        upkeep: UpkeepService,
        releases: ReleaseService,
        climate: ClimateService,
        links: Links,
    ) -> None:
        self._mqtt = mqtt
        self._devices = devices
        self._climate = climate
        self._links = links
        self._routes = {
            Channel.CLAIM: Route(wire.Claim, devices.claim),
            Channel.HELLO: Route(wire.Hello, dispenses.hello, of_link=True),
            Channel.HEARTBEAT: Route(wire.Heartbeat, self._heartbeat, of_link=True),
            Channel.SENSOR: Route(ZoneReport, climate.report, of_link=True),
            Channel.STATE: Route(wire.VendAnswer, dispenses.answer),
            Channel.DROP: Route(wire.Drop, dispenses.record_drop),
            Channel.OUTCOME: Route(wire.VendReport, orders.record_outcome),
            Channel.CREDIT: Route(wire.Credit, payments.record_credit),
            Channel.LOG: Route(care.LogLines, upkeep.record_log),
            Channel.ANSWER: Route(care.RequestAnswer, upkeep.record_answer),
            Channel.SETTINGS: Route(care.SettingsReport, upkeep.record_settings, of_link=True),
            Channel.STOCK: Route(wire.StockSensed, inventory.sense),
            Channel.ASK: Route(Ask, parcels.ask, of_link=True),
            Channel.OTA: Route(FirmwareReport, releases.report, of_link=True),
        }

    async def _heartbeat(self, topic: Topic, heartbeat: wire.Heartbeat) -> None:
        await self._devices.heartbeat(topic, heartbeat)
        await self._climate.hear_zones(topic, heartbeat)

    async def run(self) -> None:
        """Handle messages for ever. One that cannot be read or handled costs one log line and nothing else."""
        async for message in self._mqtt.messages():
            await self.handle(message)

    async def handle(self, message: Message) -> None:
        """Handle one message. A device repeats what was not acknowledged, so a refused one is not lost.

        What it says once a connection, it says again on another: that is asked for with its next heartbeat.
        """
        try:
            topic = topics.parse(message.topic)
            route = self._routes.get(topic.channel)
            if route is None:
                log.info("message_without_use", topic=message.topic)
                return
            if route.of_link and not self._links.carried(topic, message.received_monotonic):
                log.info("message_overtaken", topic=message.topic)
                return
            await route.handle(topic, route.message.model_validate_json(message.payload))
        except (topics.TopicError, ValidationError) as error:
            log.warning("message_refused", topic=message.topic, reason=_reason(error), bytes=len(message.payload))
        except LarderError as error:
            log.warning("message_not_handled", topic=message.topic, code=error.code)
            if topic.channel in ONCE_A_CONNECTION:
                self._links.of(topic).unheard = True


def _reason(error: topics.TopicError | ValidationError) -> str:
    """Field and kind of each fault, never the value: it may be a secret."""
    if isinstance(error, topics.TopicError):
        return str(error)
    return ", ".join(
        f"{'.'.join(map(str, fault['loc']))}: {fault['type']}" for fault in error.errors(include_input=False)
    )
