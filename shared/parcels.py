"""Files on their way to a device over MQTT: offered by their SHA-256, fetched piece by piece from any offset.

The device asks, one piece at a time, so that it sets the pace and goes on where it was cut off. Nothing depends on an
order of delivery: a piece says where it belongs, and a file is believed only when its SHA-256 is right.
"""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.contract import Digest, Nonce
from shared.devices import DeviceMessage
from shared.signed import Purpose

PIECE_BYTES = 1536
"""The largest piece: 2,048 characters of base64, so that the message stays below MAX_MESSAGE_BYTES."""
MAX_PARCEL_BYTES = 0x180000

Offset = Annotated[int, Field(ge=0, le=MAX_PARCEL_BYTES)]


class Offer(DeviceMessage):
    """There is a signed text (signed.py) for this device, as a file of this SHA-256 and size: settings or a release.

    Repeated until the device reports what became of it. Never sent while an order is open at the device.
    """

    type: Literal["offer"] = "offer"
    purpose: Purpose
    digest: Digest
    size: Annotated[int, Field(ge=1, le=32_768)]
    nonce: Nonce
    mac: Digest


class Piece(DeviceMessage):
    """A piece of a file that was asked for; empty: the gateway does not have this file (any more)."""

    type: Literal["piece"] = "piece"
    digest: Digest
    offset: Offset
    data: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]*={0,2}$", max_length=2048)]
    """Base64."""
    mac: Digest


class Ask(DeviceMessage):
    """Channel `ask`: send me so many bytes of this file from here on."""

    boot_id: UUID
    digest: Digest
    offset: Offset
    size: Annotated[int, Field(ge=1, le=PIECE_BYTES)]
