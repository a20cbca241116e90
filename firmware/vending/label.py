"""What the board's label says: the network that the board opens while it has no settings, and its password.

Each board has a password of its own, made when it is flashed (label.json), else by itself when it first needs one.
"""

import json
import os
from collections import namedtuple

from .checks import is_int, is_text
from .flash import Flash

FILE = "label.json"
LETTERS = "abcdefghjkmnp" + "qrstuvwxyz" + "23456789"
"""None that a reader takes for another."""
PASSWORD_LETTERS = 12

Label = namedtuple("Label", ("password", "led"))
"""`led`: the pin of a lamp that may tell of the set-up, when no settings say where there is one; None without."""


def network_name(mac: bytes) -> str:
    """By the end of the radio's address, so that two boards on one table are told apart."""
    return "LARDER-%02X%02X" % (mac[-2], mac[-1])


def new_password() -> str:
    """59 random bits."""
    return "".join([LETTERS[byte % len(LETTERS)] for byte in os.urandom(PASSWORD_LETTERS)])


def load_or_make(flash: Flash) -> Label:
    """The label that was put on flash; else one that is now. Raises OSError."""
    label = _stored(flash.read(FILE))
    if label is None:
        label = Label(new_password(), None)
        flash.replace(FILE, to_json(label).encode())
    return label


def to_json(label: Label) -> str:
    """The text of label.json."""
    return json.dumps({"password": label.password, "led": label.led})


def is_led(pin: object) -> bool:
    """Whether a lamp may hang on this pin: none of the flash, the serial line or the boot button, and an output."""
    return is_int(pin, 2, 33) and pin != 3 and not 6 <= int(str(pin)) <= 11


def _stored(data: bytes) -> "Label | None":
    try:
        given = json.loads(str(data, "utf-8"))
    except ValueError:
        return None
    if not isinstance(given, dict) or not is_text(given.get("password"), 8, 63):
        return None
    led = given.get("led")
    return Label(given["password"], led if is_led(led) else None)
