"""Changes of the catalogue are told to all processes."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0021_webhook_makers")]
    operations = [RunSQL(sql("0022_catalogue_rung.sql"))]
