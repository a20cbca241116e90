"""Pictures as clients see them."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from shared.contract import Digest, Instant, Message


class PictureSize(StrEnum):
    """The longer edge in pixels; nothing is made larger than it was. `full`: 2048."""

    SMALL = "96"
    MEDIUM = "320"
    LARGE = "1024"
    FULL = "full"


class PictureSizeRow(Message):
    """A picture in one size: what is served at `url`, for ever the same."""

    size: PictureSize
    width: int
    height: int
    bytes: int
    sha256: Digest
    url: str


class PictureRow(Message):
    """The picture of a product. `sha256`, `media_type`, `bytes`, `width` and `height` are of what was sent, upright.

    What was sent is not kept.
    """

    product_id: UUID
    sha256: Digest
    media_type: str
    bytes: int
    width: int
    height: int
    put_at: Instant
    sizes: tuple[PictureSizeRow, ...]


class PictureQuery(Message):
    """Which size."""

    size: PictureSize = PictureSize.FULL
    sha256: Annotated[
        Digest | None, Field(description="As in a `url`: of what is expected. Then it may be kept for ever.")
    ] = None
