"""How this device stands with its firmware, as it lies on its flash. Imported at each connect: it has few names."""

import hashlib

from . import VERSION, slots
from .borrowed import borrow, give_back
from .messages import pack, to_hex

RELEASE = "release.json"


def running() -> "str | None":
    """The folder from which this program was imported; None on a PC."""
    folder = __file__.split("/")[0]
    return folder if folder in ("a", "b") else None


def report(parts, ready: bool = False) -> bytes:
    """shared.releases.FirmwareReport; `ready` when it is."""
    root = parts.flash.folder + "/"
    marker = slots.read(root) or slots.FIRST
    slot = running() or "a"
    own = {"slot": slot, "digest": digest_of(root + slot + "/" + RELEASE), "version": VERSION}
    fetched = 0
    if marker["state"] == "fetching":
        fetched = borrow("progress").fetched(root, slot, marker["offered"])
        give_back("progress")
    message = {"boot_id": parts.boot_id, "running": own, "state": marker["state"], "offered": marker["offered"]}
    message.update({"fetched": fetched, "reason": marker["reason"], "ready": ready})
    return pack(message)


def is_due(flash) -> bool:
    """Whether something has to prove itself in this boot (probation.py). Raises OSError."""
    root = flash.folder + "/"
    marker = slots.read(root) or slots.FIRST
    if marker["image_trial"] is None:
        return marker["trial"] is not None and marker["trial"] == running()
    runs = borrow("partitions").Partitions().running
    give_back("partitions")
    if runs != marker["image_trial"][0]:
        # The boot loader went back, or never came so far.
        slots.write(slots.given_up(marker, "the image did not prove itself"), root)
    return runs == marker["image_trial"][0]


def digest_of(path: str) -> "str | None":
    """SHA-256 of a file; None if there is none."""
    hasher = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            chunk = file.read(512)
            while chunk:
                hasher.update(chunk)
                chunk = file.read(512)
    except OSError:
        return None
    return to_hex(hasher.digest())
