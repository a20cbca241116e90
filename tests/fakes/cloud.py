"""A small cloud for edge tests: it speaks claim and sync over real HTTP, keeps all in memory, and can misbehave."""

import asyncio
import gzip
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import OKPKey
from quart import Quart, Response, request, websocket

from edge.clock import new_id
from edge.kiosk.server import bind, serve
from shared.contract import Message
from shared.errors import Code, Problem
from shared.onboarding import ClaimGateway, GatewayClaimed
from shared.sync import CHAIN_START, DOORBELL, MAX_BATCH_BYTES, Ack, BatchHeader, RecalledHeader, Telemetry, link

CODE = "fake-cloud-claim-code-0123456789"


class Fault(StrEnum):
    """What the next request meets."""

    DOWN = "down"
    """503 before anything is done."""
    BUSY = "busy"
    """429 with Retry-After."""
    HANG = "hang"
    """No answer for as long as the test lasts."""
    STUCK = "stuck"
    """Facts are answered with where the cloud stood before."""
    GIBBERISH = "gibberish"
    """200 with a body that is no answer."""


@dataclass
class FakeCloud:
    """The state of the fake. `faults` is what the coming requests meet, one each; change anything else at will."""

    code: str = CODE
    tenant_id: UUID = field(default_factory=new_id)
    gateway_id: UUID = field(default_factory=new_id)
    faults: deque[Fault | None] = field(default_factory=deque)
    clock_offset: timedelta = timedelta()
    revoked: bool = False
    refuse_claim: Code | None = None
    public_key: str | None = None
    epoch: int = 0
    facts: dict[int, list[bytes]] = field(default_factory=dict)
    chain: bytes = CHAIN_START
    telemetry: list[Telemetry] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    page: int = 500
    """So many facts it tells again at once."""
    files: dict[str, bytes] = field(default_factory=dict)
    """By SHA-256."""
    file_bytes: int = 2**30
    """So much of a file it tells at once, whatever was asked for."""
    ranges: list[str] = field(default_factory=list)
    """What was asked for of files."""
    requests: list[str] = field(default_factory=list)
    doorbells: set[asyncio.Queue[str]] = field(default_factory=set)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    def now(self) -> datetime:
        return datetime.now(UTC) + self.clock_offset

    @property
    def lines(self) -> list[bytes]:
        """All facts of all epochs, in order."""
        return [line for epoch in sorted(self.facts) for line in self.facts[epoch]]

    def change(self, *bodies: Message) -> None:
        """Something moved: remember it and ring."""
        self.changes += [body.model_dump(mode="json") for body in bodies]
        self.ring()

    def ring(self) -> None:
        for doorbell in self.doorbells:
            doorbell.put_nowait(DOORBELL)

    def ack(self) -> Ack:
        return Ack(epoch=self.epoch, seq=len(self.facts.get(self.epoch, [])), chain=self.chain.hex())

    def ingest(self, body: bytes) -> Ack | Code:
        """Take a batch as the real cloud does: check the chain, refuse gaps, meet repeats with where we stand."""
        first, *lines = body.rstrip(b"\n").split(b"\n")
        header = BatchHeader.model_validate_json(first)
        assert header.count == len(lines)
        if header.epoch < self.epoch:
            return Code.EPOCH_SUPERSEDED
        if header.epoch > self.epoch:
            if header.first_seq > 1:
                return Ack(epoch=header.epoch, seq=0, chain=CHAIN_START.hex())
            self.epoch, self.chain = header.epoch, CHAIN_START
        taken = self.facts.setdefault(self.epoch, [])
        if header.first_seq > len(taken) + 1:
            return self.ack()
        if header.first_seq == len(taken) + 1 and header.previous != self.chain.hex():
            return Code.CHAIN_BROKEN
        repeated = taken[header.first_seq - 1 :]
        if any(mine != theirs for mine, theirs in zip(repeated, lines, strict=False)):
            return Code.FACT_CONFLICT
        for line in lines[len(repeated) :]:
            self.chain = link(self.chain, line)
            taken.append(line)
        return self.ack()

    def told(self, epoch: int, after: int, before: int, limit: int) -> tuple[RecalledHeader, list[bytes]]:
        """The next facts above (epoch, after), below epoch `before`."""
        found = [
            (number, line)
            for number, lines in sorted(self.facts.items())
            for seq, line in enumerate(lines, 1)
            if (number, seq) > (epoch, after) and number < before
        ]
        first = found[0][0] if found else 0
        lines = [line for number, line in found if number == first][: min(limit, self.page)]
        return RecalledHeader(epoch=first, count=len(lines), more=len(found) > len(lines)), lines


@asynccontextmanager
async def running(cloud: FakeCloud, port: int = 0) -> AsyncIterator[FakeCloud]:
    """Serve the fake on loopback; `cloud.url` says where."""
    listener = bind("127.0.0.1", port)
    cloud.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    stop = asyncio.Event()
    server = asyncio.create_task(serve(build(cloud), listener, stop), name="fake-cloud")
    try:
        yield cloud
    finally:
        stop.set()
        cloud.released.set()
        for doorbell in cloud.doorbells:
            doorbell.put_nowait("")
        await server


def build(cloud: FakeCloud) -> Quart:
    """The HTTP face of the fake."""
    app = Quart("fake_cloud")
    _add_checks(app, cloud)
    _add_claim(app, cloud)
    _add_sync(app, cloud)
    _add_doorbell(app, cloud)
    return app


