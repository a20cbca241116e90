"""What the machine itself tells: its storage, the ledger's file, who has a port, certificates. All of it only reads.

The ledger of a gateway that runs is not touched: one process has it open (ledger_file.py). One that nobody has open is
read under the same lock: a gateway that is started within those seconds is refused, and its service tries again.
"""

import errno
import fcntl
import os
import shutil
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from edge.doctor.rules import Certificates, Folder, Ledger, Port

LISTENING = "0A"
"""TCP_LISTEN in /proc/net/tcp."""
_STEPS = 10_000
"""Of SQLite's machine, between two looks at the clock."""
SYNCHRONISED = Path("/run/systemd/timesync/synchronized")


def folder(path: Path, sysfs: Path = Path("/sys")) -> Folder:
    """The data folder. Raises OSError."""
    there = path if path.exists() else next(above for above in path.absolute().parents if above.exists())
    disk = os.statvfs(there)
    return Folder(
        path=str(path),
        exists=path.exists(),
        writable=os.access(there, os.W_OK | os.X_OK),
        read_only_disk=bool(disk.f_flag & os.ST_RDONLY),
        free_bytes=shutil.disk_usage(there).free,
        worn_tenths=_worn(there, sysfs),
    )


def _worn(path: Path, sysfs: Path) -> int | None:
    """Tenths of its life that an eMMC has used, by the worse of its two figures (JESD84-B51); others say none."""
    device = path.stat().st_dev
    block = sysfs / "dev" / "block" / f"{os.major(device)}:{os.minor(device)}"
    for told in (block / "device" / "life_time", block.resolve().parent / "device" / "life_time"):
        if told.exists():
            return max(int(figure, 16) for figure in told.read_text().split())
    return None


def is_running(state_dir: Path) -> bool:
    """Whether a gateway has the ledger of this folder open."""
    with _lock_of(state_dir) as got:
        return got is False


@contextmanager
def _lock_of(state_dir: Path) -> Iterator[bool | None]:
    """The ledger's own lock: True while we have it, False when somebody else has, None when there is none."""
    try:
        lock = os.open(state_dir / "ledger.lock", os.O_RDONLY)
    except OSError:
        yield None
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(lock)


def ledger(state_dir: Path, within_s: float) -> Ledger:
    """The ledger that no gateway has open, by SQLite's own check."""
    path = state_dir / "ledger.db"
    with _lock_of(state_dir) as got:
        if got is False:
            return Ledger(running=True, works=None)
        if not path.exists():
            return Ledger(running=False, works=None)
        try:
            told = _quick_check(path, within_s)
        except sqlite3.Error as error:
            return Ledger(running=False, works=False, why=str(error))
    return Ledger(running=False, works=told == "ok", why=told)


def _quick_check(path: Path, within_s: float) -> str:
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)
    end = time.monotonic() + within_s
    connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    finally:
        connection.close()


def port(setting: str, host: str, number: int, *, running: bool, proc: Path = Path("/proc")) -> Port:
    """Whether it can be had. Asked by taking it, for a moment, as the gateway would."""
    taken_by = None
    if not running and number:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, number))
            except OSError as error:
                taken_by = holder(number, proc) if error.errno == errno.EADDRINUSE else str(error.strerror)
    return Port(setting, number, ours=running, taken_by=taken_by)


def holder(number: int, proc: Path = Path("/proc")) -> str:
    """The program that listens there, as far as this user may know."""
    sockets = set(_sockets(number, proc))
    for descriptors in proc.glob("[0-9]*/fd"):
        try:
            if any(str(one.readlink()) in sockets for one in descriptors.iterdir()):
                name = (descriptors.parent / "comm").read_text().strip()
                return f"{name} (process {descriptors.parent.name})"
        except OSError:
            continue
    return "a program of another user"


def _sockets(number: int, proc: Path) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        path = proc / "net" / table
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == number:
                yield f"socket:[{fields[9]}]"


def certificates(folder: Path) -> Certificates:
    """What lies in the folder of the site's CA."""
    try:
        ca, server = _certificate(folder / "ca.pem"), _certificate(folder / "server.pem")
    except (OSError, ValueError) as error:
        return Certificates(None, None, issued=False, damaged=str(error))
    issued = ca is not None and server is not None and _is_issued(server, ca)
    return Certificates(_end(ca), _end(server), issued=issued)


def _certificate(path: Path) -> x509.Certificate | None:
    return x509.load_pem_x509_certificate(path.read_bytes()) if path.exists() else None


def _end(certificate: x509.Certificate | None) -> datetime | None:
    return None if certificate is None else certificate.not_valid_after_utc


def _is_issued(server: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        server.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
