"""What grows without end lies in months: sales, facts and health; and the sums of sales that charts are made of."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql

PARTS = ("months", "partitioned", "health", "sales", "keeping")


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0009_told_releases")]
    operations = [RunSQL(sql(f"0010_{part}.sql")) for part in PARTS]