def _add_checks(app: Quart, cloud: FakeCloud) -> None:
    @app.before_request
    async def check() -> Response | None:
        cloud.requests.append(f"{request.method} {request.path}")
        if request.path == "/v1/claim":
            return None
        if refusal := why_unauthenticated(cloud, request.headers.get("Authorization", "")):
            return problem(401, refusal)
        return await _meet(cloud.faults.popleft() if cloud.faults else None, cloud)

    @app.after_request
    async def tell_time(response: Response) -> Response:
        response.headers["Date"] = format_datetime(cloud.now(), usegmt=True)
        return response


async def _meet(fault: Fault | None, cloud: FakeCloud) -> Response | None:
    if fault is Fault.DOWN:
        return problem(503, Code.UNAVAILABLE)
    if fault is Fault.BUSY:
        return problem(429, Code.TOO_MANY_REQUESTS, {"Retry-After": "1"})
    if fault is Fault.HANG:
        await cloud.released.wait()
    if fault is Fault.GIBBERISH:
        return Response("<h1>Welcome to this hotel</h1>", content_type="text/html")
    if fault is Fault.STUCK and request.path == "/v1/sync/facts":
        return answer(cloud.ack())
    return None


def _add_claim(app: Quart, cloud: FakeCloud) -> None:
    @app.post("/v1/claim")
    async def claim() -> Response:
        wish = ClaimGateway.model_validate_json(await request.get_data())
        if cloud.refuse_claim:
            return problem(403, cloud.refuse_claim)
        if wish.code != cloud.code:
            return problem(403, Code.CLAIM_CODE_UNKNOWN)
        if cloud.public_key not in {None, wish.public_key}:
            return problem(403, Code.CLAIM_CODE_USED)
        cloud.public_key = wish.public_key
        return answer(
            GatewayClaimed(
                gateway_id=cloud.gateway_id,
                tenant_id=cloud.tenant_id,
                site_id=cloud.gateway_id,
                site_name="Hall",
                currency="INR",
                server_time=cloud.now(),
            )
        )


def _add_sync(app: Quart, cloud: FakeCloud) -> None:
    @app.post("/v1/sync/facts")
    async def facts() -> Response:
        result = cloud.ingest(await received())
        return answer(result) if isinstance(result, Ack) else problem(409, result)

    @app.get("/v1/sync/facts")
    async def told() -> Response:
        wanted = (int(request.args[name]) for name in ("epoch", "after", "before_epoch", "limit"))
        header, lines = cloud.told(*wanted)
        return Response(b"".join(line + b"\n" for line in (header.to_line(), *lines)))

    @app.post("/v1/sync/telemetry")
    async def telemetry() -> Response:
        cloud.telemetry.append(Telemetry.model_validate_json(await received()))
        return Response(status=204)

    @app.get("/v1/sync/files/<sha256>")
    async def file(sha256: str) -> Response:
        cloud.ranges.append(request.headers["Range"])
        if sha256 not in cloud.files:
            return problem(404, Code.NOT_FOUND)
        offset = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        return Response(cloud.files[sha256][offset:][: cloud.file_bytes], status=206)

    @app.get("/v1/sync/changes")
    async def changes() -> Response:
        cursor = request.args.get("cursor", type=int)
        since, total = cursor or 0, len(cloud.changes)
        upto = min(since + 50, total)
        envelope = {"cursor": upto, "full": cursor is None, "more": upto < total, "changes": cloud.changes[since:upto]}
        return Response(json.dumps(envelope), content_type="application/json")


def _add_doorbell(app: Quart, cloud: FakeCloud) -> None:
    @app.websocket("/v1/sync/doorbell")
    async def doorbell() -> tuple[str, int] | None:
        if why_unauthenticated(cloud, websocket.headers.get("Authorization", "")):
            return "", 401
        await websocket.accept()
        words: asyncio.Queue[str] = asyncio.Queue(maxsize=100)
        cloud.doorbells.add(words)
        try:
            while word := await words.get():
                await websocket.send(word)
        finally:
            cloud.doorbells.discard(words)
        return None


def why_unauthenticated(cloud: FakeCloud, header: str) -> Code | None:
    if cloud.revoked:
        return Code.GATEWAY_REVOKED
    if cloud.public_key is None or not header:
        return Code.UNAUTHENTICATED
    token = jwt.decode(header.removeprefix("Bearer "), _key(cloud.public_key), algorithms=["Ed25519"])
    in_time = token.claims["iat"] - 60 <= cloud.now().timestamp() <= token.claims["exp"] + 60
    ours = (token.claims["iss"], token.claims["tenant"]) == (str(cloud.gateway_id), str(cloud.tenant_id))
    return None if in_time and ours else Code.UNAUTHENTICATED


def _key(public_key: str) -> OKPKey:
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
    return OKPKey.import_key(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


async def received() -> bytes:
    body = await request.get_data(as_text=False)
    assert isinstance(body, bytes)
    if request.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    assert len(body) <= MAX_BATCH_BYTES
    return body


def answer(message: Message) -> Response:
    return Response(message.to_line(), content_type="application/json")


def problem(status: int, code: Code, headers: dict[str, str] | None = None) -> Response:
    body = Problem(title=code, status=status, code=code, detail=f"fake: {code}", request_id="fake")
    return Response(body.to_line(), status=status, headers=headers, content_type="application/problem+json")
