"""Kept callers are dropped by whoever changes them; what has a name is found by the words of it."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0017_webhooks")]
    operations = [RunSQL(sql("0018_callers.sql")), RunSQL(sql("0018_search.sql"))]
