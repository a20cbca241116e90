"""Where gateways push facts and telemetry, pull changes, and hang on the doorbell."""

import asyncio
import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

from pydantic import Field
from quart import Blueprint, Response, request, websocket

from cloud.auth.service import AuthService, GatewayCaller
from cloud.bounded_app import deadline
from cloud.database import Database, Transaction
from cloud.devices import service as devices
from cloud.encryption.keyring import Keyring
from cloud.errors import NotFound, Refused, Unauthenticated
from cloud.failpoints import Failpoints
from cloud.health import service as health
from cloud.operations import Access, Raw, operation
from cloud.rollouts import service as rollouts
from cloud.sync.changes import ChangeFeed
from cloud.sync.ingest import Ingest
from cloud.sync.recall import Recall, Wanted
from cloud.sync.rules import BatchMalformed, BatchTooLarge, gunzip, read_batch
from cloud.throttle import Throttle
from cloud.watch import Flag, Watch, set_within
from cloud.web import answer, bearer, body_chunks, is_digest, parse
from shared.contract import Message
from shared.errors import Code
from shared.sync import DOORBELL, MAX_BATCH_BYTES, MAX_BATCH_FACTS, Ack, Changes, Telemetry

_FACT = (
    '{"seq":53,"at":"2026-03-01T09:30:00Z","mono_ms":81234,"boot_id":"0190a3c2-0000-7d4f-9a60-2f1b7c9e0d15",'
    '"clock":"synced","body":{"event":"stock_moved","movement_id":"0190a3c2-5b1e-7d4f-9a60-2f1b7c9e0d13",'
    '"machine_id":"0190a000-0000-7000-8000-0000000000a1","slot":"A1","delta":8,"reason":"restock","vend_id":null}}\n'
)
_NDJSON = "application/x-ndjson"
BATCH = Raw(
    "A header line, then facts, one a line (shared/sync.py).",
    (_NDJSON,),
    example=f'{{"v":1,"epoch":1,"first_seq":53,"count":1,"previous":"{"0f" * 32}"}}\n{_FACT}',
)
RECALLED = Raw(
    "A header line, then facts, one a line (shared/sync.py).",
    (_NDJSON,),
    example=f'{{"v":1,"epoch":1,"count":1,"more":false}}\n{_FACT}',
)
TELEMETRY = Raw("A Telemetry message (shared/sync.py).", ("application/json",), example='{"v":1,"samples":[]}')
FILE = Raw("The file, or its rest.", ("application/octet-stream",))
EpochOrNone = Annotated[int, Field(ge=0, lt=2**31)]
RANGE = re.compile(r"bytes=([0-9]{1,9})-")

LONG_SECONDS = 60.0
"""For what is large, or comes over a slow line."""
TRUST_SECONDS = 30.0
"""How long a doorbell rings on without asking whether its gateway is still trusted."""


class ChangesQuery(Message):
    """From where on."""

    cursor: Annotated[int, Field(ge=0, lt=10**16)] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 200


class RecallQuery(Message):
    """The caller's facts above (`epoch`, `after`) and below `before_epoch`."""

    epoch: EpochOrNone
    after: Annotated[int, Field(ge=0, lt=10**16)]
    before_epoch: EpochOrNone
    limit: Annotated[int, Field(ge=1, le=MAX_BATCH_FACTS)] = MAX_BATCH_FACTS


