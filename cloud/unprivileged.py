"""Starts a child as an unprivileged user that dies with its parent (Linux only)."""

import ctypes
import os
import pwd
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
_LINUX_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1


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
    """Ourselves, or `nobody` when we are root (Postgres refuses to run as root)."""
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid())
    nobody = pwd.getpwnam("nobody")
    return ServerUser(nobody.pw_uid, nobody.pw_gid)


def reachable(path: Path, user: ServerUser) -> bool:
    """True when every folder above `path` lets `user` through by its mode bits."""
    for folder in path.resolve().parents:
        status = folder.stat()
        if not status.st_mode & (0o100 if status.st_uid == user.uid else 0o001):
            return False
    return True


def enter_child(user: ServerUser, parent: int, *, pass_closed_folders: bool) -> Callable[[], None]:
    """Builds the `preexec_fn` that drops root and ties the child's life to process `parent`.

    With `pass_closed_folders` the child keeps the one capability to pass folders closed to it, because a checkout
    often lies below a private folder (`mktemp -d`, /root) that only root may enter.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def check(result: int) -> None:
        if result != 0:
            raise OSError(ctypes.get_errno(), "cannot drop privileges")

    def enter() -> None:
        if not user.is_ours:
            if pass_closed_folders:
                check(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
            os.setgroups([])
            os.setgid(user.gid)
            os.setuid(user.uid)
            if pass_closed_folders:
                _keep_capability(libc, check)
        # After setuid, which clears it. A parent that died before this line is seen by its missing pid.
        check(libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0))
        if os.getppid() != parent:
            os._exit(1)

    return enter


def _keep_capability(libc: ctypes.CDLL, check: Callable[[int], None]) -> None:
    """Keeps CAP_DAC_OVERRIDE alone, over the coming exec too (capabilities(7), ambient set)."""
    mask = 1 << _CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(_LINUX_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    check(libc.capset(header, data))
    check(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0))
