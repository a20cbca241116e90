"""The benchmark's own instruments count what there is to count. Nothing here is timed."""

import sqlite3
from pathlib import Path

from tests.benchmarks.order_bench.ledger import written
from tests.benchmarks.order_bench.report import Line, median, p99


def test_every_commit_is_counted_and_nothing_from_before_a_checkpoint(tmp_path: Path) -> None:
    ledger, wal = tmp_path / "ledger.db", tmp_path / "ledger.db-wal"
    connection = sqlite3.connect(ledger, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE facts (line BLOB)")
    before = written(wal)
    for _ in range(3):
        connection.execute("INSERT INTO facts VALUES (?)", (bytes(10_000),))
    after = written(wal)
    assert (after.salts, after.commits - before.commits) == (before.salts, 3)
    assert after.pages - before.pages >= 3 * 3

    connection.execute("PRAGMA wal_checkpoint(RESTART)")
    connection.execute("INSERT INTO facts VALUES (x'00')")
    anew = written(wal)
    assert (anew.salts != before.salts, anew.commits) == (True, 1)
    connection.close()


def test_medians_and_tails() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert (median(values), p99(values)) == (51, 99)
    assert (median([7.0]), p99([7.0])) == (7, 7)


def test_a_line_tells_its_ratio_and_its_verdict() -> None:
    text = Line("tap → command, median", 4.0, "ms", 2.0, "≤ 2 ×", True).text()
    assert "2.00 ×" in text
    assert text.endswith("met")
    assert Line("orders", 4.0, "/s").ratio is None
