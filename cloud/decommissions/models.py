"""Decommissions as operators see and write them."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from cloud.decommissions.rules import BlockerKind
from shared.contract import Instant, Message, Name

Reason = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00]*$")]


class DecommissionWish(Message):
    """Why the machine shall leave."""

    reason: Reason


class BlockerRow(Message):
    """What the machine still waits for; `told` says it in words, `count` how many there are."""

    kind: BlockerKind
    count: Annotated[int, Field(ge=1)]
    told: str


class DecommissionRow(Message):
    """A machine on its way out. Without blockers it is drained, settled and equal on both sides."""

    decommission_id: UUID
    machine_id: UUID
    reason: Reason
    begun_by: Name
    begun_at: Instant
    called_off_at: Instant | None
    blockers: tuple[BlockerRow, ...]
