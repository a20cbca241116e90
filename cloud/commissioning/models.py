"""Checklists and reports as operators see and write them."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from cloud.commissioning.rules import CheckKind, CheckState
from cloud.configuration.rules import SignedReport
from cloud.setups.rules import MOST_MACHINES
from cloud.templates.rules import MOST_DEVICES, MOST_SLOTS
from shared.contract import Instant, Message, Name

CheckName = Annotated[str, StringConstraints(min_length=1, max_length=300)]

MOST_CHECKS = 3 + MOST_MACHINES * (MOST_SLOTS + 2 * MOST_DEVICES + 1)
"""Of the largest setup (rules.py)."""


class CheckRow(Message):
    """One check. `machine_id` is null for what the whole site must pass; `told` says in words what was seen."""

    kind: CheckKind
    name: CheckName
    machine_id: UUID | None
    state: CheckState
    told: str
    at: Instant | None


class Checklist(Message):
    """What must have been seen of a setup's machines, as it stands now."""

    setup_id: UUID
    checks: tuple[CheckRow, ...]
    passed: int
    reported_at: Instant | None


class Skipped(Message):
    """A check that somebody answers for instead of passing it."""

    name: CheckName
    reason: Annotated[str, StringConstraints(min_length=1, max_length=300)]


class ReportWish(Message):
    """The report to be made now."""

    skipped: Annotated[tuple[Skipped, ...], Field(max_length=MOST_CHECKS)] = ()


class Report(Message):
    """What was seen when a machine went into service: the text of `signed` is JSON (`ReportText`)."""

    machine_id: UUID
    setup_id: UUID
    made_by: Name
    made_at: Instant
    signed: SignedReport


class Reports(Message):
    """One a machine."""

    reports: tuple[Report, ...]


class ReportText(Message):
    """What is signed."""

    machine_id: UUID
    machine_name: Name
    setup_id: UUID
    made_by: Name
    made_at: Instant
    checks: tuple[CheckRow, ...]
    skipped: tuple[Skipped, ...]
