"""Serves the cloud."""

import argparse
import asyncio

import structlog

from cloud import server
from cloud.app import create_app
from cloud.clock import Clock
from cloud.commands import Command
from cloud.commands.databases import database_url, fit_database
from cloud.configuration.service import read_signer
from cloud.encryption import keys_file
from cloud.encryption.rotation import Rotation
from cloud.failpoints import Failpoints
from cloud.jobs import Retention
from cloud.mail import Carrier, FolderCarrier, SmtpCarrier
from cloud.settings import Settings

log = structlog.get_logger()


async def _serve(configured: Settings, _: argparse.Namespace) -> None:
    signer = None if configured.settings_key_file is None else read_signer(configured.settings_key_file)
    keyring = keys_file.open_keyring(configured)
    bound = server.listen(configured.host, configured.port)
    draining = asyncio.Event()
    async with database_url(configured) as url:
        async with fit_database(url) as database:
            await Rotation(database, keyring).begin()
        app = create_app(
            url,
            clock=Clock(),
            failpoints=Failpoints(configured.failpoint),
            draining=draining,
            keyring=keyring,
            carrier=carrier_of(configured),
            mail_from=configured.mail_from,
            public_url=configured.public_url,
            pool_size=configured.pool_size,
            release_keys=configured.release_keys,
            signer=signer,
            retention=Retention(configured.keep_health_days, configured.keep_facts_days, configured.keep_orders_days),
        )
        where = server.url_of(bound)

        @app.before_serving
        async def say_ready() -> None:
            log.info("ready", url=where)

        await server.run(app, bound, draining)
    log.info("stopped")


def carrier_of(configured: Settings) -> Carrier:
    """Who takes mail away."""
    if configured.mail_url is not None:
        return SmtpCarrier(configured.mail_url)
    return FolderCarrier(configured.state_dir / "mail")


COMMANDS = (Command("serve", "serve until SIGTERM (an embedded database is migrated first)", _serve),)
