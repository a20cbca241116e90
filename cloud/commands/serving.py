"""Serves the cloud."""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import structlog

from cloud import private_memory, server
from cloud.app import create_app
from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.callers import system
from cloud.certificates import Certificate
from cloud.clock import Clock
from cloud.commands import Command
from cloud.commands.check_config import require_private_files
from cloud.commands.databases import database_url, fit_database
from cloud.configuration.service import read_signer
from cloud.database import Database, Transaction
from cloud.encryption import keys_file
from cloud.encryption.rotation import ENCRYPTION, INDEXING, Rotation
from cloud.errors import SettingsError
from cloud.failpoints import Failpoints
from cloud.jobs import Retention
from cloud.live import LiveSettings
from cloud.mail import Carrier, FolderCarrier, SmtpCarrier
from cloud.object_store import open_store
from cloud.pictures.service import PictureLimits
from cloud.reloading import Reloading
from cloud.server import Stopping
from cloud.settings import Live, Settings
from cloud.sources import load
from cloud.webhooks.destinations import Allowed

log = structlog.get_logger()

_MORE_SECONDS = 2.0
"""For the answer to go out."""


async def _serve(configured: Settings, _: argparse.Namespace) -> None:
    if configured.environment == "production":  # else debuggers and profilers of developers could not look in
        private_memory.hide()
    require_private_files(configured)
    signer = None if configured.settings_key_file is None else read_signer(configured.settings_key_file)
    keyring = keys_file.open_keyring(configured)
    certificate = _certificate(configured)
    mail_folder = shown_mail(configured)
    objects = open_store(configured)
    bound = server.listen(configured.host, configured.port)
    stopping, live = Stopping(configured.drain_seconds), LiveSettings(configured.live())
    async with database_url(configured) as url:
        async with fit_database(url) as database:
            for family in (ENCRYPTION, INDEXING):
                await Rotation(database, keyring, family).begin()
        failpoints = Failpoints(configured.failpoint)
        working = Database(url, failpoints, pool_size=configured.pool_size)
        app = create_app(
            url,
            clock=Clock(),
            failpoints=failpoints,
            database=working,
            replica=_replica(configured, failpoints),
            replica_lag_s=configured.replica_lag_seconds,
            draining=stopping.draining,
            leaving=stopping.leaving,
            keyring=keyring,
            carrier=carrier_of(configured),
            objects=objects,
            picture_limits=PictureLimits(configured.picture_bytes, configured.picture_pixels, configured.tenant_bytes),
            mail_from=configured.mail_from,
            public_url=configured.public_url,
            mail_folder=mail_folder,
            release_keys=configured.release_keys,
            signer=signer,
            live=live,
            trusted_proxies=configured.trusted_proxies,
            request_seconds=configured.request_seconds,
            retention=_retention(configured),
            webhooks_to=Allowed(configured.webhook_ports, configured.webhook_networks, configured.webhook_http),
        )
        where = server.url_of(bound, "http" if certificate is None else "https")

        @app.before_serving
        async def say_ready() -> None:
            log.info("ready", url=where)

        async with _reloading(live, certificate, stopping, working):
            await server.run(app, bound, stopping, certificate, configured.request_seconds + _MORE_SECONDS)
    log.info("stopped")


def _replica(configured: Settings, failpoints: Failpoints) -> Database | None:
    url = configured.replica_url
    return None if url is None else Database(url, failpoints, pool_size=configured.pool_size)


def _retention(configured: Settings) -> Retention:
    return Retention(
        configured.keep_health_days,
        configured.keep_facts_days,
        configured.keep_orders_days,
        configured.keep_webhooks_days,
    )


def carrier_of(configured: Settings) -> Carrier:
    """Who takes mail away."""
    if configured.mail_url is not None:
        return SmtpCarrier(configured.mail_url)
    return FolderCarrier(configured.state_dir / "mail")


def shown_mail(configured: Settings) -> Path | None:
    """The folder whose mail anybody may read. Raises SettingsError."""
    if not configured.show_mail:
        return None
    if configured.environment != "development" or configured.mail_url or not _is_loopback(configured.host):
        raise SettingsError("LARDER_CLOUD_SHOW_MAIL is for development, on a loopback HOST and without a MAIL_URL")
    return configured.state_dir / "mail"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _certificate(configured: Settings) -> Certificate | None:
    if configured.tls_certificate_file is None or configured.tls_key_file is None:
        return None
    return Certificate(configured.tls_certificate_file, configured.tls_key_file)


@asynccontextmanager
async def _reloading(
    live: LiveSettings, certificate: Certificate | None, stopping: Stopping, database: Database
) -> AsyncIterator[None]:
    """Changed settings and a renewed certificate are taken over as long as the context lasts."""
    files: Sequence[Path] = () if certificate is None else (certificate.certificate, certificate.key)
    renew = (lambda: None) if certificate is None else certificate.renew
    record = partial(_record_reload, database)
    reloading = Reloading(os.environ, load(os.environ), live, on_reload=record, renew=renew, more_files=files)

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.critical("part_died", part=task.get_name(), error=repr(task.exception()))
            stopping.draining.set()

    task = asyncio.create_task(reloading.run(), name="reloading")
    task.add_done_callback(ended)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _record_reload(database: Database, before: Live, after: Live) -> None:
    """In the audit log of what belongs to no tenant. Each instance takes the change over, and says so."""
    subject = Subject(SubjectKind.PLATFORM, "settings")
    names = [name for name in Live.model_fields if getattr(before, name) != getattr(after, name)]
    # Below a name of their own: the log takes no field that is called like a secret, and hides one that lies deeper.
    told = {"before": {"settings": {name: str(getattr(before, name)) for name in names}}}
    told["after"] = {"settings": {name: str(getattr(after, name)) for name in names}}

    async def work(transaction: Transaction) -> None:
        await audit.record(transaction, system("reload"), None, AuditAction.CONFIGURATION_RELOADED, subject, **told)

    await database.unit("reload", work)


COMMANDS = (Command("serve", "serve until SIGTERM (an embedded database is migrated first)", _serve),)
