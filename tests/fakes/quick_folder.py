"""A folder for what a test's Postgres writes: in memory where there is room, since its disk is not what is tested."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 << 30
"""A server with one database at a time takes a tenth of it; its log of changes may take half a gigabyte."""


@contextmanager
def quick_folder(memory: Path = MEMORY, room_bytes: int = ROOM_BYTES) -> Iterator[Path]:
    """One that goes with what is in it, in `memory` if there is such a folder with so much room."""
    has_room = memory.is_dir() and shutil.disk_usage(memory).free >= room_bytes
    with tempfile.TemporaryDirectory(prefix="larder-", dir=memory if has_room else None) as folder:
        yield Path(folder)
