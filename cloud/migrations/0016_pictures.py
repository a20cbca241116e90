"""Files of tenants, and pictures of products."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0015_customers")]
    operations = [RunSQL(sql("0016_pictures.sql"))]
