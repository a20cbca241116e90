"""Pictures of products: taken in, made anew, kept by what they contain, and given out.

A picture comes in as `incoming/…`, is read from there by the encoder, and goes; what stays are its sizes, each under
its own SHA-256. Two products with the same picture share its files.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import structlog

from cloud import objects
from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.callers import Operator
from cloud.catalog import service as catalog
from cloud.clock import Clock, new_id
from cloud.database import Database, Row, Transaction
from cloud.errors import NotFound, TooManyRequests, Unavailable
from cloud.image_encoder import Encoded, Size, Unreadable
from cloud.image_encoding import Encoding
from cloud.object_store import NoObject, ObjectStore, Received, path_of
from cloud.pictures.models import PictureRow, PictureSize, PictureSizeRow
from cloud.pictures.rules import HEAD_BYTES, MEDIA_TYPES, Places, media_type_of
from cloud.web import invalid

log = structlog.get_logger()

AGAIN_SECONDS = 5
"""After which whoever found too many uploads may come again."""
_PICTURE = "SELECT * FROM product_pictures WHERE product_id = $1"
_SIZES = """
    SELECT s.size, s.object, s.width, s.height, o.bytes FROM product_picture_sizes s
    JOIN stored_objects o ON o.tenant_id = s.tenant_id AND o.name = s.object
    WHERE s.product_id = $1 ORDER BY s.width * s.height, s.size
"""
_SIZE = "SELECT object FROM product_picture_sizes WHERE product_id = $1 AND size = $2"
_LOCK_PRODUCT = "SELECT id FROM products WHERE id = $1 FOR UPDATE"
_PUT = """
    INSERT INTO product_pictures (tenant_id, product_id, sha256, media_type, bytes, width, height, put_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT ON CONSTRAINT product_pictures_pkey DO UPDATE SET sha256 = excluded.sha256,
        media_type = excluded.media_type, bytes = excluded.bytes, width = excluded.width, height = excluded.height,
        put_at = excluded.put_at
"""
_PUT_SIZES = """
    INSERT INTO product_picture_sizes (tenant_id, product_id, size, object, width, height)
    SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::int[], $6::int[])
"""
_NO_SIZES = "DELETE FROM product_picture_sizes WHERE product_id = $1"
_NO_PICTURE = "DELETE FROM product_pictures WHERE product_id = $1"
_UNUSED = """
    SELECT name FROM unnest($1::text[]) AS o (name)
    WHERE NOT EXISTS (SELECT FROM product_picture_sizes s WHERE s.object = o.name)
