"""The audit log, and the encryption of single columns."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0011_identity")]
    operations = [RunSQL(sql(f"0012_{part}.sql")) for part in ("audit", "encryption")]
