"""Webhooks: whom to tell, what to tell them, and what became of it."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0016_pictures")]
    operations = [RunSQL(sql("0017_webhooks.sql"))]
