"""What a process has in memory and was told in its environment stays its own, also from others of the same user.

Linux lets programs of one user read each other's `/proc/PID/environ` and `mem`, and those with capabilities
everybody's. Decoders of crafted bytes run as our user.
"""

import ctypes
import os

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITIES_VERSION = 0x2008_0522
_CAPABILITY_WORDS = 6


def hide() -> None:
    """Nobody but root reads or traces this process from here on, and its death leaves no core behind.

    A program that it starts can be read again. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _require(libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "cannot hide our memory")


def give_up_capabilities() -> None:
    """What root may do besides, this process may not from here on, nor what it starts. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    _require(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "cannot refuse new privileges")
    header, none = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0), (ctypes.c_uint32 * _CAPABILITY_WORDS)()
    _require(libc.capset(header, none), "cannot give capabilities up")


def _require(status: int, otherwise: str) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{otherwise}: {os.strerror(number)}")
