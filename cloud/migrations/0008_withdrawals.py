"""Releases that were withdrawn, and what each site's devices shall run."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0007_settings_tries")]
    operations = [RunSQL(sql("0008_withdrawals.sql"))]
