"""Sends one message to one URL: to an address that was checked, within a deadline, and follows nobody anywhere."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from time import monotonic
from typing import Any

import httpcore
from httpcore import SOCKET_OPTION

from cloud.clock import Clock
from cloud.scrubbing import scrubbed_text
from cloud.webhooks.destinations import Address, Allowed, Destination, Forbidden
from cloud.webhooks.rules import Answer, problem_of, retry_after

TOTAL_SECONDS = 15.0
PHASE_SECONDS = 5.0
"""For each of: the name, the connection, TLS, writing, and each piece of the answer."""
ANSWER_BYTES = 1024
"""So much of an answer is kept, and little more is read."""
_RESOLVING = 128
"""So many names are looked up at once, each of them once, in threads of their own: a dead name server keeps nothing
else waiting, and its names take no more threads than a business has endpoints."""

Resolver = Callable[[str], Awaitable[Sequence[Address]]]
"""All addresses of a name. Raises OSError."""


class SystemResolver:
    """Asks the system's."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVING, "webhook names")
        self._running: dict[str, asyncio.Future[Any]] = {}

    async def __call__(self, host: str) -> Sequence[Address]:
        """Raises OSError."""
        looking = self._running.get(host)
        if looking is None:
            look = partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
            looking = asyncio.get_running_loop().run_in_executor(self._threads, look)
            self._running[host] = looking
            looking.add_done_callback(partial(self._ended, host))
        found = await asyncio.shield(looking)
        return [ip_address(address[4][0]) for address in found]

    def _ended(self, host: str, looking: asyncio.Future[Any]) -> None:
        """Forget it. What it raised was told to those who still waited."""
        del self._running[host]
        if not looking.cancelled():
            looking.exception()


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to an address that may be reached, never to a name: between check and connection nothing is looked up.

    TLS and the header Host still speak of the name.
    """

    def __init__(self, allowed: Allowed, resolver: Resolver) -> None:
        self._allowed = allowed
        self._resolver = resolver
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  as httpcore has it
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises Forbidden, httpcore.ConnectError, httpcore.ConnectTimeout."""
        addresses = await self._addresses(host)
        self._allowed.require(addresses)
        failed: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in sorted(addresses, key=lambda address: address.version)[:2]:
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore.ConnectError

    async def _addresses(self, host: str) -> Sequence[Address]:
        try:
            return [ip_address(host)]
        except ValueError:
            pass
        try:
            async with asyncio.timeout(PHASE_SECONDS):
                return list(dict.fromkeys(await self._resolver(host)))
        except TimeoutError:
            raise httpcore.ConnectTimeout("its name was not found in time") from None
        except OSError as error:
            raise httpcore.ConnectError("its name was not found") from error


class Sender:
    """Posts bodies. `context` is TLS as clients speak it: certificates and names are checked."""

    def __init__(
        self,
        allowed: Allowed,
        clock: Clock,
        *,
        resolver: Resolver | None = None,
        context: ssl.SSLContext | None = None,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._allowed = allowed
        self._clock = clock
        self._backend = CheckedBackend(allowed, resolver or SystemResolver())
        self._context = context or ssl.create_default_context()
        self._total_seconds = total_seconds

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """What came of it. Every failure of the other side, or on the way there, is an answer too."""
        begun = monotonic()
        try:
            async with asyncio.timeout(self._total_seconds):
                answer = await self._post(self._allowed.destination(url), headers, body)
        except Forbidden as error:
            answer = Answer(None, f"not sent: the URL {error}")
        except (TimeoutError, httpcore.TimeoutException):
            answer = Answer(None, "no answer in time")
        except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as error:
            answer = Answer(None, f"no answer: {_said(error)}")
        return replace(answer, duration_ms=round(1000 * (monotonic() - begun)))

    async def _post(self, place: Destination, headers: dict[str, str], body: bytes) -> Answer:
        url = httpcore.URL(
            scheme=place.scheme.encode(), host=place.host.encode(), port=place.port, target=place.target.encode()
        )
        sent: list[tuple[bytes | str, bytes | str]] = [
            ("Host", place.authority),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
            ("Content-Length", str(len(body))),
            *headers.items(),
        ]
        phases = dict.fromkeys(("connect", "read", "write", "pool"), PHASE_SECONDS)
        connection = httpcore.AsyncHTTPConnection(
            url.origin, ssl_context=self._context, network_backend=self._backend, retries=0
        )
        async with (
            connection,
            connection.stream("POST", url, headers=sent, content=body, extensions={"timeout": phases}) as response,
        ):
            told = {name.lower(): value for name, value in response.headers}
            wished = retry_after(told.get(b"retry-after", b"").decode("latin-1"), self._clock.now())
            return Answer(response.status, problem_of(response.status), await _beginning(response), wished)


async def _beginning(response: httpcore.Response) -> str:
    """The first of a body. That it breaks off, or drips, changes nothing: the status was said."""
    read = bytearray()
    try:
        async with asyncio.timeout(PHASE_SECONDS):
            async for piece in response.aiter_stream():
                read += piece[: ANSWER_BYTES - len(read)]
                if len(read) >= ANSWER_BYTES:
                    break
    except (TimeoutError, httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        pass
    return scrubbed_text(read.decode(errors="replace")).replace("\0", "\ufffd")


def _said(error: Exception) -> str:
    return scrubbed_text(str(error) or type(error).__name__).replace("\0", "\ufffd")[:200]
