"""How devices are to be wired."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0024_lowdb")]
    operations = [RunSQL(sql("0031_wiring.sql"))]
