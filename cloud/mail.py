"""Mail that leaves the cloud: by SMTP, or into a folder where there is no server (development, the demo)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib
import structlog

from cloud.clock import Clock, new_id

log = structlog.get_logger()

SEND_SECONDS = 20.0
WAITING = 500
"""So many mails wait at most; of more, the sender is told."""
PAUSES: Sequence[float] = (2.0, 10.0, 60.0)
"""Between tries."""


@dataclass(frozen=True)
class Mail:
    """Plain text to one person."""

    to: str
    subject: str
    text: str


class MailUndelivered(Exception):
    """It did not leave. `is_final`: it never will."""

    def __init__(self, reason: str, *, is_final: bool) -> None:
        super().__init__(reason)
        self.is_final = is_final


class Carrier(Protocol):
    """Takes mail away."""

    async def carry(self, message: EmailMessage) -> None:
        """Raises MailUndelivered."""


class SmtpCarrier:
    """By `smtp://user:password@host:587` (STARTTLS required) or `smtps://…:465`; `?plain=1` for a relay on loopback."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._is_tls = parts.scheme == "smtps"
        self._is_plain = parse_qs(parts.query).get("plain") == ["1"]
        self._host = parts.hostname or "localhost"
        self._port = parts.port or (465 if self._is_tls else 587)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None

    async def carry(self, message: EmailMessage) -> None:
        """Raises MailUndelivered."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await aiosmtplib.send(
                    message,
                    hostname=self._host,
                    port=self._port,
                    username=self._user,
                    password=self._password,
                    use_tls=self._is_tls,
                    start_tls=not (self._is_tls or self._is_plain),
                    timeout=SEND_SECONDS,
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            is_final = all(refused.code >= 500 for refused in error.recipients)
            raise MailUndelivered("recipient refused", is_final=is_final) from error
        except aiosmtplib.SMTPResponseException as error:
            raise MailUndelivered(f"status {error.code}", is_final=error.code >= 500) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailUndelivered(type(error).__name__, is_final=False) from error


class FolderCarrier:
    """Into a folder, one `.eml` a mail, the newest last by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def carry(self, message: EmailMessage) -> None:
        """Raises MailUndelivered."""
        try:
            await asyncio.to_thread(self._write, message.as_bytes())
        except OSError as error:
            raise MailUndelivered(type(error).__name__, is_final=False) from error

    def _write(self, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self._folder / f"{new_id()}.eml").write_bytes(content)


class MailRoom:
    """Sends mail without making anybody wait. What waits when the process ends is lost: whoever misses it asks anew."""

    def __init__(self, carrier: Carrier, sender: str, clock: Clock, pauses: Sequence[float] = PAUSES) -> None:
        self._carrier = carrier
        self._sender = sender
        self._clock = clock
        self._pauses = pauses
        self._waiting: asyncio.Queue[Mail] = asyncio.Queue(WAITING)

    def send(self, mail: Mail) -> None:
        """Take it. When too many wait it is dropped, and that is logged: mail is a convenience, never a promise."""
        try:
            self._waiting.put_nowait(mail)
        except asyncio.QueueFull:
            log.error("mail_dropped", subject=mail.subject)

    async def run(self) -> None:
        """Carry until cancelled."""
        while True:
            mail = await self._waiting.get()
            await self._deliver(mail)
            self._waiting.task_done()

    async def settled(self) -> None:
        """Return once all mail that was taken has left or was given up."""
        await self._waiting.join()

    async def _deliver(self, mail: Mail) -> None:
        try:
            message = self._message(mail)
        except (ValueError, AttributeError) as error:  # an address or name that no header takes
            log.error("mail_dropped", reason=repr(error))
            return
        for pause in (*self._pauses, None):
            try:
                await self._carrier.carry(message)
            except MailUndelivered as error:
                log.warning("mail_undelivered", subject=mail.subject, reason=str(error), is_final=error.is_final)
                if error.is_final or pause is None:
                    return
                await asyncio.sleep(pause)
            else:
                log.info("mail_sent", subject=mail.subject)
                return

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"] = self._sender, mail.to
        message["Subject"] = " ".join(mail.subject.split())
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2].strip(">") or "larder.invalid")
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        return message
