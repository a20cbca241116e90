"""From no connection to one over which the gateway was greeted. In RAM only for as long as that takes (link.py)."""

import asyncio

from . import TYPE_CHECKING, const
from .addresses import Addresses
from .borrowed import borrow, give_back
from .greeting import greet
from .log import log, warn
from .mqtt import MqttError, Refused
from .sockets import SERVER_NAME

if TYPE_CHECKING:
    import ssl

    from .credentials import Credentials
    from .errands import Parts
    from .link import Link
    from .mqtt import MqttClient
    from .session import Session

_OPEN_S = const(6)
_UNREACHED = const("unreached")
"""How a try ended: no gateway there, try the next address;"""
AGAIN = "again"
"""connect again at once;"""
LATER = "later"
"""connect again after a wait; else it is the client."""


class Connecting:
    """For as many rounds as it takes. `greetings` is as greeting.py has it, the rest as in app.py."""

    def __init__(
        self,
        link: "Link",
        parts: "Parts",
        credentials: "Credentials",
        session: "Session",
        greetings: list,
        context: "ssl.SSLContext",
        make_client: "type[MqttClient]",
    ) -> None:
        self._link = link
        self._parts = parts
        self._credentials = credentials
        self._session = session
        self._greetings = greetings
        self._context = context
        self._make_client = make_client
        self._addresses = Addresses(parts.settings, parts.board, parts.flash, parts.clock)

    async def round(self) -> "MqttClient | str":
        """Try every address there is until a gateway answers: an open client, AGAIN or LATER."""
        try:
            await self._parts.board.join_network()
        except OSError as error:
            warn("network_unavailable", error=str(error))
            return LATER
        tried: list = []
        for name, find in self._addresses.sources():
            for address in await find():
                if address in tried:
                    continue
                tried.append(address)
                log("gateway_tried", found_by=name, host=address[0], port=address[1])
                end = await self._try(address)
                if end != _UNREACHED:
                    return end
        return LATER

    async def _try(self, address: tuple) -> "MqttClient | str":
        link, client = self._link, None
        end: "MqttClient | str" = _UNREACHED
        link.begin(address)
        try:
            client = await self._open(address)
            if link.claims:
                await self._claim(client)
                self._addresses.remember(address)
                end = AGAIN
            else:
                await client.connect(self._parts.settings.device_id, self._credentials.token)
                self._addresses.remember(address)
                await greet(self._session, client, self._parts, self._greetings)
                end = client
        except Refused:
            end = self._refused()
        except (OSError, EOFError, asyncio.TimeoutError, MqttError) as error:
            link.warn_of(error)
        finally:
            if end is not client:
                await link.hang_up(client)
        return end

    async def _open(self, address: tuple) -> "MqttClient":
        parts = self._parts
        opening = parts.board.open_stream(address[0], address[1], self._context, SERVER_NAME)
        reader, writer = await asyncio.wait_for(opening, _OPEN_S)
        return self._make_client(reader, writer, parts.clock)

    async def _claim(self, client: "MqttClient") -> None:
        self._link.enter("claiming")
        settings = self._parts.settings
        await client.connect(settings.device_id, "claim:" + settings.claim_code)
        try:
            await borrow("claim").claim(self._session, client, self._credentials, self._parts.clock)
        finally:
            give_back("claim")
        self._link.claims = False

    def _refused(self) -> str:
        """Token and claim code take turns, so that a device whose claim was answered into the void gets in by token."""
        link = self._link
        warn("claim_refused" if link.claims else "login_refused")
        link.refused = True
        link.claims = not link.claims and self._parts.settings.claim_code is not None
        return AGAIN if link.claims else LATER
