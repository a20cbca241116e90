"""Small files that nobody else may read, written so that a crash leaves the old one or the new one."""

import os
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Replace the file at once and for good. Raises OSError.

    Only its owner can read it: whose the folder is, so that root leaves it for the gateway.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
