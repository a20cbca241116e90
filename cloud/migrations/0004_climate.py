"""Health in full, and zones that are locked because they were too warm."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0003_rollouts")]
    operations = [RunSQL(sql("0004_climate.sql"))]
