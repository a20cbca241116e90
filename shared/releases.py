"""Firmware releases: what is signed, how a device is offered one, and what it says of itself.

The gateway takes a release from the cloud once, checks it and serves it to all its devices in pieces (parcels.py).
"""

from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from shared.contract import Digest, Message, Nonce
from shared.devices import DeviceMessage
from shared.signed import SignedText

MAX_FILES = 120
MAX_APP_BYTES = 512 * 1024
MAX_IMAGE_BYTES = 0x180000
"""An app partition of MicroPython's 4 MB OTA layout."""
LEAVE_S = 60.0
"""A device that has leave to boot has done it by then: 20 s for the word to come, 15 s to rest, and the boot."""

ReleaseNumber = Annotated[str, StringConstraints(pattern=r"^(0|[1-9]\d{0,4})(\.(0|[1-9]\d{0,4})){2}$")]
"""Three numbers such as 1.4.0; compared as numbers."""


def order_of(version: str) -> tuple[int, ...]:
    """What a ReleaseNumber is compared by."""
    return tuple(int(part) for part in version.split("."))


class ReleaseKind(StrEnum):
    """What a release replaces."""

    APP = "app"
    """The program: the compiled files of `vending/`, into the idle one of two folders."""
    IMAGE = "image"
    """MicroPython itself: one file, into the idle one of two partitions."""


FileName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}\.(mpy|bin)$")]


class ReleaseFile(Message):
    """One file, fetched by its SHA-256."""

    name: FileName
    size: Annotated[int, Field(ge=1, le=MAX_IMAGE_BYTES)]
    sha256: Digest


class Manifest(Message):
    """The text of a signed release."""

    v: Literal[1] = 1
    kind: ReleaseKind
    version: ReleaseNumber
    board: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,24}$")]
    minimum: ReleaseNumber
    """A device with an older app does not take it."""
    expires: Annotated[int, Field(ge=0, le=2**53 - 1)]
    """Seconds since 1970 (UTC) after which nobody begins to take it."""
    files: Annotated[tuple[ReleaseFile, ...], Field(min_length=1, max_length=MAX_FILES)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = [file.name for file in self.files]
        most = MAX_APP_BYTES if self.kind is ReleaseKind.APP else MAX_IMAGE_BYTES
        wanted = ".mpy" if self.kind is ReleaseKind.APP else ".bin"
        if len(set(names)) != len(names) or not all(name.endswith(wanted) for name in names):
            raise ValueError("every file has a name of its own that fits the kind")
        if sum(file.size for file in self.files) > most or (self.kind is ReleaseKind.IMAGE and len(names) != 1):
            raise ValueError("larger than a device has room for")
        return self


class ReleaseBundle(Message):
    """What the signing tool makes and the cloud is given: the signed text of a Manifest, and all its files."""

    v: Literal[1] = 1
    signed: SignedText
    """As a file it is `signed.to_line()`: the SHA-256 of that is the release's digest."""
    files: Annotated[dict[FileName, Annotated[str, StringConstraints(max_length=2**21)]], Field(max_length=MAX_FILES)]
    """Base64 of each, by its name."""


class AssignedRelease(Message):
    """A signed release as a file."""

    digest: Digest
    size: Annotated[int, Field(ge=1, le=32_768)]


class FirmwareAssigned(Message):
    """Change from the cloud: the device shall run this release; none: it keeps what it runs.

    Another `assignment_id` with the same release means: try again, though it was given up.
    """

    kind: Literal["firmware_assigned"] = "firmware_assigned"
    assignment_id: UUID
    device_id: UUID
    machine_id: UUID
    release: AssignedRelease | None


class FirmwareState(StrEnum):
    """Where a device stands with its firmware."""

    VALID = "valid"
    """What runs has proven itself."""
    TRIAL = "trial"
    """What runs is new; it goes back at the next boot unless it proves itself."""
    FETCHING = "fetching"
    FAILED = "failed"
    """What was offered last was refused, or tried and given up; `reason` says why. What ran before runs."""


class FirmwareRunning(Message):
    """What runs, as the device itself reads it from its flash: this is what is believed."""

    slot: Literal["a", "b"]
    digest: Digest | None
    """SHA-256 of the signed release it came with; None: it came by cable."""
    version: ReleaseNumber


class FirmwareReport(DeviceMessage):
    """Channel `ota`: at each connect, and when it has changed. Not acknowledged: it is told anew."""

    boot_id: UUID
    running: FirmwareRunning
    state: FirmwareState
    offered: Digest | None = None
    """The release that was offered last."""
    fetched: Annotated[int, Field(ge=0, le=MAX_IMAGE_BYTES)] = 0
    """Bytes of it that lie on the device's flash."""
    ready: bool = False
    """All of it does, as it was signed: the device waits for leave to boot by it."""
    reason: Annotated[str, StringConstraints(max_length=60)] | None = None


class Leave(DeviceMessage):
    """The device may boot by this release now: no order is open there, and for LEAVE_S none is placed.

    Sent to a device that is `ready`. Its part is to boot within 15 s, over this very connection, or not at all.
    """

    type: Literal["leave"] = "leave"
    digest: Digest
    nonce: Nonce
    mac: Digest


class FirmwareChanged(Message):
    """Fact: what a device says of its firmware is another than before. Of how much it has fetched nothing is told."""

    event: Literal["firmware_changed"] = "firmware_changed"
    device_id: UUID
    machine_id: UUID
    running: FirmwareRunning
    state: FirmwareState
    offered: Digest | None
    reason: Annotated[str, StringConstraints(max_length=60)] | None


class FirmwareGivenUp(Message):
    """Fact: the gateway offers this no more: it is not to be believed, or the device has failed with it too often.

    Until it is assigned anew.
    """

    event: Literal["firmware_given_up"] = "firmware_given_up"
    assignment_id: UUID
    device_id: UUID
    machine_id: UUID
    reason: Annotated[str, StringConstraints(max_length=120)]
