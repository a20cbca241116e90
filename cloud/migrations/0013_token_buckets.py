"""Token buckets that all processes share."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0012_vault")]
    operations = [RunSQL(sql("0013_token_buckets.sql"))]
