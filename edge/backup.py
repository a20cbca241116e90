"""When the ledger's backup is made: every so often, also across restarts of a program that never lives that long.

Its age is told by the monotonic clock, for no other is believed: after a reboot it counts as too old.
"""

from uuid import UUID

from edge.clock import Clock, Moment
from edge.database import Database, Transaction


class Backup:
    """The backup of the ledger, due every `every_s` seconds."""

    def __init__(self, database: Database, clock: Clock, every_s: float) -> None:
        self._database = database
        self._clock = clock
        self._every_s = every_s

    async def due_in(self) -> float:
        """Seconds until the next one is due; at least a hundredth of the period, so that the first sale comes first."""
        made = await self._database.read(_made)
        age_s = float("inf") if made is None else self._clock.age(made)
        return max(self._every_s / 100, self._every_s - age_s)

    async def make(self) -> None:
        """Replace the backup by a copy of now. Raises StorageFull."""
        now = self._clock.moment()
        await self._database.back_up()
        sql = "INSERT OR REPLACE INTO last_backup VALUES (1, ?, ?)"
        await self._database.unit("backup.made", lambda tx: tx.run(sql, str(now.boot_id), now.ms))


def _made(tx: Transaction) -> Moment | None:
    row = tx.one("SELECT boot_id, ms FROM last_backup")
    return None if row is None else Moment(UUID(row["boot_id"]), row["ms"])
