"""What was taken over from LowDB files: the originals, and orders whose vends nobody knows."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0023_setups")]
    operations = [RunSQL(sql(f"0024_{part}.sql")) for part in ("orders", "lowdb", "keeping")]
