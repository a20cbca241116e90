"""The device's line to its gateway: found, secured, logged in, kept up, and taken up again for ever."""

import asyncio
import os
import ssl

from . import TYPE_CHECKING, const
from .addresses import Addresses
from .borrowed import borrow, give_back
from .clock import Clock
from .dispenser import Dispenser
from .log import log, warn
from .mqtt import MqttClient, MqttError, Refused
from .session import Session
from .settings import Settings
from .sockets import SERVER_NAME
from .vigil import LINK, Vigil

if TYPE_CHECKING:
    from .credentials import Credentials
    from .hardware import Hardware

_OPEN_S = const(6)
_FIRST_RETRY_MS = const(500)
_LONGEST_RETRY_MS = const(2_000)
_LONGEST_RETRY_REFUSED_MS = const(10_000)
_STEADY_MS = const(5_000)
"""A connection that lasted so long lets the next retry start from the shortest wait again."""

OFFLINE = "offline"
_CONNECTING = const("connecting")
_CLAIMING = const("claiming")
ONLINE = "online"

_UNREACHED = const("unreached")
"""How a connection ended: no gateway there, try the next address;"""
_AGAIN = const("again")
"""connect again at once;"""
_LATER = const("later")
"""connect again after a wait."""


class Link:
    """`state` is offline, connecting, claiming or online; `refused`: the gateway did not let this device in last.

    It never gives up and never restarts the device.
    """

    def __init__(
        self,
        settings: Settings,
        credentials: "Credentials",
        board: "Hardware",
        clock: Clock,
        addresses: Addresses,
        session: Session,
        dispenser: Dispenser,
        context: ssl.SSLContext,
        make_client: "type[MqttClient]",
        vigil: Vigil,
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._board = board
        self._clock = clock
        self._addresses = addresses
        self._session = session
        self._dispenser = dispenser
        self._context = context
        self._make_client = make_client
        self._vigil = vigil
        self._claims = credentials.fresh and settings.claim_code is not None
        self._retry_ms = _FIRST_RETRY_MS
        self._longest_retry_ms = _LONGEST_RETRY_MS
        self.state = OFFLINE
        self.refused = False

    async def run(self) -> None:
        """For ever."""
        while True:
            self._vigil.lives(LINK)
            if await self._round() == _AGAIN:
                continue
            wait_ms = self._retry_ms * (128 + os.urandom(1)[0] // 2) // 256
            self._retry_ms = min(2 * self._retry_ms, self._longest_retry_ms)
            await asyncio.sleep(wait_ms / 1000)

    async def _round(self) -> str:
        """Try every address there is until a gateway answers.

        First a motor that turns is left to do so: resolving a name and TLS block the ESP32 for a second and more, in
        which nobody would see its coil come home. Without a connection no further vend can begin.
        """
        await self._dispenser.rest()
        try:
            await self._board.join_network()
        except OSError as error:
            warn("network_unavailable", error=str(error))
            return _LATER
        tried: list = []
        for name, find in self._addresses.sources():
            for address in await find():
                if address in tried:
                    continue
                tried.append(address)
                log("gateway_tried", found_by=name, host=address[0], port=address[1])
                end = await self._connection(address)
                if end != _UNREACHED:
                    return end
        return _LATER

    async def _connection(self, address: tuple) -> str:
        """One connection from its beginning to its end; how it ended."""
        client = None
        self._vigil.lives(LINK)
        self._enter(_CONNECTING)
        try:
            client = await self._open(address)
            if self._claims:
                await self._claim(client, address)
                return _AGAIN
            await client.connect(self._settings.device_id, self._credentials.token)
            self._addresses.remember(address)
            await self._serve(client)
        except Refused:
            return self._refused()
        except (OSError, EOFError, asyncio.TimeoutError, MqttError) as error:
            warn("link_failed", state=self.state, host=address[0], port=address[1], error=str(error) or "timed out")
            return _LATER if self.state == ONLINE else _UNREACHED
        finally:
            self._session.close()
            if client is not None:
                await client.close()
            self._enter(OFFLINE)
        return _LATER

    async def _open(self, address: tuple) -> MqttClient:
        opening = self._board.open_stream(address[0], address[1], self._context, SERVER_NAME)
        reader, writer = await asyncio.wait_for(opening, _OPEN_S)
        return self._make_client(reader, writer, self._clock)

    async def _claim(self, client: MqttClient, address: tuple) -> None:
        self._enter(_CLAIMING)
        await client.connect(self._settings.device_id, "claim:" + self._settings.claim_code)
        try:
            await borrow("claim").claim(self._session, client, self._credentials, self._clock)
        finally:
            give_back("claim")
        self._claims = False
        self._addresses.remember(address)

    def _refused(self) -> str:
        """Token and claim code take turns, so that a device whose claim was answered into the void gets in by token."""
        warn("claim_refused" if self._claims else "login_refused")
        self.refused = True
        self._claims = not self._claims and self._settings.claim_code is not None
        self._longest_retry_ms = _LONGEST_RETRY_REFUSED_MS
        return _AGAIN if self._claims else _LATER

    async def _serve(self, client: MqttClient) -> None:
        """Until MqttError."""
        await self._session.open(client)
        self.refused = False
        self._enter(ONLINE)
        self._longest_retry_ms = _LONGEST_RETRY_MS
        online_ms = self._clock.ms()
        while True:
            self._vigil.lives(LINK)
            await self._session.tend(client)
            if self._clock.ms() - online_ms > _STEADY_MS:
                self._retry_ms = _FIRST_RETRY_MS

    def _enter(self, state: str) -> None:
        if state != self.state:
            self.state = state
            log("link_" + state)
