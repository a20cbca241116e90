"""What people ask of devices, and the settings that devices shall run on."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0004_climate")]
    operations = [RunSQL(sql("0005_upkeep.sql"))]
