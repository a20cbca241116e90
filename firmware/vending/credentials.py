"""The two secrets this device makes for itself: the token it logs in with, and the key of its commands' MACs."""

import json
import os
from collections import namedtuple

from . import TYPE_CHECKING, const
from .log import log
from .messages import is_hex, to_hex

if TYPE_CHECKING:
    from .flash import Flash

FILE = "credentials.json"
_SECRET_BYTES = const(32)


Credentials = namedtuple("Credentials", ("token", "command_key", "fresh"))
"""`fresh`: made in this boot, so no gateway can know them yet."""


def load_or_make(flash: "Flash") -> Credentials:
    """The stored credentials; else new ones, on flash before anybody is told. Raises OSError."""
    stored = _stored(flash.read(FILE))
    if stored is not None:
        return stored
    made = Credentials(to_hex(os.urandom(_SECRET_BYTES)), to_hex(os.urandom(_SECRET_BYTES)), True)
    data = json.dumps({"token": made.token, "command_key": made.command_key}).encode()
    flash.replace(FILE, data)
    if flash.read(FILE) != data:
        raise OSError("credentials read back differently")
    log("credentials_made")
    return made


def _stored(data: bytes) -> "Credentials | None":
    try:
        stored = json.loads(str(data, "utf-8"))
    except ValueError:
        return None
    if not isinstance(stored, dict) or not is_hex(stored.get("token"), 64) or not is_hex(stored.get("command_key"), 64):
        return None
    return Credentials(stored["token"], stored["command_key"], False)
