"""The service PIN: whoever guesses waits ever longer, and no power cut takes back how often it was wrong.

How often lies on flash, from the first wrong one until a right one. It is written twelve times at most until then, so
guessing wears nothing out.
"""

import hashlib

from .exchange import exchange
from .log import warn
from .messages import to_hex

FILE = "service.pin"
FREE_TRIES = 5
FIRST_WAIT_MS = 30_000
MAX_WRONG = 12
"""After the fifth wrong PIN 30 s, after the twelfth and each one more 64 minutes."""


def refusal(parts, pin: str) -> "str | None":
    """Why this PIN opens nothing now; None if it does. Raises OSError, and then it does not."""
    errands, settings, flash = parts.errands, parts.settings, parts.flash
    if settings.service_pin_sha256 is None:
        return "the settings have no service PIN"
    wrong = _wrong(flash)
    # A boot has forgotten since when somebody waits: they wait anew, counted from it.
    wait_ms = max(errands.locked_until_ms, _wait_ms(wrong)) - parts.clock.ms()
    if wait_ms > 0:
        return "too many wrong PINs: wait %d s" % ((wait_ms + 999) // 1000)
    if to_hex(hashlib.sha256((settings.device_id + ":" + pin).encode()).digest()) == settings.service_pin_sha256:
        if wrong:
            flash.remove(FILE)
        return None
    # Before anybody hears that it was wrong.
    wrong = _keep(flash, wrong, min(wrong + 1, MAX_WRONG))
    errands.locked_until_ms = parts.clock.ms() + _wait_ms(wrong)
    warn("service_pin_wrong")
    return "the PIN is wrong"


def _wait_ms(wrong: int) -> int:
    return 0 if wrong < FREE_TRIES else FIRST_WAIT_MS << (wrong - FREE_TRIES)


def _keep(flash, before: int, wrong: int) -> int:
    """What is to be waited for: a flash that cannot count takes every guess for the last."""
    try:
        if wrong != before:
            exchange(flash, FILE, str(wrong).encode())
    except OSError:
        return MAX_WRONG
    return wrong


def _wrong(flash) -> int:
    data = flash.read(FILE)
    try:
        return min(int(str(data, "utf-8")), MAX_WRONG) if data else 0
    except ValueError:
        return MAX_WRONG
