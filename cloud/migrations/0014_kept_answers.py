"""Answers that are given again, and what lists are read by."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

from cloud.migrations import sql


class Migration(TortoiseMigration):
    """Forward only."""

    dependencies = [("cloud", "0013_token_buckets")]
    operations = [RunSQL(sql("0014_kept_answers.sql"))]
