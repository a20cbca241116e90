"""The doorbell: a WebSocket over which the cloud says "pull now" and nothing else. Deaf or gone, it costs only time."""

from collections.abc import Callable

import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidURI, WebSocketException

from edge.identity import GatewayIdentity
from edge.sync.trust import CloudTrust
from shared.sync import DOORBELL

PING_S = 20
OPEN_TIMEOUT_S = 10

log = structlog.get_logger()


class DoorbellGone(Exception):
    """The line is down. Connect again after a while."""


class Doorbell:
    """Listens at the cloud of `url` (http or https)."""

    def __init__(self, url: str, identity: GatewayIdentity, trust: CloudTrust) -> None:
        self._url = "ws" + url.removeprefix("http") + "/v1/sync/doorbell"
        self._identity = identity
        self._trust = trust

    async def listen(self, ring: Callable[[], None]) -> None:
        """Call `ring` once the line stands and at each ring. Never returns; raises DoorbellGone."""
        try:
            async with connect(
                self._url,
                ssl=self._trust.context() if self._url.startswith("wss:") else None,
                additional_headers={"Authorization": f"Bearer {self._identity.token()}"},
                open_timeout=OPEN_TIMEOUT_S,
                ping_interval=PING_S,
                ping_timeout=PING_S,
                close_timeout=1,
                compression=None,
                max_size=1024,
                max_queue=4,
            ) as socket:
                log.info("doorbell_connected")
                ring()
                async for word in socket:
                    if word == DOORBELL:
                        ring()
        except (OSError, TimeoutError, WebSocketException, InvalidHandshake, InvalidURI) as error:
            raise DoorbellGone(f"{type(error).__name__}: {error}") from error
        raise DoorbellGone("closed by the cloud")
