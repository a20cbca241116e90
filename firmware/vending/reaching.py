"""Whether settings lead anywhere: their Wi-Fi is joined, and their gateway lets this device in."""

import asyncio

from .addresses import Addresses
from .clock import Clock
from .credentials import FILE as CREDENTIALS_FILE
from .credentials import load_or_make
from .flash import Flash
from .hardware import Hardware
from .log import log
from .mqtt import MqttClient, MqttError, Refused
from .settings import Settings
from .sockets import SERVER_NAME, site_context

OPEN_S = 20


class Unreached(Exception):
    """They lead nowhere; the text says why, in words for a technician."""


async def join(board: Hardware, settings: Settings) -> None:
    """Be on the settings' Wi-Fi. Raises Unreached."""
    try:
        await board.join_network()
    except OSError as error:
        log("network_unavailable", error=str(error))
        name = settings.wifi.ssid if settings.wifi is not None else "of these settings"
        raise Unreached("the Wi-Fi " + name + " is not in reach (2.4 GHz), or has another password") from None


async def reach(board: Hardware, flash: Flash, clock: Clock, settings: Settings) -> str:
    """Be let in by the settings' own gateway; its address, of all it may have. Raises Unreached, SettingsError."""
    context = site_context(settings.ca_der)
    reason = "nobody answers at the gateway's address"
    for _, find in Addresses(settings, board, flash, clock).sources():
        for host, port in await find():
            try:
                for password in _passwords(flash, settings):
                    if await asyncio.wait_for(_lets_in(board, clock, settings, context, host, port, password), OPEN_S):
                        return host + ":" + str(port)
            except (OSError, EOFError, asyncio.TimeoutError, MqttError) as error:
                log("gateway_unreached", host=host, port=port, error=str(error) or "timed out")
                reason = "no gateway of this site at " + host + ":" + str(port)
            else:
                raise Unreached("the gateway does not know this claim code: it is wrong, used or too old")
    raise Unreached(reason)


def _passwords(flash: Flash, settings: Settings) -> list:
    """The token of a device that has claimed before, then the claim code, which no try uses up."""
    passwords = []
    if flash.has(CREDENTIALS_FILE):
        passwords.append(load_or_make(flash).token)
    if settings.claim_code is not None:
        passwords.append("claim:" + settings.claim_code)
    return passwords


async def _lets_in(board, clock: Clock, settings: Settings, context, host: str, port: int, password: str) -> bool:
    reader, writer = await board.open_stream(host, port, context, SERVER_NAME)
    client = MqttClient(reader, writer, clock)
    try:
        await client.connect(settings.device_id, password)
    except Refused:
        return False
    finally:
        await client.close()
    return True
