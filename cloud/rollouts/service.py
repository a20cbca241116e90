"""Releases: published once, assigned to devices, fetched by gateways; and what devices make of them.

What a device runs is what it says, never what it was assigned.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import structlog

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.callers import Operator
from cloud.clock import new_id
from cloud.database import Row, Transaction, columns
from cloud.errors import FactRefused, NotFound, Refused
from cloud.lists import Listing, PageQuery, Sort, read_page
from cloud.onboarding.service import append_changes
from cloud.rollouts.rules import Release, given_up, last_firmware
from shared.contract import Digest, Instant, Message
from shared.devices import DeviceClaimed
from shared.errors import Code, FieldError
from shared.releases import AssignedRelease, FirmwareAssigned
from shared.sync import Fact

log = structlog.get_logger()

_ADD = """
    INSERT INTO releases (tenant_id, digest, kind, board, version, minimum, expires, size, signed_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING
"""
_ADD_FILES = """
    INSERT INTO release_files (tenant_id, sha256, content)
    SELECT DISTINCT ON (content) $1::uuid, encode(sha256(content), 'hex'), content
    FROM unnest($2::bytea[]) AS f (content)
    ON CONFLICT DO NOTHING
"""
_DEVICES = """
    SELECT d.id, d.machine_id, m.site_id FROM devices d
    JOIN machines m ON m.tenant_id = d.tenant_id AND m.id = d.machine_id
    WHERE ($1::uuid IS NULL OR d.id = $1) AND ($2::uuid IS NULL OR m.site_id = $2) ORDER BY m.site_id, d.id
"""
_OF_SITE = """
    INSERT INTO site_releases (tenant_id, site_id, digest, assigned_by, assigned_at)
    SELECT $1, id, $3, $4, $5 FROM sites WHERE id = $2
    ON CONFLICT ON CONSTRAINT site_releases_pkey DO UPDATE SET digest = excluded.digest,
        assigned_by = excluded.assigned_by, assigned_at = excluded.assigned_at
"""
_WISHED = """
    SELECT digest FROM firmware_assignments WHERE device_id = $1
    UNION ALL SELECT digest FROM site_releases WHERE site_id = $2
"""
_NEWCOMERS = """
    SELECT d.id, d.machine_id, m.site_id, r.digest, r.size, s.assigned_by FROM devices d
    JOIN machines m ON m.tenant_id = d.tenant_id AND m.id = d.machine_id
    JOIN site_releases s ON s.tenant_id = m.tenant_id AND s.site_id = m.site_id
    JOIN releases r ON r.tenant_id = s.tenant_id AND r.digest = s.digest
    WHERE d.id = ANY($1) AND r.withdrawn_at IS NULL AND r.expires > extract(epoch FROM now()) AND NOT EXISTS
        (SELECT 1 FROM firmware_assignments a WHERE a.tenant_id = d.tenant_id AND a.device_id = d.id)
    ORDER BY d.id FOR SHARE OF r
"""
_HOLDERS = """
    SELECT d.id, d.machine_id, m.site_id FROM firmware_assignments a
    JOIN devices d ON d.tenant_id = a.tenant_id AND d.id = a.device_id
    JOIN machines m ON m.tenant_id = d.tenant_id AND m.id = d.machine_id
    WHERE a.digest = $1 ORDER BY m.site_id, d.id
"""
_WITHDRAW = "UPDATE releases SET withdrawn_at = $2, withdrawn_by = $3 WHERE digest = $1 AND withdrawn_at IS NULL"
_NO_SITE = "UPDATE site_releases SET digest = NULL, assigned_by = $2, assigned_at = $3 WHERE digest = $1"
_REMOVE_FILES = """
    WITH kept AS (
        SELECT r.digest, (convert_from(f.content, 'UTF8')::jsonb ->> 'text')::jsonb AS manifest FROM releases r
        JOIN release_files f ON f.tenant_id = r.tenant_id AND f.sha256 = r.digest WHERE r.withdrawn_at IS NULL
    )
    DELETE FROM release_files WHERE sha256 NOT IN (
        SELECT digest FROM kept UNION ALL SELECT jsonb_path_query(manifest, '$.files[*].sha256') #>> '{}' FROM kept
    )
"""
"""All that no release lists that is still in force. Two releases may share a file."""
_FILES_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_ASSIGN = """
    INSERT INTO firmware_assignments (tenant_id, device_id, id, digest, assigned_by, assigned_at)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT ON CONSTRAINT firmware_assignments_pkey DO UPDATE SET id = excluded.id, digest = excluded.digest,
        assigned_by = excluded.assigned_by, assigned_at = excluded.assigned_at,
        given_up_at = NULL, given_up_reason = NULL
"""
_ASSIGNED = """
    SELECT a.id, a.device_id, d.machine_id, a.digest, r.size FROM firmware_assignments a
    JOIN devices d ON d.tenant_id = a.tenant_id AND d.id = a.device_id
    JOIN machines m ON m.tenant_id = d.tenant_id AND m.id = d.machine_id
    LEFT JOIN releases r ON r.tenant_id = a.tenant_id AND r.digest = a.digest
    WHERE m.site_id = $1 ORDER BY a.device_id
"""
_FIRMWARE = """
    INSERT INTO device_firmware (tenant_id, device_id, slot, digest, version, state, offered, reason, changed_at)
    SELECT $1, u.device_id, u.slot, u.digest, u.version, u.state, u.offered, u.reason, u.at
    FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                $10::timestamptz[]) AS u (device_id, machine_id, slot, digest, version, state, offered, reason, at)
    JOIN devices d ON d.tenant_id = $1 AND d.id = u.device_id AND d.machine_id = u.machine_id
    ON CONFLICT ON CONSTRAINT device_firmware_pkey DO UPDATE SET slot = excluded.slot, digest = excluded.digest,
        version = excluded.version, state = excluded.state, offered = excluded.offered, reason = excluded.reason,
        changed_at = excluded.changed_at
