"""Setups as operators see and write them."""

from cloud.lists import Listing, Sort
from cloud.setups.rules import SetupLine, SetupState
from shared.contract import Message


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
