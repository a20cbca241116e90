"""How this device stands with its firmware, as it lies on its flash."""

import hashlib
import os

from . import VERSION, slots
from .messages import pack, to_hex

RELEASE = "release.json"
IMAGE_RELEASE = "image.json"
IMAGE_PLACE = "image.at"


def report(parts) -> bytes:
    """shared.releases.FirmwareReport."""
    root = parts.flash.folder + "/"
    marker = slots.read(root) or slots.FIRST
    slot = slots.running() or slots.SLOTS[0]
    running = {"slot": slot, "digest": digest_of(root + slot + "/" + RELEASE), "version": VERSION}
    message = {"boot_id": parts.boot_id, "running": running, "state": marker["state"], "offered": marker["offered"]}
    fetched = _fetched(root, slot, marker["offered"]) if marker["state"] == slots.FETCHING else 0
    message.update({"fetched": fetched, "reason": marker["reason"]})
    return pack(message)


def digest_of(path: str) -> "str | None":
    """SHA-256 of a file; None if there is none."""
    hasher = hashlib.sha256()
    buffer = bytearray(512)
    try:
        with open(path, "rb") as file:
            size = file.readinto(buffer)
            while size:
                hasher.update(memoryview(buffer)[:size])
                size = file.readinto(buffer)
    except OSError:
        return None
    return to_hex(hasher.digest())


def image_place(root: str) -> tuple:
    """(SHA-256, bytes) of an image that is being fetched: so many of its bytes lie in the idle partition."""
    try:
        with open(root + IMAGE_PLACE) as file:
            digest, place = file.read().split(" ")
            return (digest, int(place))
    except (OSError, ValueError):
        return ("", 0)


def _fetched(root: str, slot: str, offered: str) -> int:
    if digest_of(root + IMAGE_RELEASE) == offered:
        return image_place(root)[1]
    folder = root + slots.other_than(slot) + "/vending"
    try:
        return sum([os.stat(folder + "/" + name)[6] for name in os.listdir(folder)])
    except OSError:
        return 0
