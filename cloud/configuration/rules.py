"""What is wrong with a device's settings. Pure.

They are checked by the very code that the device checks them with at boot: of the firmware, the part that runs
anywhere. No other module of the cloud knows the firmware.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

from firmware.vending import SettingsError
from firmware.vending.settings import parse
from shared.contract import Message
from shared.errors import FieldError
from shared.signed import KeyId, Signature

MAX_TEXT = 24_000
"""Of the settings' text, in characters (shared/signed.py)."""


class SignedReport(Message):
    """What people keep, and no device is given: as `SignedText` (shared/signed.py), but as long as it takes."""

    text: Annotated[str, StringConstraints(min_length=2, max_length=1_000_000)]
    key: KeyId
    signature: Signature


_UNKNOWN = re.compile(r"^(\S+) has an unknown setting: (\S+)$")
_NAMED = re.compile(r"^([a-z][a-z0-9_]*(?:\.[^\s:]+)*)")
SECRETS = ("claim_code",)
HIDDEN = "…"


def settings_text(settings: Mapping[str, object]) -> str:
    """The text that is signed."""
    return json.dumps(settings, separators=(",", ":"))


def wrong_setting(text: str, machine_id: UUID, device_id: UUID) -> FieldError | None:
    """What this device would refuse these settings for; the path is that of the setting, below `settings`."""
    if len(text) > MAX_TEXT:
        return FieldError(path="settings", message=f"must be {MAX_TEXT} characters at most, written without spaces")
    reason = _why_refused(text)
    if reason is not None:
        return FieldError(path=_path(reason), message=reason)
    settings = json.loads(text)
    for name, wanted in (("machine_id", machine_id), ("device_id", device_id)):
        if settings[name] != str(wanted):
            return FieldError(path=f"settings.{name}", message=f"must be {wanted}, which is this device's")
    return None


def shown(text: str) -> dict[str, object]:
    """The settings as operators see them again: without what lets anybody in."""
    settings: dict[str, object] = json.loads(text)
    for name in SECRETS:
        if settings.get(name) is not None:
            settings[name] = HIDDEN
    wifi = settings.get("wifi")
    if isinstance(wifi, dict):
        settings["wifi"] = wifi | {"password": HIDDEN}
    return settings


def changed_settings(before: str, after: str) -> list[str]:
    """The names of the settings that are not the same in both, for the audit log: what they say may be secret."""
    old, new = json.loads(before), json.loads(after)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _path(reason: str) -> str:
    """The setting that the firmware's words begin with."""
    unknown = _UNKNOWN.match(reason)
    if unknown is not None:
        where = "" if unknown[1] == "settings.json" else f"{unknown[1]}."
        return f"settings.{where}{unknown[2]}"
    named = _NAMED.match(reason)
    return "settings" if named is None or named[1] == "settings.json" else f"settings.{named[1]}"


def _why_refused(text: str) -> str | None:
    """What a device would say to these settings; None if it would run on them."""
    try:
        parse(text.encode())
    except SettingsError as error:
        return str(error)
    return None
