"""The device's line to its gateway: kept up, and taken up again for ever. connecting.py does what that takes."""

import asyncio
import os

from . import TYPE_CHECKING, const
from .borrowed import borrow, give_back
from .log import log, warn
from .mqtt import MqttError
from .vigil import LINK

if TYPE_CHECKING:
    import ssl

    from .credentials import Credentials
    from .errands import Parts
    from .mqtt import MqttClient
    from .session import Session
    from .vigil import Vigil

_FIRST_RETRY_MS = const(500)
_LONGEST_RETRY_MS = const(2_000)
_LONGEST_RETRY_REFUSED_MS = const(10_000)
_STEADY_MS = const(5_000)
"""A connection that lasted so long lets the next retry start from the shortest wait again."""

OFFLINE = "offline"
ONLINE = "online"


class Link:
    """`state` is offline, connecting, claiming or online; `refused`: the gateway did not let this device in last.

    `claims`: the next login is by the claim code. It never gives up and never restarts the device.
    """

    def __init__(
        self,
        parts: "Parts",
        credentials: "Credentials",
        session: "Session",
        greetings: list,
        context: "ssl.SSLContext",
        make_client: "type[MqttClient]",
        vigil: "Vigil",
    ) -> None:
        self._parts = parts
        self._session = session
        self._known = (parts, credentials, session, greetings, context, make_client)
        self._vigil = vigil
        self._address: tuple = ()
        self._retry_ms = _FIRST_RETRY_MS
        self.claims = credentials.fresh and parts.settings.claim_code is not None
        self.state = OFFLINE
        self.refused = False

    async def run(self) -> None:
        """For ever. What only connecting needs is in RAM until there is a connection.

        First a motor that turns is left to do so: resolving a name and TLS block the ESP32 for a second and more, in
        which nobody would see its coil come home. Without a connection no further vend can begin.
        """
        connecting = None
        while True:
            self._vigil.lives(LINK)
            await self._parts.dispenser.rest()
            if connecting is None:
                connecting = borrow("connecting").Connecting(self, *self._known)
            end = await connecting.round()
            if end == "again":
                continue
            if end != "later":
                connecting = None
                give_back("connecting", "greeting", "addresses", "handshake", "radio", "sockets")
                await self._keep_up(end)
            await self._wait()

    async def _keep_up(self, client: "MqttClient") -> None:
        """One connection to its end."""
        self.refused = False
        self.enter(ONLINE)
        online_ms = self._parts.clock.ms()
        try:
            while True:
                self._vigil.lives(LINK)
                await self._session.tend(client)
                if self._parts.clock.ms() - online_ms > _STEADY_MS:
                    self._retry_ms = _FIRST_RETRY_MS
        except (OSError, EOFError, asyncio.TimeoutError, MqttError) as error:
            self.warn_of(error)
        finally:
            await self.hang_up(client)

    async def _wait(self) -> None:
        wait_ms = self._retry_ms * (128 + os.urandom(1)[0] // 2) // 256
        longest_ms = _LONGEST_RETRY_REFUSED_MS if self.refused else _LONGEST_RETRY_MS
        self._retry_ms = min(2 * self._retry_ms, longest_ms)
        await asyncio.sleep(wait_ms / 1000)

    def begin(self, address: tuple) -> None:
        """A connection to this (host, port) is tried."""
        self._vigil.lives(LINK)
        self._address = address
        self.enter("connecting")

    def warn_of(self, error: Exception) -> None:
        """What the connection died of."""
        host, port = self._address
        warn("link_failed", state=self.state, host=host, port=port, error=str(error) or "timed out")

    async def hang_up(self, client: "MqttClient | None") -> None:
        """The connection is over, whether or not it came to a client."""
        self._session.close()
        if client is not None:
            await client.close()
        self.enter(OFFLINE)

    def enter(self, state: str) -> None:
        if state != self.state:
            self.state = state
            log("link_" + state)
