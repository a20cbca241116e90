"""The gateway's cloud while it is measured, in a process of its own: `python -m … CHANGES.json PORT`, until SIGTERM.

It takes facts as the real one does and knows the site the file describes, but stores nothing: its load is small.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

from tests.fakes.cloud import FakeCloud, running


async def main(changes: Path, port: int) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with running(FakeCloud(changes=json.loads(changes.read_text())), port) as cloud:
        print(json.dumps({"event": "ready", "url": cloud.url}), flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
