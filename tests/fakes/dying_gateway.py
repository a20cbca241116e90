"""`python -m tests.fakes.dying_gateway FOLDER`: the gateway's program, one part of which dies while its disk hangs."""

import asyncio
import sys
import time
from pathlib import Path

from edge.__main__ import run
from edge.app import Gateway, Work
from edge.clock import Clock
from tests.fakes.gateway import settings_for

STOP_WITHIN_S = 0.5
HANGS_S = 60.0


class DyingGateway(Gateway):
    """Its ledger can be closed only after HANGS_S."""

    def _work(self) -> dict[str, Work]:
        return {**super()._work(), "dying": self._die}

    async def _die(self) -> None:
        disk = asyncio.create_task(self.database.unit("test.hang", lambda _: time.sleep(HANGS_S)), name="hanging disk")
        await asyncio.wait({disk}, timeout=0.1)
        raise RuntimeError("as a test wants it")


if __name__ == "__main__":
    gateway = DyingGateway(settings_for(Path(sys.argv[1]), "http://127.0.0.1:9"), Clock())
    asyncio.run(run(gateway, STOP_WITHIN_S))
