"""What is asked of a device, and when it is known what became of it. Pure."""

from datetime import datetime
from uuid import UUID

from shared.upkeep import (
    Action,
    DeviceInstruction,
    Jog,
    ReleaseZone,
    Restart,
    SettingsReport,
    SettingsReported,
    SettingsState,
)

UNSIGNED = "0" * 64
ANY_NONCE = "0" * 16

Asked = Restart | Jog | ReleaseZone


NEEDS_REST = frozenset({Action.RESTART, Action.JOG})
"""What is not asked of a device at which an order is open."""


def command(wish: DeviceInstruction, nonce: str) -> Asked | None:
    """The command that carries the wish, still unsigned; None if the wish lacks what it takes."""
    if wish.action is Action.RESTART:
        return Restart(request_id=wish.request_id, nonce=nonce, mac=UNSIGNED)
    if wish.action is Action.JOG and wish.slot is not None and wish.pin is not None:
        return Jog(request_id=wish.request_id, slot=wish.slot, pin=wish.pin, nonce=nonce, mac=UNSIGNED)
    if wish.action is Action.RELEASE_ZONE and wish.zone is not None:
        return ReleaseZone(request_id=wish.request_id, zone=wish.zone, nonce=nonce, mac=UNSIGNED)
    return None


def why_refused(wish: DeviceInstruction, machine_id: UUID | None, now: datetime) -> str | None:
    """Why this is not asked of the device (any more); None if it is. `machine_id` is where the device stands."""
    if machine_id != wish.machine_id:
        return "the device is not known here"
    if now >= wish.expires_at:
        return "expired"
    return None if command(wish, ANY_NONCE) is not None else "a slot and a PIN, or a zone, is missing"


MAX_TRIES = 3
"""So often are settings offered that the device goes back from: it may have been its gateway that was away."""


def tries_since(told: SettingsReport | SettingsReported, digest: str, before: int) -> int:
    """How often the device has tried the settings with this digest, since it had `before` times when they came.

    A device that has forgotten what it had tried begins to count anew.
    """
    if told.offered != digest:
        return 0
    return told.tries - before if told.tries >= before else told.tries


def tells_the_end(report: SettingsReport, digest: str, before: int) -> bool:
    """Whether the report says what became of the settings with this digest, which it had tried `before` times then."""
    if report.digest == digest and report.state is not SettingsState.TRIAL:
        return True
    tries = tries_since(report, digest, before)
    if report.state is SettingsState.REFUSED:
        return tries > 0
    return report.state is SettingsState.REVERTED and tries >= MAX_TRIES
