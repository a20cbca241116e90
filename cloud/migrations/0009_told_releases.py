"""Releases of zones that are told once more."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0008_withdrawals")]
    operations = [RunSQL(sql("0009_told_releases.sql"))]
