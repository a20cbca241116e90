"""Take the settings that the gateway offers: fetch them, check them as a boot would, and boot on trial with them."""

from . import SettingsError, settings_file, topics, trial
from .log import alarm, log, warn
from .restart import come_to_rest, go
from .sockets import site_context

PIECE_BYTES = 1536
TRIES = 3
"""So often a piece is asked for before the offer has to come again."""


async def perform(parts, fields: dict) -> None:
    """The errand: an offer of settings."""
    digest = fields["digest"]
    if trial.is_under_way(parts.flash) or digest == trial.digest_of(parts.flash.read(trial.RUNNING)):
        _report(parts)
        return
    data = await _fetched(parts, digest, fields["size"])
    if data is None:
        return
    parts.errands.held += 1
    try:
        # With nothing that turns: to check a signature takes an ESP32 seconds in which it sees and hears nothing.
        waits_for = await come_to_rest(parts)
        if waits_for is not None:
            log("settings_put_off", reason=waits_for)
        else:
            await _take(parts, digest, data)
    finally:
        parts.errands.held -= 1


async def _take(parts, digest: str, data: bytes) -> None:
    reason = _refusal(parts, data)
    try:
        if reason is None:
            trial.begin(parts.flash, data)
        else:
            warn("settings_refused", reason=reason)
            trial.refuse(parts.flash, digest, reason)
    except OSError as error:
        alarm("settings_not_written", error=str(error))
        parts.reports.tell(topics.SETTINGS, trial.unwritten(parts.flash, parts.boot_id, digest))
        return
    if reason is None:
        await go(parts)
    else:
        _report(parts)


def _refusal(parts, data: bytes) -> "str | None":
    """Why this device does not run on these settings."""
    try:
        wanted = settings_file.load(parts.flash, data)
        site_context(wanted.ca_der)
    except SettingsError as error:
        return str(error)
    except MemoryError:
        return "too large for this device"
    if (wanted.machine_id, wanted.device_id) != (parts.settings.machine_id, parts.settings.device_id):
        return "machine_id and device_id must be this device's"
    return None


async def _fetched(parts, digest: str, size: int) -> "bytes | None":
    """The whole file; None if it does not come, or is another."""
    data = b""
    tries = 0
    while len(data) < size and tries < TRIES:
        piece = await parts.errands.fetch(parts, digest, len(data), min(PIECE_BYTES, size - len(data)))
        if piece == b"":
            break
        tries = tries + 1 if piece is None else 0
        data += piece or b""
    if trial.digest_of(data) == digest:
        return data
    warn("settings_not_fetched", bytes=len(data), size=size)
    return None


def _report(parts) -> None:
    parts.reports.tell(topics.SETTINGS, trial.report(parts.flash, parts.boot_id))
