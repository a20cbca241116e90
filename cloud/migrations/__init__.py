"""Tortoise migrations whose operations are plain SQL files.

The tables need what Tortoise's own operations cannot say (keys that begin with the tenant, row-level security,
composite foreign keys), so SQL is the one source and a test compares the models with it. Add a numbered module, never
edit one.
"""

from pathlib import Path


def sql(name: str) -> str:
    """The text of the SQL file `name` beside this package's modules."""
    return (Path(__file__).parent / name).read_text()
