"""A ledger that an earlier version wrote comes to this version's schema with all it has."""

import sqlite3
from contextlib import closing
from pathlib import Path

from edge.database import MIGRATIONS, Database
from edge.dispensing import store as dispensing
from edge.failpoints import Failpoints
from edge.ledger_file import LEDGER_MARK
from edge.watch import Watch

BEFORE_LOST_JOURNALS = 3
HISTORY = """
    INSERT INTO devices (device_id, machine_id, name, claim_code_sha256, claim_expires_at, epoch, seq, seen_epoch,
        seen_seq) VALUES ('d', 'm', 'cabinet', 'x', '2030-01-01', 1, 5, 1, 4);
    INSERT INTO dispenses (vend_id, machine_id, device_id, slot, epoch, seq, state, requested_boot, requested_ms)
        VALUES ('v', 'm', 'd', 'A1', 1, 5, 'requested', 'b', 1);
"""


def write_ledger(path: Path, version: int) -> None:
    """A ledger as the program of this schema version left it, with a vend under way."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for file in sorted(MIGRATIONS.glob("*.sql"))[:version]:
            connection.executescript(file.read_text())
        connection.executescript(HISTORY)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute(f"PRAGMA application_id = {LEDGER_MARK + version}")


async def test_a_vend_under_way_is_neither_lost_nor_given_up(tmp_path: Path) -> None:
    write_ledger(tmp_path / "ledger.db", BEFORE_LOST_JOURNALS)
    database = Database(tmp_path, Watch(), Failpoints())
    try:
        assert await database.open() == 1
        [row] = await database.read(dispensing.open_dispenses)
        assert (row["vend_id"], row["epoch"], row["seq"], row["state"]) == ("v", 1, 5, "requested")
        assert (row["lost_epoch"], row["lost_seq"]) == (0, 0)
        version = await database.read(lambda tx: tx.all("PRAGMA user_version")[0][0])
        assert version == len(list(MIGRATIONS.glob("*.sql"))) > BEFORE_LOST_JOURNALS
    finally:
        await database.close()
