"""Setups of machines, and templates of them."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0022_catalogue_rung")]
    operations = [RunSQL(sql("0023_setups.sql"))]
