"""The cloud as the gateway sees it: six requests over HTTPS, each with a deadline, each failing in one of two ways."""

import asyncio
import gzip
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar
from uuid import UUID

import httpx
import structlog
from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr, ValidationError

from edge.clock import Clock
from edge.errors import Refused, Unavailable
from edge.identity import GatewayIdentity
from edge.sync.trust import CloudTrust
from shared.contract import ClockQuality, Version, Watermark
from shared.errors import Code, Problem
from shared.onboarding import ClaimGateway, GatewayClaimed
from shared.sync import MAX_BATCH_FACTS, Ack, RecalledHeader

MAX_ANSWER_BYTES = 16 * 1024 * 1024
MAX_PROBLEM_BYTES = 16 * 1024
CHUNK_BYTES = 64 * 1024
CLOCK_TOLERANCE_S = 2.0
CONNECT_TIMEOUT_S = 5.0
LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})

T = TypeVar("T", bound=BaseModel)
log = structlog.get_logger()


class CloudAway(Unavailable):
    """No answer that could be used: try again, not before `retry_after_s`.

    `silent`: the line stands, but nothing comes of it. Not so when the cloud cannot be reached or says it is busy.
    """

    def __init__(self, detail: str, *, retry_after_s: float = 0, silent: bool = False) -> None:
        super().__init__(Code.UNAVAILABLE, detail)
        self.retry_after_s = retry_after_s
        self.silent = silent


class CloudRefused(Refused):
    """The cloud understood and said no. The same request will not be granted by repeating it at once."""


