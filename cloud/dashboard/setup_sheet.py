"""The sheet of a finished setup: made by a button, shown once, printed, and taken to the site.

Each page with that button makes one sheet: a browser that goes back or loads it again is shown the same, so that no
code that was printed stops working by it.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from uuid import UUID

import segno
from markupsafe import Markup
from quart import Blueprint, Response
from werkzeug.wrappers import Response as PlainResponse

from cloud.bounded_app import deadline
from cloud.clock import new_id
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.page import add_page
from cloud.dashboard.setup_desk import SetupDesk
from cloud.dashboard.setup_steps import HERE, path_of
from cloud.errors import Refused
from cloud.idempotency import Once
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.sheets.rules import Sheet
from cloud.sheets.service import SheetService
from shared.signed import SignedText

DRAWING_SECONDS = 60.0
"""Of all codes of a sheet: 96 boards on a busy machine."""
SHEET = f"{HERE}/<uuid:setup_id>/sheet"
BUNDLE = f"{HERE}/<uuid:setup_id>/bundle"


class SetupSheetPages:
    """What is done with sheets."""

    def __init__(self, desk: SetupDesk, sheets: SheetService, once: Once) -> None:
        self._desk = desk
        self._sheets = sheets
        self._once = once

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, SHEET, self.ask)
        add_page(pages, SHEET, self.make, "POST")
        add_page(pages, BUNDLE, self.make_bundle, "POST")

    @operation(Permission.SETUPS_WRITE)
    async def ask(self, setup_id: UUID) -> Response | PlainResponse:
        """GET /setups/…/sheet: what a new one does to those before it."""
        setup = await self._desk.one(setup_id)
        if setup.finished_at is None:
            return lead(path_of(setup_id), "Finish the setup first: there is nothing to let in yet.", "bad")
        return await self._desk.pages.show("setup_sheet_new.html", setup=setup, sheet_key=new_id(), bundle_key=new_id())

    @operation(Permission.SETUPS_WRITE)
    @deadline(DRAWING_SECONDS)
    async def make(self, setup_id: UUID) -> Response | PlainResponse:
        """POST /setups/…/sheet."""
        return await self._show(setup_id, for_stick=False)

    @operation(Permission.SETUPS_WRITE)
    @deadline(DRAWING_SECONDS)
    async def make_bundle(self, setup_id: UUID) -> Response | PlainResponse:
        """POST /setups/…/bundle: the sheet of a site without internet, with the file for its stick."""
        return await self._show(setup_id, for_stick=True)

    async def _show(self, setup_id: UUID, *, for_stick: bool) -> Response | PlainResponse:
        make = self._sheets.make_bundle if for_stick else self._sheets.make
        work = partial(make, operator=current_operator(), setup_id=setup_id)
        key = _key_of(await read_form())
        try:
            given = await self._once.answer("dashboard.sheet", work, key)
        except Refused as error:
            return lead(path_of(setup_id), error.detail, "bad")
        sheet = Sheet.model_validate_json(given.text)
        texts = {device.device_id: device.setup_address for device in sheet.devices if device.setup_address}
        if sheet.gateway.command is not None:
            texts[sheet.gateway.gateway_id] = sheet.gateway.command
        drawings = await asyncio.to_thread(_drawings, texts)  # a tenth of a second each
        return await self._desk.pages.show("setup_sheet.html", sheet=sheet, drawings=drawings, file_of=file_of)


def _key_of(form: Form) -> UUID:
    try:
        return UUID(form.get("once"))
    except ValueError:
        return new_id()


def _drawings(texts: Mapping[UUID, str]) -> dict[UUID, Markup | None]:
    return {owner_id: drawn(text) for owner_id, text in texts.items()}


def drawn(text: str) -> Markup | None:
    """The code by which a phone opens an address, or shows a text to be copied; None if it is too long for one."""
    try:
        code = segno.make_qr(text, error="l", boost_error=False)
    except segno.DataOverflowError:
        return None
    return Markup(code.svg_inline(omitsize=True, border=4, dark="#000", light="#fff", svgclass=None, lineclass=None))  # noqa: S704  drawn by us


def file_of(settings: SignedText) -> str:
    """What is in a settings.json."""
    return settings.to_line().decode()