"""
_GIVE_UP = """
    UPDATE firmware_assignments SET given_up_at = $3, given_up_reason = $4 WHERE device_id = $1 AND id = $2
"""
_FILE = (
    "SELECT substring(content FROM $2 + 1) AS rest, octet_length(content) AS size FROM release_files WHERE sha256 = $1"
)


class ReleaseRow(Message):
    """A release as operators see it; `expires` in seconds since 1970 (UTC)."""

    digest: Digest
    kind: str
    board: str
    version: str
    minimum: str
    expires: int
    signed_by: str
    published_at: Instant
    withdrawn_at: Instant | None


class ReleaseQuery(PageQuery):
    """Releases, the newest first."""

    row = ReleaseRow


class ReleasePage(Message):
    """A page of releases, the newest first."""

    releases: tuple[ReleaseRow, ...]
    next_cursor: str | None


_RELEASES = Listing(
    name="releases",
    row=ReleaseRow,
    page=ReleasePage,
    table="releases r",
    show="SELECT r.digest, r.kind, r.board, r.version, r.minimum, r.expires, r.signed_by, r.published_at,"
    " r.withdrawn_at FROM {picked}",
    read=lambda row: ReleaseRow(**row),
    sorts={"-published_at": Sort({"published_at": "r.published_at", "digest": "r.digest"}, descending=True)},
)


async def publish(transaction: Transaction, operator: Operator, release: Release) -> bool:
    """Inside a unit of the tenant: keep a release and its files; false if it was published before.

    Raises Refused if its version was published with other content, or was withdrawn.
    """
    tenant_id = operator.tenant_id
    await _lock_files(transaction, tenant_id)
    manifest = release.manifest
    about = (manifest.kind, manifest.board, manifest.version, manifest.minimum, manifest.expires)
    size, signed_by = len(release.document), release.signed_by
    await transaction.execute(_ADD_FILES, tenant_id, [release.document, *release.files])
    if await transaction.execute(_ADD, tenant_id, release.digest, *about, size, signed_by):
        made = {"kind": manifest.kind, "board": manifest.board, "version": manifest.version, "signed_by": signed_by}
        await _audit(transaction, operator, AuditAction.RELEASE_PUBLISHED, release.digest, after=made)
        return True
    known = await _release(transaction, release.digest)
    if known is None:
        raise _wrong("signed", f"{manifest.kind} {manifest.version} for {manifest.board} has other content already")
    if known["withdrawn_at"] is not None:
        raise _wrong("signed", "was withdrawn: publish another version")
    return False


async def release_page(transaction: Transaction, query: ReleaseQuery) -> ReleasePage:
    """The releases that are asked for. Raises Refused for a cursor that is not theirs."""
    return await read_page(transaction, _RELEASES, query)


async def assign(
    transaction: Transaction,
    operator: Operator,
    digest: str | None,
    now: datetime,
    *,
    device_id: UUID | None = None,
    site_id: UUID | None = None,
) -> list[UUID]:
    """Inside a unit of the tenant: have one device, or all of a site, run a release, or keep what they run.

    Of a site also those that are claimed later and were assigned nothing of their own. Returns the ids of those that
    are there. Raises NotFound for no such device or site, Refused for a release that is unknown, has expired or was
    withdrawn.
    """
    release = None if digest is None else await _assignable(transaction, digest, now)
    wish = (digest, operator.actor.id, now)
    about = _subject(device_id, site_id)
    was = await transaction.fetch_one(_WISHED, device_id, site_id)
    if site_id is not None and not await transaction.execute(_OF_SITE, operator.tenant_id, site_id, *wish):
        raise NotFound
    devices = await transaction.fetch(_DEVICES, device_id, site_id)
    if not devices and site_id is None:
        raise NotFound
    for row in devices:
        await _assign(transaction, operator.tenant_id, row, release, operator.actor.id, now)
    before, after = {"digest": was and was["digest"]}, {"digest": digest, "devices": len(devices)}
    actor, deed = operator.actor, AuditAction.RELEASE_ASSIGNED
    await audit.record(transaction, actor, operator.tenant_id, deed, about, before=before, after=after)
    return [row["id"] for row in devices]


async def withdraw(transaction: Transaction, operator: Operator, digest: str, now: datetime) -> list[UUID]:
    """Inside a unit of the tenant: nobody shall run this release from now on, and its files go; its record stays.

    Whoever runs it keeps it. Returns the ids of the devices that it was assigned to. Raises NotFound.
    """
    await _lock_files(transaction, operator.tenant_id)
    if await _release(transaction, digest) is None:
        raise NotFound
    if not await transaction.execute(_WITHDRAW, digest, now, operator.actor.id):
        return []
    await transaction.execute(_NO_SITE, digest, operator.actor.id, now)
    devices = await transaction.fetch(_HOLDERS, digest)
    for row in devices:
        await _assign(transaction, operator.tenant_id, row, None, operator.actor.id, now)
    await transaction.execute(_REMOVE_FILES)
    await _audit(transaction, operator, AuditAction.RELEASE_WITHDRAWN, digest, after={"devices": len(devices)})
    return [row["id"] for row in devices]


async def record_claimed(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """A device that has come to a site shall run what all devices of the site shall, unless it was assigned before."""
    came = {fact.body.device_id: fact.at for fact in facts if isinstance(fact.body, DeviceClaimed)}
    for row in await transaction.fetch(_NEWCOMERS, list(came)):
        release = AssignedRelease(digest=row["digest"], size=row["size"])
        await _assign(transaction, tenant_id, row, release, row["assigned_by"], came[row["id"]])


async def assignments(transaction: Transaction, site_id: UUID) -> list[FirmwareAssigned]:
    """What the devices of a site shall run."""
    return [
        FirmwareAssigned(
            assignment_id=row["id"],
            device_id=row["device_id"],
            machine_id=row["machine_id"],
            release=None if row["digest"] is None else AssignedRelease(digest=row["digest"], size=row["size"]),
        )
        for row in await transaction.fetch(_ASSIGNED, site_id)
    ]


async def file_from(transaction: Transaction, sha256: str, offset: int) -> tuple[bytes, int] | None:
    """A file of a release from there on, and its whole size; None if there is no such file."""
    row = await transaction.fetch_one(_FILE, sha256, offset)
    return None if row is None else (bytes(row["rest"]), row["size"])


async def record_firmware(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """What devices say they run. Raises FactRefused for an unknown device."""
    rows: list[tuple[object, ...]] = [
        (
            body.device_id,
            body.machine_id,
            body.running.slot,
            body.running.digest,
            body.running.version,
            body.state,
            body.offered,
            body.reason,
            fact.at,
        )
        for fact, body in last_firmware(facts).values()
    ]
    if await transaction.execute(_FIRMWARE, tenant_id, *columns(rows)) != len(rows):
        raise FactRefused("the device is unknown")


async def record_given_up(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """Assignments that have come to nothing; of one that was replaced meanwhile nobody needs to know."""
    for fact, body in given_up(facts):
        await transaction.execute(_GIVE_UP, body.device_id, body.assignment_id, fact.at, body.reason)


async def _assign(
    transaction: Transaction,
    tenant_id: UUID,
    row: Row,
    release: AssignedRelease | None,
    assigned_by: UUID,
    now: datetime,
) -> None:
    """`row`: id, machine_id and site_id of a device. Its gateway hears of it."""
    change = FirmwareAssigned(
        assignment_id=new_id(), device_id=row["id"], machine_id=row["machine_id"], release=release
    )
    wish = (change.device_id, change.assignment_id, release.digest if release else None, assigned_by, now)
    await transaction.execute(_ASSIGN, tenant_id, *wish)
    await append_changes(transaction, row["site_id"], [change])


def _subject(device_id: UUID | None, site_id: UUID | None) -> Subject:
    if device_id is not None:
        return Subject(SubjectKind.DEVICE, device_id)
    if site_id is not None:
        return Subject(SubjectKind.SITE, site_id)
    raise ValueError("neither a device nor a site")


async def _audit(
    transaction: Transaction, operator: Operator, deed: AuditAction, digest: str, after: Mapping[str, object]
) -> None:
    about = Subject(SubjectKind.RELEASE, digest)
    await audit.record(transaction, operator.actor, operator.tenant_id, deed, about, after=after)


async def _lock_files(transaction: Transaction, tenant_id: UUID) -> None:
    """A file of two releases is not removed with one while the other is being published."""
    await transaction.execute(_FILES_LOCK, f"release files of {tenant_id}")


async def _release(transaction: Transaction, digest: str) -> Row | None:
    """Locked, so that it is not withdrawn while it is being assigned."""
    sql = "SELECT digest, size, expires, withdrawn_at FROM releases WHERE digest = $1 FOR SHARE"
    return await transaction.fetch_one(sql, digest)


async def _assignable(transaction: Transaction, digest: str, now: datetime) -> AssignedRelease:
    row = await _release(transaction, digest)
    if row is None:
        raise _wrong("digest", "is no release of yours")
    if row["expires"] <= now.timestamp():
        raise _wrong("digest", "has expired: no device would take it")
    if row["withdrawn_at"] is not None:
        raise _wrong("digest", "was withdrawn")
    return AssignedRelease(digest=row["digest"], size=row["size"])


def _wrong(path: str, message: str) -> Refused:
    return Refused(Code.VALIDATION_FAILED, "Some fields are wrong.", errors=(FieldError(path=path, message=message),))
