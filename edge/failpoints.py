"""Named places at which a test may end the process as a power cut would (RELIABILITY R1)."""

import os
import threading
import time

CRASH_STATUS = 137


class Failpoints:
    """Ends the process at the N-th hit of one name.

    `spec` is "", "name", "name#N" or "name#N+MS" (value of LARDER_FAILPOINT). With MS the process lingers so many
    milliseconds: a hit on the ledger's thread goes no further while the rest of the program goes on, and after one on
    the event loop everything goes on, so that what was just published leaves the machine.
    """

    def __init__(self, spec: str = "") -> None:
        place, _, linger_ms = spec.partition("+")
        self._name, _, count = place.partition("#")
        self._left = int(count or 1)
        self._linger_s = int(linger_ms or 0) / 1000

    def hit(self, name: str) -> None:
        """Die here if it is this one's turn: no cleanup, no flush, as when the plug is pulled."""
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                self._die()

    def _die(self) -> None:
        if self._linger_s and threading.current_thread() is threading.main_thread():
            threading.Timer(self._linger_s, os._exit, (CRASH_STATUS,)).start()
            return
        time.sleep(self._linger_s)
        os._exit(CRASH_STATUS)
