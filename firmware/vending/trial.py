"""New settings on trial: they lie beside settings.json, and take its place once the link has stood on them.

settings.trial says how that stands: which settings were offered last, and over which, both by SHA-256, why they are not
kept or how many boots they have had, and how often they were tried. Without that file, settings.json is kept. The power
may go at any byte: a boot runs on the old settings or on the new ones. Other settings that somebody puts there by hand
end the trial.
"""

import asyncio
import hashlib
import json

from . import topics
from .exchange import exchange
from .greeting import settings_report
from .log import alarm, warn
from .messages import to_hex

RUNNING = "settings.json"
NEXT = "settings.next"
FILE = "settings.trial"
MAX_BOOTS = 2
"""The first and, if the power goes meanwhile, one more."""
LINK_MS = 120_000
LOOK_S = 0.2

KEPT, TRIAL, REVERTED, REFUSED = "kept", "trial", "reverted", "refused"
NOTHING = {"state": KEPT, "offered": None, "over": None, "boots": 0, "tries": 0, "reason": None}


def begin(flash, data: bytes) -> None:
    """The next boot runs on these settings, which were found right. Raises OSError."""
    flash.replace(NEXT, data)
    if flash.read(NEXT) != data:
        raise OSError(NEXT + " reads back differently")
    offered = digest_of(data)
    _write(flash, TRIAL, offered, _tries(flash, offered) + 1, over=digest_of(flash.read(RUNNING)))


def refuse(flash, offered: str, reason: str) -> None:
    """Remember that settings were offered that are no good. Raises OSError."""
    _write(flash, REFUSED, offered, _tries(flash, offered) + 1, reason=reason)


def choose(flash) -> "bytes | None":
    """What this boot runs on: the settings on trial, whose boots are counted by this; None: settings.json."""
    try:
        return _choose(flash)
    except OSError as error:
        alarm("trial_unreadable", error=str(error))
        return None


def _choose(flash) -> "bytes | None":
    told = _read(flash)
    if told["state"] != TRIAL:
        return None
    running, data = digest_of(flash.read(RUNNING)), flash.read(NEXT)
    if running != told["over"] or digest_of(data) != told["offered"]:
        # They have taken the place of the others, and then the power went; or a hand was quicker.
        flash.remove(FILE)
        return None
    if told["boots"] >= MAX_BOOTS:
        revert(flash, "not proven in 2 boots")
        return None
    _write(flash, TRIAL, told["offered"], told["tries"], told["over"], told["boots"] + 1)
    return data


def is_under_way(flash) -> bool:
    """Whether it is still open what becomes of settings."""
    return _read(flash)["state"] == TRIAL


def revert(flash, reason: str) -> None:
    """The next boot runs on the old settings. Raises OSError."""
    warn("settings_reverted", reason=reason)
    told = _read(flash)
    _write(flash, REVERTED, told["offered"], told["tries"], reason=reason)
    flash.remove(NEXT)


def keep(flash) -> None:
    """The settings on trial are the settings. Raises OSError."""
    flash.rename(NEXT, RUNNING)
    flash.remove(FILE)


async def prove(parts, link) -> None:
    """Keep the settings that this boot has on trial once the link stands, or go back without them."""
    until = parts.clock.ms() + LINK_MS
    while link.state != "online":
        if parts.clock.ms() >= until:
            parts.errands.held += 1
            await parts.dispenser.rest()
            revert(parts.flash, "the link did not come up in 2 minutes")
            parts.board.restart()
            return
        await asyncio.sleep(LOOK_S)
    try:
        keep(parts.flash)
    except OSError as error:
        # The next boot tries again: it finds the new settings in their place, or on trial still.
        alarm("settings_not_kept", error=str(error))
    parts.reports.tell(topics.SETTINGS, report(parts.flash, parts.boot_id))


def report(flash, boot_id: str) -> bytes:
    """shared.upkeep.SettingsReport."""
    told = _read(flash)
    running = flash.read(NEXT if told["state"] == TRIAL else RUNNING)
    return settings_report(boot_id, running, {name: told[name] for name in ("state", "offered", "reason", "tries")})


def unwritten(flash, boot_id: str, offered: str) -> bytes:
    """shared.upkeep.SettingsReport of settings that the flash did not take, not even that."""
    told: dict = {"state": REFUSED, "offered": offered, "reason": "the flash does not take them"}
    told["tries"] = _tries(flash, offered) + 1
    return settings_report(boot_id, flash.read(RUNNING), told)


def digest_of(data: bytes) -> str:
    return to_hex(hashlib.sha256(data).digest())


def _tries(flash, offered: str) -> int:
    """How often these settings were tried since others were."""
    told = _read(flash)
    return told["tries"] if told["offered"] == offered else 0


def _write(
    flash,
    state: str,
    offered: "str | None",
    tries: int,
    over: "str | None" = None,
    boots: int = 0,
    reason: "str | None" = None,
) -> None:
    told = {"state": state, "offered": offered, "over": over, "boots": boots, "tries": tries}
    told["reason"] = None if reason is None else reason[:60]
    exchange(flash, FILE, json.dumps(told).encode())


def _read(flash) -> dict:
    """How it stands; a file that cannot be read is as none."""
    told = dict(NOTHING)
    try:
        told.update(json.loads(str(flash.read(FILE), "utf-8")))
    except ValueError:
        pass
    return told
