"""Facts on their way back: before a restored ledger tells anything new, it asks what it had told."""

from edge.database import Database
from edge.failpoints import Failpoints
from edge.recall.service import RecallService
from edge.sync.cloud_client import CloudAway, CloudClient
from edge.sync.pull import Pull, read_cursor


class Recall:
    """Asks for one page after the other until nothing is left. Facts of the new epoch wait for that."""

    def __init__(
        self, database: Database, client: CloudClient, pull: Pull, service: RecallService, failpoints: Failpoints
    ) -> None:
        self._database = database
        self._client = client
        self._pull = pull
        self._service = service
        self._failpoints = failpoints

    async def facts(self) -> bool:
        """Recall one page; False when nothing is to be recalled now. Raises CloudAway, CloudRefused, StorageFull."""
        wanted = await self._service.wanted()
        if wanted is None:
            return False
        if await self._database.read(read_cursor) is None:
            # Facts speak of machines, slots and devices: those come first.
            await self._pull.changes()
            return True
        header, lines = await self._client.recall_facts(wanted.epoch, wanted.seq, wanted.before_epoch)
        self._failpoints.hit("sync.recall.after_receive")
        if header.more and not lines:
            raise CloudAway("the cloud says there is more to recall, and sends nothing")
        first = wanted.seq + 1 if header.epoch == wanted.epoch else 1
        await self._service.take(header.epoch, first, lines)
        if not header.more:
            await self._service.finish()
        return True