"""


@dataclass(frozen=True)
class PictureLimits:
    """What a picture, and a tenant, may have. `tenant_bytes` are of all files of a tenant together."""

    picture_bytes: int = 20 * 1024 * 1024
    picture_pixels: int = 40_000_000
    tenant_bytes: int = 2 * 1024**3


@dataclass(frozen=True)
class Sent:
    """What is said of an upload before it comes: its type, perhaps its SHA-256, its size or the most it may be."""

    media_type: str
    sha256: str | None
    most_bytes: int


class Pictures:
    """What operators do with pictures."""

    def __init__(self, database: Database, store: ObjectStore, clock: Clock, limits: PictureLimits) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self.limits = limits
        self._encode = Encoding(limits.picture_pixels)
        self._places = Places()

    async def put(
        self, operator: Operator, product_id: UUID, sent: Sent, body: AsyncGenerator[bytes, None]
    ) -> tuple[PictureRow, bool]:
        """The product's picture from here on, and whether it is its first.

        Raises NotFound, Refused when it is none that can be taken, TooManyRequests while too many are on their way,
        Unavailable; and what `body` raises. Then nothing of it stays.
        """
        with self._places.one(operator.tenant_id) as has_place:
            if not has_place:
                raise TooManyRequests(AGAIN_SECONDS)
            return await self._put(operator, product_id, sent, body)

    async def _put(
        self, operator: Operator, product_id: UUID, sent: Sent, body: AsyncGenerator[bytes, None]
    ) -> tuple[PictureRow, bool]:
        incoming = f"incoming/{new_id()}"
        await self._begin(operator, product_id, incoming, sent)
        try:
            path = path_of(operator.tenant_id, incoming)
            async with aclosing(body), aclosing(_seen(body, sent.media_type)) as seen:
                received = await self._store.receive(path, seen)
            if sent.sha256 is not None and sent.sha256 != received.sha256:
                raise invalid("Content-Digest", f"is not that of the body: its SHA-256 is {received.sha256}")
            known = await self._known(operator, product_id)
            if known is not None and known.sha256 == received.sha256:
                return known, False
            try:
                encoded = await self._encode(sent.media_type, self._store.read(path))
            except Unreadable as error:
                raise invalid("body", str(error)) from error
            except NoObject as error:  # the store has lost what it took a moment ago
                raise Unavailable from error
            return await self._keep(operator, product_id, sent, received, encoded)
        finally:
            await self._drop(operator, incoming)

    async def _begin(self, operator: Operator, product_id: UUID, incoming: str, sent: Sent) -> None:
        async def work(transaction: Transaction) -> None:
            await catalog.product(product_id)
            await self._announce(transaction, operator, [(incoming, sent.most_bytes)])

        await self._database.unit("pictures.begin", work, caller=operator)

    async def _announce(self, transaction: Transaction, operator: Operator, named: Sequence[tuple[str, int]]) -> None:
        await objects.announce(transaction, operator.tenant_id, named, self.limits.tenant_bytes)

    async def _keep(
        self, operator: Operator, product_id: UUID, sent: Sent, received: Received, encoded: Encoded
    ) -> tuple[PictureRow, bool]:
        """Its sizes: announced, stored, then used."""
        contents = {_name(size): size.content for size in encoded.sizes}
        named = [(name, len(content)) for name, content in contents.items()]

        async def announce(transaction: Transaction) -> None:
            await self._announce(transaction, operator, named)

        await self._database.unit("pictures.announce", announce, caller=operator)
        for name, content in contents.items():
            await self._store.put(path_of(operator.tenant_id, name), content)
        now = self._clock.now()

        async def use(transaction: Transaction) -> tuple[PictureRow, bool]:
            return await _replace(transaction, operator, product_id, sent.media_type, received, encoded, now)

        return await self._database.unit("pictures.put", use, caller=operator)

    async def _drop(self, operator: Operator, incoming: str) -> None:
        """What was sent, whatever became of it. If that fails, the job does it later."""

        async def work(transaction: Transaction) -> None:
            await objects.forget(transaction, [incoming])

        try:
            await self._store.delete([path_of(operator.tenant_id, incoming)])
            await self._database.unit("pictures.drop", work, caller=operator)
        except Unavailable:
            log.info("incoming_left", name=incoming)

    async def describe(self, operator: Operator, product_id: UUID) -> PictureRow:
        """All that is known of it. Raises NotFound."""

        found = await self._known(operator, product_id)
        if found is None:
            raise NotFound
        return found

    async def _known(self, operator: Operator, product_id: UUID) -> PictureRow | None:
        async def work(transaction: Transaction) -> PictureRow | None:
            return await _picture(transaction, product_id)

        return await self._database.unit("pictures.describe", work, caller=operator)

    async def name_of(self, operator: Operator, product_id: UUID, size: PictureSize) -> str:
        """Under which SHA-256 a size lies. Raises NotFound."""

        async def work(transaction: Transaction) -> Row | None:
            return await transaction.fetch_one(_SIZE, product_id, size.value)

        row = await self._database.unit("pictures.name", work, caller=operator)
        if row is None:
            raise NotFound
        return str(row["object"])

    async def content(self, operator: Operator, name: str) -> bytes:
        """What lies there. Raises NotFound when it is not what was put there: the log tells whoever runs the cloud."""
        try:
            content = await self._store.get(path_of(operator.tenant_id, name))
        except NoObject:
            log.error("object_lost", tenant_id=str(operator.tenant_id), name=name)
            raise NotFound from None
        if sha256(content).hexdigest() != name:
            log.error("object_damaged", tenant_id=str(operator.tenant_id), name=name)
            raise NotFound
        return content

    async def remove(self, operator: Operator, product_id: UUID) -> None:
        """The product has no picture any more. Raises NotFound when it had none."""

        async def work(transaction: Transaction) -> None:
            await transaction.fetch(_LOCK_PRODUCT, product_id)
            was = await _picture(transaction, product_id)
            if was is None:
                raise NotFound
            await _let_go(transaction, was)
            await transaction.execute(_NO_PICTURE, product_id)
            await _audit(transaction, operator, AuditAction.PICTURE_REMOVED, product_id, was, None)

        await self._database.unit("pictures.remove", work, caller=operator)


async def _seen(body: AsyncIterator[bytes], media_type: str) -> AsyncGenerator[bytes, None]:
    """The body, when its first bytes are those of the type. Raises Refused."""
    head = b""
    async for chunk in body:
        if len(head) >= HEAD_BYTES:
            yield chunk
            continue
        head += chunk
        if len(head) >= HEAD_BYTES:
            _require(head, media_type)
            yield head
    if len(head) < HEAD_BYTES:
        raise invalid("body", "is empty" if not head else "is too short for a picture")


def _require(head: bytes, media_type: str) -> None:
    found = media_type_of(head[:HEAD_BYTES])
    if found is None:
        raise invalid("body", f"is none of {', '.join(MEDIA_TYPES)}")
    if found != media_type:
        raise invalid("Content-Type", f"says {media_type}, but the body is {found}")


async def _replace(
    transaction: Transaction,
    operator: Operator,
    product_id: UUID,
    media_type: str,
    received: Received,
    encoded: Encoded,
    now: datetime,
) -> tuple[PictureRow, bool]:
    """Inside a unit of the tenant: this picture in place of the one there was."""
    tenant_id, sizes = operator.tenant_id, encoded.sizes
    await transaction.fetch(_LOCK_PRODUCT, product_id)
    was = await _picture(transaction, product_id)
    names = [_name(size) for size in sizes]
    await objects.lock(transaction, [*names, *_names(was)])
    size_and_shape = (received.size, encoded.width, encoded.height, now)
    await transaction.execute(_PUT, tenant_id, product_id, received.sha256, media_type, *size_and_shape)
    if was is not None:
        await _let_go(transaction, was)
    shown, widths, heights = [s.name for s in sizes], [s.width for s in sizes], [s.height for s in sizes]
    await transaction.execute(_PUT_SIZES, tenant_id, product_id, shown, names, widths, heights)
    await objects.use(transaction, names)
    made = await _picture(transaction, product_id)
    assert made is not None  # noqa: S101  it was made just above
    if was is None or was.sha256 != made.sha256:
        await _audit(transaction, operator, AuditAction.PICTURE_PUT, product_id, was, made)
    return made, was is None


async def _let_go(transaction: Transaction, was: PictureRow) -> None:
    """Its sizes; files that nobody else uses go later."""
    names = _names(was)
    await objects.lock(transaction, names)
    await transaction.execute(_NO_SIZES, was.product_id)
    await objects.release(transaction, [row["name"] for row in await transaction.fetch(_UNUSED, names)])


async def _picture(transaction: Transaction, product_id: UUID) -> PictureRow | None:
    row = await transaction.fetch_one(_PICTURE, product_id)
    if row is None:
        return None
    sizes = tuple(_size_row(product_id, size) for size in await transaction.fetch(_SIZES, product_id))
    about = {name: value for name, value in row.items() if name != "tenant_id"}
    return PictureRow(**about, sizes=sizes)


def _size_row(product_id: UUID, row: Row) -> PictureSizeRow:
    name, size = row["object"], PictureSize(row["size"])
    return PictureSizeRow(
        size=size,
        width=row["width"],
        height=row["height"],
        bytes=row["bytes"],
        sha256=name,
        url=f"/v1/catalog/products/{product_id}/picture?size={size}&sha256={name}",
    )


def _name(size: Size) -> str:
    return sha256(size.content).hexdigest()


def _names(picture: PictureRow | None) -> list[str]:
    return [] if picture is None else [size.sha256 for size in picture.sizes]


async def _audit(
    transaction: Transaction,
    operator: Operator,
    deed: AuditAction,
    product_id: UUID,
    was: PictureRow | None,
    now: PictureRow | None,
) -> None:
    before, after = _told(was), _told(now)
    about = Subject(SubjectKind.PRODUCT, product_id)
    await audit.record(transaction, operator.actor, operator.tenant_id, deed, about, before=before, after=after)


def _told(picture: PictureRow | None) -> dict[str, object] | None:
    if picture is None:
        return None
    return {"sha256": picture.sha256, "media_type": picture.media_type, "bytes": picture.bytes}
