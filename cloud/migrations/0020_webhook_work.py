"""Whether there is something to tell webhooks is asked once a tenant."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0019_makers")]
    operations = [RunSQL(sql("0020_webhook_work.sql"))]
