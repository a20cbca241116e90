"""Serves the cloud."""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog

from cloud import server
from cloud.app import create_app
from cloud.certificates import Certificate
from cloud.clock import Clock
from cloud.commands import Command
from cloud.commands.check_config import require_private_files
from cloud.commands.databases import database_url, fit_database
from cloud.configuration.service import read_signer
from cloud.encryption import keys_file
from cloud.encryption.rotation import Rotation
from cloud.failpoints import Failpoints
from cloud.jobs import Retention
from cloud.live import LiveSettings
from cloud.mail import Carrier, FolderCarrier, SmtpCarrier
from cloud.reloading import Reloading
from cloud.server import Stopping
from cloud.settings import Settings
from cloud.sources import load

log = structlog.get_logger()

_MORE_SECONDS = 2.0
"""For the answer to go out."""


async def _serve(configured: Settings, _: argparse.Namespace) -> None:
    require_private_files(configured)
    signer = None if configured.settings_key_file is None else read_signer(configured.settings_key_file)
    keyring = keys_file.open_keyring(configured)
    certificate = _certificate(configured)
    bound = server.listen(configured.host, configured.port)
    stopping, live = Stopping(configured.drain_seconds), LiveSettings(configured.live())
    async with database_url(configured) as url:
        async with fit_database(url) as database:
            await Rotation(database, keyring).begin()
        app = create_app(
            url,
            clock=Clock(),
            failpoints=Failpoints(configured.failpoint),
            draining=stopping.draining,
            leaving=stopping.leaving,
            keyring=keyring,
            carrier=carrier_of(configured),
            mail_from=configured.mail_from,
            public_url=configured.public_url,
            pool_size=configured.pool_size,
            release_keys=configured.release_keys,
            signer=signer,
            live=live,
            trusted_proxies=configured.trusted_proxies,
            request_seconds=configured.request_seconds,
            retention=Retention(configured.keep_health_days, configured.keep_facts_days, configured.keep_orders_days),
        )
        where = server.url_of(bound, "http" if certificate is None else "https")

        @app.before_serving
        async def say_ready() -> None:
            log.info("ready", url=where)

        async with _reloading(live, certificate, stopping):
            await server.run(app, bound, stopping, certificate, configured.request_seconds + _MORE_SECONDS)
    log.info("stopped")


def carrier_of(configured: Settings) -> Carrier:
    """Who takes mail away."""
    if configured.mail_url is not None:
        return SmtpCarrier(configured.mail_url)
    return FolderCarrier(configured.state_dir / "mail")


def _certificate(configured: Settings) -> Certificate | None:
    if configured.tls_certificate_file is None or configured.tls_key_file is None:
        return None
    return Certificate(configured.tls_certificate_file, configured.tls_key_file)


@asynccontextmanager
async def _reloading(live: LiveSettings, certificate: Certificate | None, stopping: Stopping) -> AsyncIterator[None]:
    """Changed settings and a renewed certificate are taken over as long as the context lasts."""
    files: Sequence[Path] = () if certificate is None else (certificate.certificate, certificate.key)
    renew = (lambda: None) if certificate is None else certificate.renew
    reloading = Reloading(os.environ, load(os.environ), live, renew=renew, more_files=files)

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


COMMANDS = (Command("serve", "serve until SIGTERM (an embedded database is migrated first)", _serve),)
