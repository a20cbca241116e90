"""POST and GET /v1/releases, DELETE /v1/releases/{digest}, PUT /v1/devices/{id}/release, PUT /v1/sites/{id}/release."""

from datetime import UTC, datetime
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from quart import Blueprint, Response, request

from cloud.bounded_app import deadline
from cloud.callers import Operator
from cloud.clock import Clock
from cloud.database import Database, Transaction
from cloud.errors import Refused
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.rollouts.rules import ReleaseRefused, read_release
from cloud.rollouts.service import ReleaseRow, assign, publish, releases, withdraw
from cloud.web import (
    answer,
    body_chunks,
    decode_cursor,
    encode_cursor,
    invalid,
    page_size,
    parse,
    read_message,
)
from shared.contract import Digest, Message
from shared.errors import Code
from shared.releases import ReleaseBundle

MAX_BUNDLE_BYTES = 3 * 1024 * 1024
"""The largest image in base64, and its signed text."""

log = structlog.get_logger()

UPLOAD_SECONDS = 90.0
"""For a whole release: the body has a shorter deadline of its own."""


class Published(Message):
    """What the release is known by."""

    digest: Digest


class ReleasePage(Message):
    """A page of releases, the newest first."""

    releases: tuple[ReleaseRow, ...]
    next_cursor: str | None


class AssignRelease(Message):
    """The release to run; null: keep what runs."""

    digest: Digest | None


class Assigned(Message):
    """Whom it was assigned to. Whether they run it is told by GET /v1/devices."""

    device_ids: tuple[UUID, ...]


class Withdrawn(Message):
    """Whom it was assigned to: they keep what they run."""

    device_ids: tuple[UUID, ...]


class RolloutRoutes:
    """What operators do with firmware. `keys` may sign releases."""

    def __init__(self, database: Database, clock: Clock, keys: dict[str, Ed25519PublicKey]) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("rollouts", __name__)
        routes.add_url_rule("/releases", view_func=self.publish, methods=["POST"])
        routes.add_url_rule("/releases", view_func=self.list_releases, methods=["GET"])
        routes.add_url_rule("/releases/<digest>", view_func=self.withdraw, methods=["DELETE"])
        routes.add_url_rule("/devices/<uuid:device_id>/release", view_func=self.assign_device, methods=["PUT"])
        routes.add_url_rule("/sites/<uuid:site_id>/release", view_func=self.assign_site, methods=["PUT"])
        return routes

    @operation(Permission.FIRMWARE_WRITE)
    @deadline(UPLOAD_SECONDS)
    async def publish(self) -> Response:
        """POST: a ReleaseBundle; 201, or 200 if it was published before."""
        operator = current_operator()
        if request.mimetype != "application/json":
            raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, "Send application/json.", status=415)
        bundle = parse(ReleaseBundle, b"".join([chunk async for chunk in body_chunks(MAX_BUNDLE_BYTES)]))
        try:
            release = read_release(bundle, self._keys)
        except ReleaseRefused as error:
            raise invalid("signed", str(error)) from error

        async def work(transaction: Transaction) -> bool:
            return await publish(transaction, operator, release)

        is_new = await self._database.unit("rollouts.publish", work, caller=operator)
        if is_new:
            log.info("release_published", digest=release.digest, version=release.manifest.version)
        return answer(Published(digest=release.digest), 201 if is_new else 200)

    @operation(Permission.FIRMWARE_READ)
    async def list_releases(self) -> Response:
        """GET ?limit=&cursor=."""
        operator = current_operator()
        limit, before = page_size(), (datetime(9999, 1, 1, tzinfo=UTC), "")
        if "cursor" in request.args:
            before = _position(*decode_cursor(request.args["cursor"], 2))

        async def work(transaction: Transaction) -> list[ReleaseRow]:
            return await releases(transaction, before, limit + 1)

        rows = await self._database.unit("rollouts.releases", work, caller=operator)
        shown = rows[:limit]
        more = encode_cursor([shown[-1].published_at.isoformat(), shown[-1].digest]) if len(rows) > limit else None
        return answer(ReleasePage(releases=tuple(shown), next_cursor=more))

    @operation(Permission.FIRMWARE_WRITE)
    async def withdraw(self, digest: str) -> Response:
        """DELETE: nobody shall run this release any more."""
        operator, now = current_operator(), self._clock.now()

        async def work(transaction: Transaction) -> list[UUID]:
            return await withdraw(transaction, operator, digest, now)

        concerned = await self._database.unit("rollouts.withdraw", work, caller=operator)
        log.info("release_withdrawn", digest=digest, device_ids=[str(device_id) for device_id in concerned])
        return answer(Withdrawn(device_ids=tuple(concerned)))

    @operation(Permission.FIRMWARE_WRITE)
    async def assign_device(self, device_id: UUID) -> Response:
        """PUT: have this device run a release."""
        operator = current_operator()
        return await self._assign(operator, device_id=device_id)

    @operation(Permission.FIRMWARE_WRITE)
    async def assign_site(self, site_id: UUID) -> Response:
        """PUT: have all devices of the site run a release, also those that are claimed there later."""
        operator = current_operator()
        return await self._assign(operator, site_id=site_id)

    async def _assign(
        self, operator: Operator, *, device_id: UUID | None = None, site_id: UUID | None = None
    ) -> Response:
        digest, now = (await read_message(AssignRelease)).digest, self._clock.now()

        async def work(transaction: Transaction) -> list[UUID]:
            return await assign(transaction, operator, digest, now, device_id=device_id, site_id=site_id)

        concerned = await self._database.unit("rollouts.assign", work, caller=operator)
        log.info("release_assigned", digest=digest, device_ids=[str(device_id) for device_id in concerned])
        return answer(Assigned(device_ids=tuple(concerned)))


def _position(published_at: str, digest: str) -> tuple[datetime, str]:
    try:
        at = datetime.fromisoformat(published_at)
    except ValueError as error:
        raise invalid("cursor", "is not one of ours") from error
    if at.tzinfo is None or not 1 < at.year < 9999:
        raise invalid("cursor", "is not one of ours")
    return at, digest
