"""What a device says first over each connection: who it is, what it holds, on which settings and program it runs."""

import hashlib

from . import TYPE_CHECKING, VERSION, const, topics
from .borrowed import borrow, give_back
from .messages import pack, to_hex

if TYPE_CHECKING:
    from . import rules
    from .errands import Parts
    from .mqtt import MqttClient
    from .session import Session

_VERSION = const(1)
"""As messages.py has it, of each vend."""


async def greet(session: "Session", client: "MqttClient", parts: "Parts", greetings: list) -> None:
    """Listen for commands, then say hello: from here on everything unacknowledged is due.

    Each of `greetings` gives more (channel, payload) pairs to say. Raises MqttError.
    """
    await client.subscribe(session.topic(topics.COMMAND))
    journal = parts.journal
    told = hello(parts.boot_id, VERSION, session.begin(), journal.id, journal.state, parts.settings.at_once)
    await client.publish(session.topic(topics.HELLO), told)
    parts.reports.connected(client)
    await client.publish(session.topic(topics.SETTINGS), _settings(parts))
    await client.publish(session.topic(topics.OTA), borrow("standing").report(parts))
    give_back("standing", "slots")
    for greeting in greetings:
        for channel, payload in greeting():
            await client.publish(session.topic(channel), payload)


def hello(boot_id: str, firmware: str, nonce: str, journal_id: str, journal: "rules.Journal", at_once: int) -> bytes:
    """shared.devices.Hello."""
    vends = [
        {"v": _VERSION, "epoch": vend.epoch, "seq": vend.seq, "vend_id": vend.vend_id, "state": vend.state}
        for vend in journal.vends
    ]
    told = {
        "boot_id": boot_id,
        "firmware": firmware,
        "journal_id": journal_id,
        "epoch": journal.highest[0],
        "seq": journal.highest[1],
        "nonce": nonce,
        "open": vends,
    }
    if at_once > 1:
        # An older gateway knows nothing of it, and needs nothing of it where motors turn one at a time.
        told["at_once"] = at_once
    return pack(told)


def settings_report(boot_id: str, running: bytes, told: "dict | None" = None) -> bytes:
    """shared.upkeep.SettingsReport of a device that runs on these bytes; `told` says more unless they are kept."""
    # As a name of the file itself: within a signed text a quotation mark has a backslash before it.
    digest = to_hex(hashlib.sha256(running).digest()) if b'"signature":' in running else None
    message = {"boot_id": boot_id, "digest": digest, "state": "kept"}
    message.update(told or {})
    return pack(message)


def _settings(parts: "Parts") -> bytes:
    if not parts.flash.has("settings.trial"):
        return settings_report(parts.boot_id, parts.flash.read("settings.json"))
    told = borrow("trial").report(parts.flash, parts.boot_id)
    give_back("trial", "exchange")
    return told
