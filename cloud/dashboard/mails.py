"""Mail that went into a folder, to be read in a browser. In development only: anybody may read it."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from pathlib import Path
from uuid import UUID

from markupsafe import Markup, escape
from quart import Blueprint, Response

from cloud.dashboard.page import add_page
from cloud.dashboard.shell import Shell
from cloud.errors import NotFound
from cloud.operations import Access, operation

HERE = "/mail"
NEWEST = 100
"""So many are listed."""


@dataclass(frozen=True)
class MailShown:
    """A mail as it was sent."""

    name: str
    to: str
    subject: str
    sent_at: datetime
    text: str


class MailPages:
    """What was mailed."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        self._shell = shell
        self._folder = folder

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, HERE, self.show)
        add_page(pages, f"{HERE}/<uuid:name>", self.show_one)
        pages.add_app_template_filter(clickable)

    @operation(Access.PUBLIC)
    async def show(self) -> Response:
        """GET /mail: the newest first."""
        return await self._shell.bare("mails.html", mails=await asyncio.to_thread(self._newest))

    @operation(Access.PUBLIC)
    async def show_one(self, name: UUID) -> Response:
        """GET /mail/…."""
        mail = await asyncio.to_thread(self._read, self._folder / f"{name}.eml")
        if mail is None:
            raise NotFound
        return await self._shell.bare("mail.html", mail=mail)

    def _newest(self) -> list[MailShown]:
        paths = sorted(self._folder.glob("*.eml"), reverse=True)[:NEWEST]
        return [mail for mail in map(self._read, paths) if mail is not None]

    def _read(self, path: Path) -> MailShown | None:
        try:
            message = BytesParser(policy=policy.default).parsebytes(path.read_bytes())
        except FileNotFoundError:
            return None
        body = message.get_body(("plain",))
        text = "" if body is None else str(body.get_content())
        sent_at = parsedate_to_datetime(message["Date"])
        return MailShown(path.stem, str(message["To"]), str(message["Subject"]), sent_at, text)


def clickable(text: str) -> Markup:
    """Plain text as markup in which what begins with http:// or https:// is a link."""
    return Markup(" ").join(Markup("\n").join(_lines(word)) for word in text.split(" "))


def _lines(word: str) -> Iterator[Markup]:
    for part in word.split("\n"):
        is_link = part.startswith(("http://", "https://"))
        yield Markup('<a href="{0}">{0}</a>').format(part) if is_link else escape(part)
