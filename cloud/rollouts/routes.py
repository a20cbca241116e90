"""POST and GET /v1/releases, DELETE /v1/releases/{digest}, PUT /v1/devices/{id}/release, PUT /v1/sites/{id}/release."""

from functools import partial
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from quart import Blueprint, Response

from cloud.bounded_app import deadline
from cloud.clock import Clock
from cloud.database import Database
from cloud.errors import NotFound
from cloud.lists import answer_page
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.rollouts.rules import ReleaseRefused, read_release
from cloud.rollouts.service import ReleasePage, ReleaseQuery, assign, publish, release_page, withdraw
from cloud.web import answer, invalid, is_digest
from shared.contract import Digest, Message
from shared.releases import ReleaseBundle

MAX_BUNDLE_BYTES = 3 * 1024 * 1024
"""The largest image in base64, and its signed text."""

log = structlog.get_logger()

UPLOAD_SECONDS = 90.0
"""For a whole release: the body has a shorter deadline of its own."""


class Published(Message):
    """What the release is known by."""

    digest: Digest


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

    @operation(
        Permission.FIRMWARE_WRITE,
        summary="Publish a release",
        answers={201: Published, 200: Published},
        body_limit=MAX_BUNDLE_BYTES,
    )
    @deadline(UPLOAD_SECONDS)
    async def publish(self, body: ReleaseBundle) -> Response:
        """A signed release with its files. 200 if it was published before."""
        operator = current_operator()
        try:
            release = read_release(body, self._keys)
        except ReleaseRefused as error:
            raise invalid("signed", str(error)) from error
        work = partial(publish, operator=operator, release=release)
        is_new = await self._database.unit("rollouts.publish", work, caller=operator)
        if is_new:
            log.info("release_published", digest=release.digest, version=release.manifest.version)
        return answer(Published(digest=release.digest), 201 if is_new else 200)

    @operation(Permission.FIRMWARE_READ, summary="List releases", answers={200: ReleasePage})
    async def list_releases(self, query: ReleaseQuery) -> Response:
        """All releases, the newest first, also those that were withdrawn."""
        page = await self._database.unit(
            "rollouts.releases", partial(release_page, query=query), caller=current_operator()
        )
        return answer_page(page, query)

    @operation(Permission.FIRMWARE_WRITE, summary="Withdraw a release", answers={200: Withdrawn})
    async def withdraw(self, digest: str) -> Response:
        """Nobody shall run this release any more. Its files go, its record stays, and whoever runs it keeps it."""
        if not is_digest(digest):
            raise NotFound
        operator = current_operator()
        work = partial(withdraw, operator=operator, digest=digest, now=self._clock.now())
        concerned = await self._database.unit("rollouts.withdraw", work, caller=operator)
        log.info("release_withdrawn", digest=digest, device_ids=[str(device_id) for device_id in concerned])
        return answer(Withdrawn(device_ids=tuple(concerned)))

    @operation(Permission.FIRMWARE_WRITE, summary="Assign a release to a device", answers={200: Assigned})
    async def assign_device(self, device_id: UUID, body: AssignRelease) -> Response:
        """Have this device run a release, or keep what it runs."""
        return await self._assign(body, device_id=device_id)

    @operation(Permission.FIRMWARE_WRITE, summary="Assign a release to a site", answers={200: Assigned})
    async def assign_site(self, site_id: UUID, body: AssignRelease) -> Response:
        """Have all devices of the site run a release, also those that are claimed there later."""
        return await self._assign(body, site_id=site_id)

    async def _assign(
        self, wish: AssignRelease, *, device_id: UUID | None = None, site_id: UUID | None = None
    ) -> Response:
        operator, now = current_operator(), self._clock.now()
        work = partial(assign, operator=operator, digest=wish.digest, now=now, device_id=device_id, site_id=site_id)
        concerned = await self._database.unit("rollouts.assign", work, caller=operator)
        log.info("release_assigned", digest=wish.digest, device_ids=[str(device_id) for device_id in concerned])
        return answer(Assigned(device_ids=tuple(concerned)))
