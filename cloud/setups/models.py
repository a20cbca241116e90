"""Setups as operators see and write them."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from cloud.lists import Listing, PageQuery, Sort
from cloud.setups.rules import MOST_MACHINES, DraftMachine, GatewayAddress, SetupSite, Wifi
from cloud.templates.rules import MachineOutline
from shared.contract import Instant, Message, Name
from shared.errors import FieldError


class SetupState(StrEnum):
    """open → finished."""

    OPEN = "open"
    FINISHED = "finished"


class SetupWish(Message):
    """A setup to be begun."""

    name: Annotated[Name, Field(description="By which you find it again.")]


class MachineWish(Message):
    """A machine of a setup. With the id of one that is in it, it is that one; without, it is a new one."""

    machine_id: UUID | None = None
    name: Name
    outline: MachineOutline


class SetupEdit(Message):
    """Steps as they shall be; what is left out or null stays as it is. Nothing need be complete yet."""

    name: Name | None = None
    site: SetupSite | None = None
    gateway_name: Name | None = None
    gateway_address: GatewayAddress | None = None
    wifi: Wifi | None = None
    machines: Annotated[tuple[MachineWish, ...], Field(max_length=MOST_MACHINES)] | None = None


class AddMachine(Message):
    """One machine more: like a template, like a machine that works, or with nothing in it yet."""

    name: Name
    template_id: UUID | None = None
    machine_id: Annotated[UUID | None, Field(description="Of the machine to be like.")] = None


class SetupLine(Message):
    """A setup in one line."""

    setup_id: UUID
    name: Name
    state: SetupState
    site_id: UUID | None
    created_by: Name
    created_at: Instant
    changed_at: Instant
    finished_at: Instant | None


class SetupRow(SetupLine):
    """A setup with all it has gathered. Of the Wi-Fi's password only that there is one is shown.

    `problems`: what keeps it from being finished; paths are those of its fields.
    """

    site: SetupSite | None
    gateway_name: Name | None
    gateway_address: GatewayAddress | None
    gateway_id: UUID | None
    wifi_ssid: str | None
    machines: tuple[DraftMachine, ...]
    problems: tuple[FieldError, ...]


class SetupQuery(PageQuery):
    """Setups, the newest first."""

    row = SetupLine

    state: SetupState | None = None


class SetupPage(Message):
    """A page of setups, the newest first."""

    setups: tuple[SetupLine, ...]
    next_cursor: str | None


SETUPS = Listing(
    name="setups",
    row=SetupLine,
    page=SetupPage,
    table="setups s",
    show="""
        SELECT s.id AS setup_id, s.name, s.state, s.site_id, k.name AS created_by, s.created_at, s.changed_at,
               s.finished_at
        FROM {picked} JOIN actors k ON k.tenant_id = s.tenant_id AND k.id = s.made_by""",
    read=lambda row: SetupLine(**{**row, "state": SetupState(row["state"])}),
    sorts={"-created_at": Sort({"created_at": "s.created_at", "setup_id": "s.id"}, descending=True)},
    filters={"state": "s.state = {}"},
)
