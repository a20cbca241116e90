"""How much of a release lies on this device's flash."""

import os

from .standing import digest_of

OFFERED = "offered.json"
"""The signed text that was offered last, until it is believed."""
IMAGE_RELEASE = "image.json"
IMAGE_PLACE = "image.at"


def fetched(root: str, slot: str, offered: str) -> int:
    """Bytes of the release's files, while the program in the folder `slot` runs."""
    if digest_of(root + IMAGE_RELEASE) == offered:
        return image_place(root)[1]
    folder = root + other_than(slot) + "/vending"
    try:
        return sum([os.stat(folder + "/" + name)[6] for name in os.listdir(folder)])
    except OSError:
        return 0


def image_place(root: str) -> tuple:
    """(SHA-256, bytes) of an image that is being fetched: so many of its bytes lie in the idle partition."""
    try:
        with open(root + IMAGE_PLACE) as file:
            digest, place = file.read().split(" ")
            return (digest, int(place))
    except (OSError, ValueError):
        return ("", 0)


def other_than(slot: str) -> str:
    """The folder that does not run."""
    return "b" if slot == "a" else "a"
