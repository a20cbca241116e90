"""Machines on their way out of service."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0029_bundles")]
    operations = [RunSQL(sql("0025_decommissions.sql"))]
