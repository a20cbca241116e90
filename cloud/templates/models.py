"""Templates as operators see and write them."""

from typing import Literal
from uuid import UUID

from cloud.lists import Listing, PageQuery, Sort
from cloud.templates.rules import MachineOutline
from shared.contract import Message, Name


class TemplateWish(Message):
    """A template to be: of an outline, or of a machine that works."""

    name: Name
    outline: MachineOutline | None = None
    machine_id: UUID | None = None


class TemplateEdit(Message):
    """What shall be different; what is left out or null stays as it is. Machines made by it stay as they are."""

    name: Name | None = None
    outline: MachineOutline | None = None


class TemplateRow(Message):
    """What machines may be made like. `version` rises with each edit."""

    template_id: UUID
    name: Name
    version: int
    outline: MachineOutline


class TemplateLine(Message):
    """A template in one line."""

    template_id: UUID
    name: Name
    version: int


class TemplateQuery(PageQuery):
    """Templates by name."""

    row = TemplateLine

    sort: Literal["name", "-name"] = "name"


class TemplatePage(Message):
    """A page of templates by name."""

    templates: tuple[TemplateLine, ...]
    next_cursor: str | None


_BY_NAME = {"name": "t.name", "template_id": "t.id"}
TEMPLATES = Listing(
    name="machine templates",
    row=TemplateLine,
    page=TemplatePage,
    table="machine_templates t",
    show="SELECT t.id AS template_id, t.name, t.version FROM {picked}",
    read=lambda row: TemplateLine(**row),
    sorts={"name": Sort(_BY_NAME), "-name": Sort(_BY_NAME, descending=True)},
)
