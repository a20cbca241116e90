"""Templates: what machines may be made like."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response, request
from werkzeug.wrappers import Response as PlainResponse

from cloud.conditional import tag_of
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.page import add_page, page_query
from cloud.dashboard.setup_desk import SEEN, SetupDesk, may_write, seen
from cloud.dashboard.setup_review import products_of
from cloud.dashboard.setup_slots import Products
from cloud.dashboard.setup_words import told
from cloud.dashboard.setups import READ, WRITE
from cloud.database import Transaction
from cloud.errors import NotFound, Refused
from cloud.operations import current_operator, operation
from cloud.templates import service as templates
from cloud.templates.rules import TemplateEdit, TemplateRow, TemplateWish
from cloud.templates.service import TemplateQuery
from cloud.web import as_id, invalid

HERE = "/templates"
ONE = f"{HERE}/<uuid:template_id>"


class TemplatePages:
    """What is done with templates."""

    def __init__(self, desk: SetupDesk) -> None:
        self._desk = desk

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, HERE, self.show)
        add_page(pages, f"{HERE}/new", self.create, "POST")
        add_page(pages, ONE, self.show_one)
        add_page(pages, ONE, self.rename, "POST")
        add_page(pages, f"{ONE}/deletion", self.delete, "POST")

    @operation(READ)
    async def show(self) -> Response:
        """GET /templates?cursor=: by name."""
        page = await self._desk.unit(partial(templates.template_page, query=page_query(TemplateQuery)))
        return await self._desk.pages.show(
            "templates.html",
            templates=page.templates,
            next_cursor=page.next_cursor,
            first_page="cursor" not in request.args,
        )

    @operation(WRITE)
    async def create(self) -> PlainResponse:
        """POST /templates/new: of a machine."""
        form = await read_form()
        try:
            wish = TemplateWish(name=_name(form), machine_id=as_id("machine_id", form.get("machine_id")))
            work = partial(templates.add_template, operator=current_operator(), keyring=self._desk.keyring)
            made = await self._desk.unit(partial(work, wish=wish, now=self._desk.now()))
        except NotFound:
            return lead(HERE, "There is no such machine.", "bad")
        except Refused as error:
            return lead(HERE, error.errors[0].message if error.errors else error.detail, "bad")
        return lead(f"{HERE}/{made.template_id}", "The template is made. Machines can be made like it from now on.")

    @operation(READ)
    async def show_one(self, template_id: UUID) -> Response:
        """GET /templates/…: what machines made by it are like, and its name to be changed."""
        return await self._ask(template_id, None)

    @operation(WRITE)
    async def rename(self, template_id: UUID) -> Response | PlainResponse:
        """POST /templates/…."""
        form = await read_form()
        try:
            edit = TemplateEdit(name=_name(form))
            work = partial(
                templates.edit_template,
                operator=current_operator(),
                template_id=template_id,
                edit=edit,
                expected=seen(form),
            )
            await self._desk.unit(work)
        except Refused as error:
            return await self._ask(template_id, form.answered(error), error.status)
        return lead(f"{HERE}/{template_id}", "Saved.")

    @operation(WRITE)
    async def delete(self, template_id: UUID) -> PlainResponse:
        """POST /templates/…/deletion."""
        work = partial(templates.delete_template, operator=current_operator(), template_id=template_id)
        await self._desk.unit(work)
        return lead(HERE, "The template is deleted. Machines that were made by it stay as they are.", "plain")

    async def _ask(self, template_id: UUID, form: Form | None, status: int = 200) -> Response:
        async def work(transaction: Transaction) -> tuple[TemplateRow, Products]:
            found = await templates.template(transaction, template_id)
            return found, await products_of(transaction, found.outline)

        found, products = await self._desk.unit(work)
        tag = tag_of(found.model_dump_json())
        return await self._desk.pages.show(
            "template.html",
            status=status,
            found=found,
            words=told(found.name, found.outline),
            products=products,
            form=form or Form({"name": [found.name]}),
            seen=form.get(SEEN) if form and status == 422 else tag,
            may_write=may_write(),
        )


def _name(form: Form) -> str:
    """Raises Refused."""
    name = form.get("name").strip()
    if not 1 <= len(name) <= 120:
        raise invalid("name", "Give the template a name, of 120 characters at most.")
    return name
