"""Zones that were released by hand."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0005_upkeep")]
    operations = [RunSQL(sql("0006_zone_releases.sql"))]
