"""The spine: tenants and their fleet, the catalogue, the ledger of sales, and the sync log."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only: facts are never given up."""

    initial = True
    operations = [RunSQL(sql(f"0001_{part}.sql")) for part in ("walls", "fleet", "catalogue", "ledger", "sync")]
