"""Codes that are carried to a site without internet."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0031_wiring")]
    operations = [RunSQL(sql("0029_bundles.sql"))]
