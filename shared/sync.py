"""How facts travel up and changes travel down (DESIGN sections 4 and 7).

A batch is NDJSON: a `BatchHeader` line, then `count` fact lines, gzip-compressed. A fact line is byte for byte what the
gateway committed and hashed, so that both sides can compare one hash chain. Telemetry has a lane of its own, no seq.

A gateway whose ledger was restored asks for the facts it has told and lost: `GET /v1/sync/facts?epoch=E&after=S&
before_epoch=N&limit=500` answers with its own facts above (E, S) and below epoch N, as NDJSON under a `RecalledHeader`.

A release's files lie at `GET /v1/sync/files/{sha256}`; `Range: bytes=N-` goes on where a download was cut.
"""

import hashlib
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter

from shared.catalog import MachineStopped, MachineVersion, PlanogramVersion, ProductVersion
from shared.climate import ZoneLocked, ZoneReleased
from shared.contract import ClockQuality, Digest, Epoch, Instant, Message, Seq, Watermark
from shared.devices import DeviceClaimed, DeviceHealth, DeviceLinkChanged, ExpectedDevice
from shared.inventory import SlotSensed, SlotSuspected, StockInstruction, StockMoved
from shared.orders import OrderEnded, OrderPlaced, VendCancelRequested, VendDispensedUnpaid, VendRequested, VendResolved
from shared.payments import (
    CreditInserted,
    PaymentAttempted,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentGivenBack,
    PaymentVoided,
)
from shared.releases import FirmwareAssigned, FirmwareChanged, FirmwareGivenUp
from shared.upkeep import DeviceInstruction, DeviceInstructionEnded, SettingsAssigned, SettingsReported

FactBody = Annotated[
    OrderPlaced
    | OrderEnded
    | VendRequested
    | VendCancelRequested
    | VendResolved
    | VendDispensedUnpaid
    | StockMoved
    | SlotSuspected
    | SlotSensed
    | CreditInserted
    | PaymentAttempted
    | PaymentAuthorised
    | PaymentCaptured
    | PaymentGivenBack
    | PaymentVoided
    | DeviceClaimed
    | DeviceLinkChanged
    | FirmwareChanged
    | FirmwareGivenUp
    | DeviceInstructionEnded
    | SettingsReported
    | ZoneLocked
    | ZoneReleased
    | MachineStopped,
    Field(discriminator="event"),
]

ChangeBody = Annotated[
    MachineVersion
    | ProductVersion
    | PlanogramVersion
    | ExpectedDevice
    | StockInstruction
    | FirmwareAssigned
    | DeviceInstruction
    | SettingsAssigned,
    Field(discriminator="kind"),
]

MAX_BATCH_FACTS = 500
MAX_BATCH_BYTES = 4 * 1024 * 1024
"""Of a batch once decompressed."""

CHAIN_START = bytes(32)
"""The hash before the first fact of an epoch."""


class Fact(Message):
    """Something that happened on a gateway. Ordered by (epoch, seq), never by `at`."""

    seq: Seq
    at: Instant
    mono_ms: Annotated[int, Field(ge=0)]
    """Milliseconds on the gateway's monotonic clock since its boot `boot_id`."""
    boot_id: UUID
    clock: ClockQuality
    body: FactBody


class BatchHeader(Message):
    """The first line of a batch. `previous` is the chain's hash before `first_seq`."""

    v: Literal[1] = 1
    epoch: Epoch
    first_seq: Seq
    count: Annotated[int, Field(ge=1, le=MAX_BATCH_FACTS)]
    previous: Digest


class Ack(Message):
    """All facts of `epoch` up to `seq` have taken effect in the cloud; `chain` is the hash at `seq`.

    After a gap or a repeat it is simply where to go on from.
    """

    epoch: Annotated[int, Field(ge=0)]
    seq: Watermark
    chain: Digest


class RecalledHeader(Message):
    """The first line of what a gateway asks back of its own facts; `count` fact lines follow, as they once came.

    All are of one epoch, in order, the next after the position that was asked for. `more`: others follow them.
    """

    v: Literal[1] = 1
    epoch: Annotated[int, Field(ge=0)]
    """0 when there are none."""
    count: Annotated[int, Field(ge=0, le=MAX_BATCH_FACTS)]
    more: bool


class Telemetry(Message):
    """Bounded lane: the newest samples only. Lost ones are not missed."""

    v: Literal[1] = 1
    samples: Annotated[tuple[DeviceHealth, ...], Field(max_length=500)]


class Changes(Message):
    """What moved since a cursor, oldest first. `full` = the whole state, sent when the cursor was absent or too old.

    Each body is versioned or has an id, so that seeing it twice has one effect. `more`: ask again at once.
    """

    cursor: Watermark
    full: bool
    more: bool
    changes: tuple[ChangeBody, ...]


DOORBELL = "pull"
"""The only word on the doorbell WebSocket."""

FACT: TypeAdapter[Fact] = TypeAdapter(Fact)


def link(previous: bytes, line: bytes) -> bytes:
    """The hash chain's next value: SHA-256 over the previous 32 bytes followed by the fact's line (no line break)."""
    return hashlib.sha256(previous + line).digest()
