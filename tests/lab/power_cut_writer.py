"""The process whose power is cut: writes units like those of orders, and tells each id once it is committed.

python -m tests.lab.power_cut_writer FOLDER FULL|NORMAL|OFF
"""

import asyncio
import os
import sys
from pathlib import Path
from uuid import UUID

from edge.clock import Clock, new_id
from edge.database import Database, Transaction
from edge.failpoints import Failpoints
from edge.inventory.service import InventoryService
from edge.outbox import Outbox
from edge.watch import Watch
from shared.inventory import Reason, StockInstruction
from shared.sync import Ack

MACHINE_ID = UUID(int=1)
KEPT = 200
"""So many facts wait for the cloud before it acknowledges them all."""


class WeakenedDatabase(Database):
    """The ledger with another `synchronous`, for the control run."""

    async def weaken(self, synchronous: str) -> None:
        """Promise less than FULL from here on."""
        await self._thread.run(lambda connection: connection.execute(f"PRAGMA synchronous = {synchronous}").close())


async def write(folder: Path, synchronous: str) -> None:
    """Commit for ever; one line on stdout for each commit that has returned."""
    database, outbox = WeakenedDatabase(folder, Watch(), Failpoints()), Outbox(Clock())
    await database.open()
    await database.weaken(synchronous)
    inventory = InventoryService(database, outbox)
    while True:
        movement = StockInstruction(
            movement_id=new_id(), machine_id=MACHINE_ID, slot="A1", delta=1, reason=Reason.RESTOCK
        )

        def work(tx: Transaction, movement: StockInstruction = movement) -> int:
            inventory.apply_instruction(tx, movement)
            head = outbox.position(tx)
            if head.waiting > KEPT:
                outbox.free(tx, Ack(epoch=head.epoch, seq=head.seq, chain=head.chain.hex()))
            return head.seq

        seq = await database.unit("lab.write", work)
        os.write(1, f"{seq} {movement.movement_id}\n".encode())


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), sys.argv[2]))
