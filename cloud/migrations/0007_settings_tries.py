"""How often devices have tried settings."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0006_zone_releases")]
    operations = [RunSQL(sql("0007_settings_tries.sql"))]
