"""One line of JSON per event on the serial line (the simulator's stdout); the newest bad ones are kept for the gateway.

They are kept from the first moment on, before there is a device that could hold them: hence the module's own `kept`.
"""

import json

from . import const

WARNING = "warning"
ERROR = "error"
MAX_LINES = 16
MAX_BYTES = 1_024
"""Of all kept lines together: what a gateway that is away for days may cost of the heap."""
_MAX_FIELDS = const(200)
"""Characters of a line's fields; what is longer is cut off."""
_LINES_A_MESSAGE = const(8)


class Kept:
    """Lines at warning and above that no gateway has heard yet; the oldest give way, which their numbers show.

    One that says again what a kept one says is not kept: an hour without Wi-Fi is one line. `ms` tells the time since
    boot; until the device has a clock, everything happens at 0.
    """

    def __init__(self) -> None:
        self.ms = _at_boot
        self._number = 0
        self._lines: list = []

    def keep(self, level: str, event: str, fields: dict) -> None:
        told = {"level": level, "event": event, "fields": json.dumps(fields)[:_MAX_FIELDS]}
        body = json.dumps(told).encode()[1:]
        if any(line.endswith(body) for line in self._lines):
            return
        head = '{"number": %d, "uptime_ms": %d, ' % (self._number, self.ms())
        self._lines.append(head.encode() + body)
        self._number += 1
        while len(self._lines) > MAX_LINES or sum([len(line) for line in self._lines]) > MAX_BYTES:
            self._lines.pop(0)

    def take(self, boot_id: str) -> list:
        """The messages (shared.upkeep.LogLines) that tell of all kept lines; they are kept no longer."""
        head = b'{"v": 1, "boot_id": "' + boot_id.encode() + b'", "lines": ['
        starts = range(0, len(self._lines), _LINES_A_MESSAGE)
        messages = [head + b", ".join(self._lines[at : at + _LINES_A_MESSAGE]) + b"]}" for at in starts]
        self._lines = []
        return messages


def _at_boot() -> int:
    return 0


kept = Kept()


def log(event: str, **fields: object) -> None:
    """Tell that `event` (one snake_case word) happened. Never give it a secret."""
    _print(event, fields)


def warn(event: str, **fields: object) -> None:
    """As `log`, of what somebody should look into when it goes on; the gateway hears of it."""
    _print(event, fields)
    kept.keep(WARNING, event, fields)


def alarm(event: str, **fields: object) -> None:
    """As `log`, of what must not happen; the gateway hears of it."""
    _print(event, fields)
    kept.keep(ERROR, event, fields)


def _print(event: str, fields: dict) -> None:
    line: dict = {"event": event}
    line.update(fields)
    print(json.dumps(line))
