"""Settings of a device, checked by the very code that the device checks them with at boot.

The only module of the cloud that knows the firmware: of it, the part that is pure and runs anywhere.
"""

from firmware.vending import SettingsError
from firmware.vending.settings import parse


def why_refused(text: str) -> str | None:
    """What a device would say to these settings; None if it would run on them."""
    try:
        parse(text.encode())
    except SettingsError as error:
        return str(error)
    return None