class ReceivedChanges(BaseModel):
    """As `shared.sync.Changes`, but each body is still to be judged, so that one of a newer version blocks no other."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    cursor: Watermark
    full: bool
    more: bool
    changes: list[dict[str, JsonValue]] = Field(max_length=100_000)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    content: bytes = b""
    media_type: str = "application/json"
    authorised: bool = True


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes


class CloudClient:
    """Speaks to the cloud at `url`; no request lasts longer than `timeout_s`. Each may raise CloudAway or CloudRefused.

    It also sets the gateway's clock by the cloud's, at the first answer and whenever they differ by more than 2 s.
    """

    def __init__(self, url: str, identity: GatewayIdentity, clock: Clock, timeout_s: float, trust: CloudTrust) -> None:
        self._url = url
        self._trust = trust
        self._identity = identity
        self._clock = clock
        self._timeout_s = timeout_s
        self._http = self._connect()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def renew(self) -> None:
        """Leave all connections behind and begin with new ones."""
        old, self._http = self._http, self._connect()
        await old.aclose()

    async def claim(
        self, code: SecretStr, software: Version, ca_pem: str, gateway_id: UUID | None = None
    ) -> GatewayClaimed:
        """Register this gateway's key, and the site's CA, with a one-time code. Repeating it is safe.

        With `gateway_id` the code must be for that place.
        """
        wish = ClaimGateway(
            code=code.get_secret_value(),
            public_key=self._identity.public_key,
            software=software,
            ca_pem=ca_pem,
            gateway_id=gateway_id,
        )
        request = _Request("POST", "/v1/claim", wish.to_line(), authorised=False)
        return _parse(GatewayClaimed, await self._exchange(request))

    async def push_facts(self, batch: bytes) -> Ack:
        """Send a batch (NDJSON, see shared/sync.py); where the cloud stands now."""
        return _parse(Ack, await self._exchange(_Request("POST", "/v1/sync/facts", batch, "application/x-ndjson")))

    async def recall_facts(self, epoch: int, after: int, before_epoch: int) -> tuple[RecalledHeader, tuple[bytes, ...]]:
        """This gateway's own facts as the cloud has them: the next ones above (epoch, after), below `before_epoch`."""
        path = f"/v1/sync/facts?epoch={epoch}&after={after}&before_epoch={before_epoch}&limit={MAX_BATCH_FACTS}"
        first, *lines = (await self._exchange(_Request("GET", path))).removesuffix(b"\n").split(b"\n")
        header = _parse(RecalledHeader, first)
        if header.count != len(lines):
            raise CloudAway(f"{header.count} facts were announced, {len(lines)} came")
        return header, tuple(lines)

    async def push_telemetry(self, telemetry: bytes) -> None:
        """Send a `Telemetry` message."""
        await self._exchange(_Request("POST", "/v1/sync/telemetry", telemetry))

    async def pull_changes(self, cursor: int | None) -> ReceivedChanges:
        """What moved since `cursor`; None asks for the full state."""
        query = "" if cursor is None else f"?cursor={cursor}"
        return _parse(ReceivedChanges, await self._exchange(_Request("GET", f"/v1/sync/changes{query}")))

    async def file_from(self, sha256: str, offset: int) -> AsyncGenerator[bytes, None]:
        """A file of a release from that byte on, as it comes; the deadline is for each piece, not for the whole."""
        wanted = {"Range": f"bytes={offset}-", "Accept-Encoding": "identity"}
        headers = wanted | {"Authorization": f"Bearer {self._identity.token()}"}
        try:
            async with self._http.stream("GET", f"/v1/sync/files/{sha256}", headers=headers) as response:
                if response.status_code != HTTPStatus.PARTIAL_CONTENT:
                    self._identity.forget_token()
                    _accept(_Answer(response.status_code, response.headers, await _head_of(response)))
                    raise CloudAway("the file does not go on where it was cut")
                async for chunk in response.aiter_raw(CHUNK_BYTES):
                    yield chunk
        except (httpx.HTTPError, OSError) as error:
            raise CloudAway(f"{type(error).__name__}: {error}") from error

    def _connect(self) -> httpx.AsyncClient:
        timeout = httpx.Timeout(self._timeout_s, connect=min(CONNECT_TIMEOUT_S, self._timeout_s))
        limits = httpx.Limits(max_connections=4, max_keepalive_connections=2, keepalive_expiry=60)
        return httpx.AsyncClient(base_url=self._url, timeout=timeout, limits=limits, verify=self._trust.context())

    async def _exchange(self, request: _Request) -> bytes:
        answer = await self._send(request)
        if answer.status == HTTPStatus.UNAUTHORIZED and request.authorised:
            # The token may be out of its time because our clock was: by now the answer's date has set it.
            self._identity.forget_token()
            answer = await self._send(request)
        return _accept(answer)

    async def _send(self, request: _Request) -> _Answer:
        headers = {"Content-Type": request.media_type, "Accept": "application/json"} if request.content else {}
        if request.authorised:
            headers["Authorization"] = f"Bearer {self._identity.token()}"
        content = request.content
        if len(content) > 1024:
            headers["Content-Encoding"] = "gzip"
            content = await asyncio.to_thread(gzip.compress, content, 6)
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._receive(request, headers, content)
        except TimeoutError as error:
            raise CloudAway(f"no answer within {self._timeout_s:g} s", silent=True) from error
        except httpx.ConnectTimeout as error:
            raise CloudAway("cannot connect: timed out") from error
        except httpx.TimeoutException as error:
            raise CloudAway(f"no answer within {self._timeout_s:g} s", silent=True) from error
        except (httpx.HTTPError, OSError) as error:
            if self._trust.doubts_clock(error):
                await self.renew()
            raise CloudAway(f"{type(error).__name__}: {error}") from error
        self._set_clock(answer.headers, self._clock.monotonic() - started)
        return answer

    async def _receive(self, request: _Request, headers: dict[str, str], content: bytes) -> _Answer:
        async with self._http.stream(request.method, request.path, headers=headers, content=content) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise CloudAway("the answer is too large")
            return _Answer(response.status_code, response.headers, bytes(body))

    def _set_clock(self, headers: httpx.Headers, round_trip_s: float) -> None:
        told = _date(headers)
        if told is None:
            return
        offset = told + timedelta(seconds=round_trip_s / 2) - self._clock.now()
        if abs(offset.total_seconds()) > CLOCK_TOLERANCE_S + round_trip_s / 2:
            self._clock.learn(told, round_trip_s)
            self._identity.forget_token()
            log.info("clock_set", offset_s=round(offset.total_seconds(), 1))
        elif self._clock.quality is not ClockQuality.SYNCED:
            # Ours is right, and finer than the header's seconds.
            self._clock.learn(self._clock.now(), 0)


async def _head_of(response: httpx.Response) -> bytes:
    """What an answer that is no file says, as far as it matters."""
    async for chunk in response.aiter_bytes(MAX_PROBLEM_BYTES):
        return chunk
    return b""


def _date(headers: httpx.Headers) -> datetime | None:
    """The middle of the second that the one Date header names."""
    told = headers.get_list("date")
    try:
        date = parsedate_to_datetime(told[0]) if len(told) == 1 else None
    except ValueError:
        return None
    # A date without a zone is nobody's time.
    return date + timedelta(milliseconds=500) if date is not None and date.tzinfo is not None else None


def _accept(answer: _Answer) -> bytes:
    if HTTPStatus(200) <= answer.status < HTTPStatus(300):
        return answer.body
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in LATER:
        raise CloudAway(f"HTTP {answer.status}", retry_after_s=_retry_after(answer.headers))
    try:
        problem = Problem.model_validate_json(answer.body)
    except ValidationError:
        # Not our cloud's words: a captive portal, a proxy, a wrong address.
        raise CloudAway(f"HTTP {answer.status} from something that is not Larder's cloud") from None
    raise CloudRefused(problem.code, problem.detail)


def _retry_after(headers: httpx.Headers) -> float:
    try:
        return min(max(float(headers.get("retry-after", "0")), 0.0), 300.0)
    except ValueError:
        return 0.0


def _parse(model: type[T], body: bytes) -> T:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CloudAway(f"an answer that is no {model.__name__}: {where} {first['msg']}") from None
