"""Starts a child as a user without any rights that dies with its parent (Linux only).

Root's folders stay closed to that user. A child reaches its data through its working directory alone
(`WORKING_DIRECTORY` needs no right on the folders above), and programs in a closed folder are run from a copy.
"""

import ctypes
import os
import pwd
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

WORKING_DIRECTORY = "/proc/self/cwd"
_SERVER_ID = 60_817
"""In no range that a distribution gives away (systemd's UIDS-GIDS.md): unlike `nobody`, no other program runs as it."""
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ServerUser:
    """Whom the child runs as."""

    uid: int
    gid: int

    @property
    def is_ours(self) -> bool:
        """True when no change of user is needed."""
        return self.uid == os.geteuid()


def server_user() -> ServerUser:
    """Ourselves, or when we are root (as whom Postgres refuses to run) a user that is only the server's."""
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid())
    return ServerUser(_SERVER_ID, _SERVER_ID)


def named_user() -> ServerUser:
    """Ourselves, or `nobody` when we are root: `initdb` insists on a user that has a name."""
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid())
    nobody = pwd.getpwnam("nobody")
    return ServerUser(nobody.pw_uid, nobody.pw_gid)


def give(folder: Path, user: ServerUser) -> None:
    """Makes `user` the owner of `folder` and all in it, following no link."""
    if user.is_ours or os.lstat(folder).st_uid == user.uid:
        return
    for _, folders, files, descriptor in os.fwalk(folder):
        for name in (*folders, *files):
            os.chown(name, user.uid, user.gid, dir_fd=descriptor, follow_symlinks=False)
    os.chown(folder, user.uid, user.gid, follow_symlinks=False)


def reachable(program: Path, user: ServerUser) -> bool:
    """True when mode bits let `user` through every folder above `program`, and run it."""
    where = program.resolve()
    for step in (where, *where.parents):
        status = step.stat()
        if not status.st_mode & (0o100 if status.st_uid == user.uid else 0o001):
            return False
    return True


def open_copy(folder: Path, parts: Iterable[str], copy: Path) -> Path:
    """A copy of these parts of `folder` that everybody may run and only we may write, made once.

    The place must be ours alone.
    """
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.parent.chmod(0o755)
    if copy.exists():
        return copy
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=copy.parent))
    for part in parts:
        shutil.copytree(folder / part, unfinished / part, symlinks=True, ignore=shutil.ignore_patterns("include"))
    for path in (unfinished, *unfinished.rglob("*")):
        path.chmod(0o755)
    try:
        unfinished.rename(copy)
    except OSError:
        shutil.rmtree(unfinished)
        if not copy.exists():  # else another process was faster
            raise
    return copy


def enter_child(user: ServerUser, parent: int) -> Callable[[], None]:
    """Builds the `preexec_fn` that drops root and ties the child's life to process `parent`."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter() -> None:
        if not user.is_ours:
            os.setgroups([])
            os.setgid(user.gid)
            os.setuid(user.uid)
        # After setuid, which clears it. A parent that died before this line is seen by its missing pid.
        if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "cannot tie the child's life to ours")
        if os.getppid() != parent:
            os._exit(1)

    return enter
