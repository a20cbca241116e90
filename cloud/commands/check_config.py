"""Shows every setting with where it was found, and checks what can be checked without serving."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from cloud.certificates import Certificate
from cloud.clock import Clock
from cloud.commands import Command
from cloud.commands.databases import fit_database
from cloud.configuration.service import read_signer
from cloud.database import Database
from cloud.errors import LarderError, SchemaError, SettingsError
from cloud.failpoints import Failpoints
from cloud.object_store import NoObject, open_store
from cloud.reports import CHECK_SECONDS, LAG, Reports
from cloud.settings import Settings
from cloud.sources import PREFIX, load

_KEY_FILES = ("tls_key_file", "settings_key_file")
_OTHERS_MAY = 0o077


def require_private_files(configured: Settings) -> None:
    """In production, files with secrets are nobody's but ours. Raises SettingsError."""
    if configured.environment == "production":
        for field in _KEY_FILES:
            require_private(field, getattr(configured, field))


def require_private(field: str, path: Path | None) -> None:
    """Raises SettingsError when the file is not there, or others may read or write it."""
    if path is None:
        return
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SettingsError(f"{PREFIX}{field.upper()}: {path} cannot be read: {error.strerror}") from error
    if mode & _OTHERS_MAY:
        raise SettingsError(f"{PREFIX}{field.upper()}: others may read {path}: chmod 600")


async def _check(configured: Settings, arguments: argparse.Namespace) -> None:
    loaded = load(os.environ)
    width = max(map(len, loaded.origins))
    for name, origin in sorted(loaded.origins.items()):
        sys.stdout.write(f"{name:{width}}  {_shown(configured, name)}  ({origin})\n")
    found = [str(error) for error in _wrong(configured, loaded.file)]
    if arguments.connect:
        found += [error for error in [await look(configured) for look in _LOOKS] if error]
    for line in found[:-1]:
        sys.stderr.write(f"larder cloud: {line}\n")
    if found:
        raise SettingsError(found[-1])
    sys.stdout.write("all is well\n")


def _shown(configured: Settings, name: str) -> str:
    """The value; of a secret only that there is one, and of a URL all but the password."""
    value = getattr(configured, name)
    if value is None:
        return "-"
    if not Settings.model_fields[name].repr:
        parts = urlsplit(str(value))
        if not parts.scheme or parts.query.count("password"):
            return "…"
        return parts._replace(netloc=f"{parts.username or ''}:…@{parts.netloc.rpartition('@')[2]}").geturl()
    if isinstance(value, tuple | frozenset):
        return ",".join(sorted(map(str, value))) or "-"
    return str(value)


def _wrong(configured: Settings, file: Path | None) -> Iterator[SettingsError]:
    checks: list[Callable[[], object]] = [
        *(lambda field=field: require_private(field, getattr(configured, field)) for field in _KEY_FILES),
        lambda: _certificate(configured),
        lambda: configured.settings_key_file and read_signer(configured.settings_key_file),
        lambda: _secrets_in(file, configured),
    ]
    for check in checks:
        try:
            check()
        except SettingsError as error:
            yield error


def _certificate(configured: Settings) -> None:
    if configured.tls_certificate_file is not None and configured.tls_key_file is not None:
        Certificate(configured.tls_certificate_file, configured.tls_key_file)


def _secrets_in(file: Path | None, configured: Settings) -> None:
    """A file that holds a secret is nobody's but ours."""
    loaded = load(os.environ)
    if any(loaded.origins[name] == str(file) for name, field in Settings.model_fields.items() if not field.repr):
        require_private("config", file)


async def _unreachable(configured: Settings) -> str | None:
    if configured.database_url is None:
        return None if configured.environment == "development" else f"{PREFIX}DATABASE_URL is missing"
    try:
        async with fit_database(configured.database_url):
            return None
    except SchemaError as error:
        return str(error)
    except LarderError:
        return f"{PREFIX}DATABASE_URL: this database cannot be reached"


async def _storeless(configured: Settings) -> str | None:
    """Why files cannot be kept."""
    try:
        await open_store(configured).prove()
    except SettingsError as error:
        return str(error)
    except (LarderError, NoObject):
        if configured.s3_bucket is None:
            return f"{PREFIX}STATE_DIR: nothing can be written to its folder objects"
        return (
            f"{PREFIX}S3_BUCKET: nothing can be written there, or read; {PREFIX}S3_ENDPOINT, its keys or it are wrong"
        )
    return None


async def _replica_unfit(configured: Settings) -> str | None:
    """Why reports would not be read there, as the cloud judges it while it serves."""
    primary_url, replica_url = configured.database_url, configured.replica_url
    if primary_url is None or replica_url is None:
        return None
    primary, replica = (Database(url, Failpoints(), pool_size=1) for url in (primary_url, replica_url))
    for database in (primary, replica):
        await database.open()
    try:
        reports = Reports(primary, replica, Clock(), longest_lag=configured.replica_lag_seconds)
        reason = await reports.judge()
        for _ in range(round(configured.replica_lag_seconds / CHECK_SECONDS)):
            if reason != LAG:
                break
            await asyncio.sleep(CHECK_SECONDS)
            reason = await reports.judge()
    finally:
        for database in (primary, replica):
            await database.close()
    return None if reason is None else f"{PREFIX}REPLICA_URL: it {_IN_WORDS.get(reason, reason)}"


_IN_WORDS = {
    LAG: "is further behind than REPLICA_LAG_SECONDS",
    "away": "cannot be reached",
    "primary away": "cannot be judged: the database itself is away",
}
_LOOKS = (_unreachable, _replica_unfit, _storeless)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--connect",
        action="store_true",
        help="also see whether the database, its replica and the store of files answer and are fit",
    )


COMMANDS = (
    Command("check-config", "show and check all settings: status 0, or 78 and what is wrong", _check, _arguments),
)
