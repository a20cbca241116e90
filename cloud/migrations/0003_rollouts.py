"""Firmware: releases and their files, which device shall run what, and what each says it runs."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0002_vend_products")]
    operations = [RunSQL(sql("0003_rollouts.sql"))]
