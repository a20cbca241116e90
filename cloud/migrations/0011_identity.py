"""People, what they may do, and how they are known."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0010_data_at_size")]
    operations = [RunSQL(sql(f"0011_{part}.sql")) for part in ("people", "members", "actors", "scope", "keeping")]
