"""Vends with their products: an order needs no rows of its own for its lines."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only. Run in one transaction, so the wall is never seen open."""

    dependencies = [("cloud", "0001_spine")]
    operations = [RunSQL(sql("0002_vend_products.sql"))]
