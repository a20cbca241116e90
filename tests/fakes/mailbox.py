"""Takes mail away, and keeps it to be read."""

import asyncio
import re
from email.message import EmailMessage

from cloud.mail import MailUndelivered


class Mailbox:
    """A carrier that delivers at once, unless it has been told to fail."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.failures: list[MailUndelivered] = []
        """Raised one after the other, before anything is delivered."""
        self._came = asyncio.Event()

    async def carry(self, message: EmailMessage) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.messages.append(message)
        self._came.set()

    def to(self, address: str) -> list[str]:
        """The texts of all mail to an address, the newest last."""
        return [message.get_content() for message in self.messages if message["To"] == address]

    async def link(self, address: str, nth: int = 1) -> str:
        """The path of the link in the nth mail to an address, once it has come."""
        async with asyncio.timeout(10):
            while len(self.to(address)) < nth:
                self._came.clear()
                await self._came.wait()
        found = re.search(r"https?://[^/\s]+(/\S+)", self.to(address)[nth - 1])
        assert found is not None
        return found[1]
