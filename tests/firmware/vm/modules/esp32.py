# mypy: ignore-errors
"""Two partitions for images and the boot loader's choice between them, as files in `partitions/` of the flash.

A block is erased, to 0xFF, and then written; the power may go at any byte of either. The choice is written at once or
not at all, as the boot loader's two sectors are. A new image boots once; unless it is marked valid then, the next boot
is the old one's. An image that does not begin with MAGIC is none.
"""

import json
import os

FOLDER = "/flash/partitions/"
CHOICE = FOLDER + "choice.json"
BLOCK_BYTES = 4096
SIZE = 65536
MAGIC = b"\xe9"
NEW, PENDING, VALID, ABORTED = "new", "pending", "valid", "aborted"


def _read():
    with open(CHOICE) as file:
        return json.loads(file.read())


def _write(choice):
    with open(CHOICE + ".new", "w") as file:
        file.write(json.dumps(choice))
    os.rename(CHOICE + ".new", CHOICE)


def _load():
    """What the boot loader does at power-on."""
    choice = _read()
    if choice["state"] == NEW:
        choice["state"] = PENDING
        _write(choice)
    elif choice["state"] == PENDING:
        choice = {"boots": _other(choice["boots"]), "state": ABORTED}
        _write(choice)
    return choice["boots"]


def _other(label):
    return "ota_1" if label == "ota_0" else "ota_0"


class Partition:
    RUNNING = 1

    def __init__(self, which):
        self._label = _running if which == Partition.RUNNING else which

    def info(self):
        return (0, 16, 0, SIZE, self._label, False)

    def get_next_update(self):
        return Partition(_other(_running))

    def readblocks(self, block, buffer):
        with open(FOLDER + self._label, "rb") as file:
            file.seek(block * BLOCK_BYTES)
            file.readinto(buffer)

    def writeblocks(self, block, buffer):
        for data in (b"\xff" * BLOCK_BYTES, buffer):
            with open(FOLDER + self._label, "r+b") as file:
                file.seek(block * BLOCK_BYTES)
                file.write(data)

    def set_boot(self):
        with open(FOLDER + self._label, "rb") as file:
            if file.read(1) != MAGIC:
                raise OSError("ESP_ERR_OTA_VALIDATE_FAILED")
        _write({"boots": self._label, "state": NEW})

    @staticmethod
    def mark_app_valid_cancel_rollback():
        choice = _read()
        choice["state"] = VALID
        _write(choice)


_running = _load()
