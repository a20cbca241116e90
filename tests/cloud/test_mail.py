"""Mail that leaves, is tried again, or is given up."""

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from cloud.clock import Clock
from cloud.mail import WAITING, Carrier, FolderCarrier, Mail, MailRoom, MailUndelivered, SmtpCarrier
from tests.fakes.mailbox import Mailbox
from tests.fakes.smtp import smtp_server

MAIL = Mail("anna@snacks.example", "Höllo\r\nBcc: eve@evil.example", "A link:\n\nhttps://cloud.example/x\n")


@asynccontextmanager
async def running(carrier: Carrier, *pauses: float) -> AsyncIterator[MailRoom]:
    room = MailRoom(carrier, "Larder <larder@cloud.example>", Clock(), pauses)
    carrying = asyncio.create_task(room.run(), name="mail")
    try:
        async with asyncio.timeout(20):
            yield room
    finally:
        carrying.cancel()
        with suppress(asyncio.CancelledError):
            await carrying


async def test_mail_goes_by_smtp_and_its_subject_adds_no_header() -> None:
    async with smtp_server() as server, running(SmtpCarrier(f"smtp://127.0.0.1:{server.port}?plain=1")) as room:
        room.send(MAIL)
        await room.settled()
    (text,) = server.mails
    message = email.message_from_string(text, policy=email.policy.default)
    assert (message["To"], message["From"]) == ("anna@snacks.example", "Larder <larder@cloud.example>")
    assert message["Subject"] == "Höllo Bcc: eve@evil.example"
    assert message["Bcc"] is None
    assert "https://cloud.example/x" in message.get_content()


async def test_a_server_that_is_busy_is_tried_again_and_a_final_no_is_believed() -> None:
    async with smtp_server() as server, running(SmtpCarrier(f"smtp://127.0.0.1:{server.port}?plain=1"), 0, 0) as room:
        server.to_recipient = ["450 later", "450 later"]
        room.send(MAIL)
        await room.settled()
        assert len(server.mails) == 1
        server.to_recipient = ["550 nobody here", "250 ok"]
        room.send(MAIL)
        await room.settled()
        assert len(server.mails) == 1


async def test_an_encrypted_connection_is_insisted_on() -> None:
    async with smtp_server() as server:
        with pytest.raises(MailUndelivered):
            await SmtpCarrier(f"smtp://127.0.0.1:{server.port}").carry(email.message.EmailMessage())
    assert server.mails == []


async def test_without_a_server_it_lies_in_a_folder(tmp_path: Path) -> None:
    async with running(FolderCarrier(tmp_path / "mail")) as room:
        room.send(MAIL)
        room.send(MAIL)
        await room.settled()
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 2


async def test_one_that_cannot_leave_keeps_no_other_waiting_for_ever() -> None:
    mailbox = Mailbox()
    mailbox.failures = [MailUndelivered("away", is_final=False)] * 3
    async with running(mailbox, 0, 0) as room:
        room.send(MAIL)
        room.send(Mail("otto@snacks.example", "Hello", "text"))
        await room.settled()
    assert [message["To"] for message in mailbox.messages] == ["otto@snacks.example"]


async def test_a_bounded_number_waits() -> None:
    room = MailRoom(Mailbox(), "Larder <larder@cloud.example>", Clock())
    for _ in range(WAITING + 5):
        room.send(MAIL)
    assert room._waiting.qsize() == WAITING


async def test_an_address_or_subject_that_no_header_takes_costs_no_other_mail() -> None:
    mailbox = Mailbox()
    async with running(mailbox) as room:
        room.send(Mail("x:;@a.b", "Hello", "text"))
        room.send(Mail("anna@snacks.example", "one\u2028two\x0bthree", "text"))
        await room.settled()
    assert [message["Subject"] for message in mailbox.messages] == ["one two three"]