class SyncRoutes:
    """The gateway's side of the API."""

    def __init__(
        self,
        database: Database,
        auth: AuthService,
        throttle: Throttle,
        watch: Watch,
        failpoints: Failpoints,
        draining: asyncio.Event,
        keyring: Keyring,
    ) -> None:
        self._database = database
        self._auth = auth
        self._throttle = throttle
        self._watch = watch
        self._failpoints = failpoints
        self._draining = draining
        self._ingest = Ingest(database)
        self._feed = ChangeFeed(database, keyring)
        self._recall = Recall(database)
        self._doorbells: dict[UUID, Flag] = {}
        self._ending: asyncio.Task[None] | None = None

    def blueprint(self) -> Blueprint:
        """All routes under /sync."""
        routes = Blueprint("sync", __name__, url_prefix="/sync")
        routes.add_url_rule("/facts", view_func=self.facts, methods=["POST"])
        routes.add_url_rule("/facts", view_func=self.told, methods=["GET"])
        routes.add_url_rule("/telemetry", view_func=self.telemetry, methods=["POST"])
        routes.add_url_rule("/changes", view_func=self.changes, methods=["GET"])
        routes.add_url_rule("/files/<sha256>", view_func=self.file, methods=["GET"])
        routes.add_websocket("/doorbell", view_func=self.doorbell)
        routes.before_app_serving(self._begin)
        routes.after_app_serving(self._end)
        return routes

    async def _begin(self) -> None:
        self._ending = asyncio.create_task(self._end_doorbells(), name="doorbells end")

    async def _end(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            await asyncio.wait([self._ending])

    async def _end_doorbells(self) -> None:
        """Once we are draining. One task for all: thousands of doorbells need not wait for it each."""
        await self._draining.wait()
        for ended in self._doorbells.values():
            ended.set()

    @operation(
        Access.GATEWAY,
        summary="Push facts",
        takes=BATCH,
        body_limit=MAX_BATCH_BYTES,
        answers={200: Ack},
        problems=(Code.UNKNOWN_VERSION, Code.FACT_CONFLICT, Code.EPOCH_SUPERSEDED, Code.CHAIN_BROKEN),
    )
    @deadline(None)
    async def facts(self) -> Response:
        """A batch of facts, acknowledged once they have taken effect. It may be compressed with gzip."""
        caller = await self._auth.gateway_by_known_token(bearer())
        await self._throttle.gateway(caller.gateway_id)
        try:
            ack = await self._ingest.take(caller, read_batch(await _body("application/x-ndjson")))
        except BatchMalformed as error:
            raise Refused(Code.MALFORMED_BODY, f"This is no batch: {error}.", status=400) from error
        self._failpoints.hit("sync.facts.before_reply")
        return answer(ack)

    async def _caller(self) -> GatewayCaller:
        caller = await self._auth.gateway(bearer())
        await self._throttle.gateway(caller.gateway_id)
        return caller

    @operation(Access.GATEWAY, summary="Recall facts", answers={200: RECALLED})
    @deadline(LONG_SECONDS)
    async def told(self, query: RecallQuery) -> Response:
        """The caller's own facts, for a ledger that has lost them. Compressed with gzip."""
        caller = await self._caller()
        wanted = Wanted(query.epoch, query.after, query.before_epoch, query.limit)
        text = await self._recall.told(caller, wanted)
        packed = await asyncio.to_thread(gzip.compress, text, 6)
        return Response(packed, content_type="application/x-ndjson", headers={"Content-Encoding": "gzip"})

    @operation(
        Access.GATEWAY,
        summary="Push telemetry",
        takes=TELEMETRY,
        body_limit=MAX_BATCH_BYTES,
        answers={204: None},
        problems=(Code.UNKNOWN_VERSION,),
    )
    @deadline(LONG_SECONDS)
    async def telemetry(self) -> Response:
        """The newest health samples; nothing is promised about them. They may be compressed with gzip."""
        caller = await self._caller()
        samples = parse(Telemetry, await _body("application/json")).samples

        async def work(transaction: Transaction) -> None:
            await devices.record_health(transaction, caller.tenant_id, caller.site_id, samples)
            await health.record(transaction, caller.tenant_id, caller.site_id, samples)

        await self._database.unit("sync.telemetry", work, tenant_id=caller.tenant_id)
        self._failpoints.hit("sync.telemetry.before_reply")
        return Response(status=204)

    @operation(Access.GATEWAY, summary="Pull changes", answers={200: Changes})
    async def changes(self, query: ChangesQuery) -> Response:
        """What moved since the cursor; without one, or with one too old, the whole state."""
        caller = await self._caller()
        return answer(await self._feed.since(caller, query.cursor, query.limit))

    @operation(
        Access.GATEWAY,
        summary="Fetch a file of a release",
        answers={200: FILE, 206: FILE},
        problems=(Code.RANGE_NOT_SATISFIABLE,),
    )
    @deadline(LONG_SECONDS)
    async def file(self, sha256: str) -> Response:
        """A file by its SHA-256; with `Range: bytes=N-` its rest from byte N on, as 206."""
        caller = await self._caller()
        if not is_digest(sha256):
            raise NotFound
        wanted = RANGE.fullmatch(request.headers.get("Range", "bytes=0-"))
        if wanted is None:
            raise Refused(Code.RANGE_NOT_SATISFIABLE, "Ask for bytes=N-.", status=416)
        offset = int(wanted[1])

        async def work(transaction: Transaction) -> tuple[bytes, int] | None:
            return await rollouts.file_from(transaction, sha256, offset)

        found = await self._database.unit("sync.file", work, tenant_id=caller.tenant_id)
        if found is None:
            raise NotFound
        rest, size = found
        if offset and not rest:
            raise Refused(Code.RANGE_NOT_SATISFIABLE, f"It has {size} bytes.", status=416)
        headers = {"Content-Range": f"bytes {offset}-{size - 1}/{size}"} if "Range" in request.headers else {}
        return Response(rest, status=206 if headers else 200, content_type="application/octet-stream", headers=headers)

    @operation(Access.GATEWAY)
    async def doorbell(self) -> None:
        """WebSocket: "pull" now and whenever something of the site has changed. A gateway has one, the newest.

        Hangs up on a revoked gateway, and on one that says anything: there is nothing to say.
        """
        caller = await self._auth.gateway(_websocket_bearer())
        await self._throttle.gateway(caller.gateway_id)
        await websocket.accept()
        wake = asyncio.Event()
        with self._only_one(caller.gateway_id, Flag(wake)) as ended:
            listening = asyncio.create_task(_hear(ended), name="doorbell hears")
            try:
                await self._ring(caller, ended, wake)
            finally:
                listening.cancel()
        if self._draining.is_set():
            await websocket.close(1001, "going away")
        else:
            await websocket.close(1008, "revoked, replaced, or spoken to")

    @contextmanager
    def _only_one(self, gateway_id: UUID, ended: Flag) -> Iterator[Flag]:
        """`ended` is set when this doorbell has to end. It ends the gateway's older one."""
        if older := self._doorbells.get(gateway_id):
            older.set()
        self._doorbells[gateway_id] = ended
        try:
            yield ended
        finally:
            if self._doorbells[gateway_id] is ended:
                del self._doorbells[gateway_id]

    async def _ring(self, caller: GatewayCaller, ended: Flag, wake: asyncio.Event) -> None:
        """Returns when draining, when `ended`, or when the gateway is no longer trusted. All flags set `wake`."""
        site, gateway = ("site", caller.site_id, wake), ("gateway", caller.gateway_id, wake)
        with self._watch.flag(*site) as moved, self._watch.flag(*gateway) as touched:
            moved.set()
            is_time = False
            while True:
                wake.clear()  # before we look: what is set from here on is seen next
                if self._draining.is_set() or ended.is_set():
                    return
                if touched.is_set() or is_time:
                    touched.clear()
                    if not await self._auth.still_trusted(caller):
                        return
                if moved.is_set():
                    moved.clear()
                    await websocket.send(DOORBELL)
                is_time = not await set_within(wake, TRUST_SECONDS)


async def _hear(ended: Flag) -> None:
    await websocket.receive()
    ended.set()


async def _body(media_type: str) -> bytes:
    """The request's body of that type, decompressed within bounds. Raises Refused."""
    if request.mimetype != media_type:
        raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, f"Send {media_type}.", status=415)
    encoding = request.headers.get("Content-Encoding", "identity")
    body = b"".join([chunk async for chunk in body_chunks(MAX_BATCH_BYTES)])
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, "Send gzip or identity.", status=415)
    try:
        return gunzip(body)
    except BatchTooLarge as error:
        raise Refused(Code.TOO_LARGE, f"At most {MAX_BATCH_BYTES} bytes, decompressed.", status=413) from error
    except BatchMalformed as error:
        raise Refused(Code.MALFORMED_BODY, f"This cannot be decompressed: {error}.", status=400) from error


def _websocket_bearer() -> str:
    scheme, _, token = websocket.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send Authorization: Bearer.")
    return token
