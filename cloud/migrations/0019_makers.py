"""Rights that end with whoever had them: whose keys and invitations are, a second factor that takes another's place."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0018_callers_search")]
    operations = [RunSQL(sql("0019_makers.sql"))]
