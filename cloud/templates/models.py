"""Templates as operators see and write them."""

from cloud.lists import Listing, Sort
from cloud.templates.rules import TemplateLine
from shared.contract import Message


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
