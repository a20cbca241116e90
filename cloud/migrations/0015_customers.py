"""Customers, and the erasure of people whom nobody needs to know any more."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0014_kept_answers")]
    operations = [RunSQL(sql(f"0015_{part}.sql")) for part in ("customers", "former_people")]
