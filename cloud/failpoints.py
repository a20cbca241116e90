"""Named places at which a test may end the process as a power cut would (RELIABILITY R1)."""

import os

CRASH_STATUS = 137


class Failpoints:
    """Ends the process at the N-th hit of one name. `spec` is "", "name" or "name#N" (value of LARDER_FAILPOINT)."""

    def __init__(self, spec: str = "") -> None:
        self._name, _, count = spec.partition("#")
        self._left = int(count or 1)

    def hit(self, name: str) -> None:
        """Die here if it is this one's turn: no cleanup, no flush, as when the plug is pulled."""
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                os._exit(CRASH_STATUS)
