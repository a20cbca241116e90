"""What a gateway has told: read back to it when its ledger was restored from before."""

from dataclasses import dataclass

import structlog

from cloud.auth.service import GatewayCaller
from cloud.database import Database, Row, Transaction
from shared.sync import MAX_BATCH_BYTES, RecalledHeader

log = structlog.get_logger()

_TOLD = """
    SELECT epoch, line FROM facts
    WHERE gateway_id = $1 AND (epoch, seq) > ($2, $3) AND epoch < $4
    ORDER BY epoch, seq LIMIT $5
"""


@dataclass(frozen=True)
class Wanted:
    """The caller's facts above (epoch, after), of epochs below `before_epoch`; at most `limit` of them."""

    epoch: int
    after: int
    before_epoch: int
    limit: int


class Recall:
    """Answers "what have I told you?"."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def told(self, caller: GatewayCaller, wanted: Wanted) -> bytes:
        """NDJSON: a RecalledHeader, then fact lines of one epoch, byte for byte as they came."""

        async def work(transaction: Transaction) -> list[Row]:
            bounds = (wanted.epoch, wanted.after, wanted.before_epoch, wanted.limit + 1)
            return list(await transaction.fetch(_TOLD, caller.gateway_id, *bounds))

        rows = await self._database.unit("sync.recall", work, tenant_id=caller.tenant_id)
        epoch = rows[0]["epoch"] if rows else 0
        lines = _fitting([row["line"] for row in rows[: wanted.limit] if row["epoch"] == epoch])
        header = RecalledHeader(epoch=epoch, count=len(lines), more=len(rows) > len(lines))
        log.info("facts_recalled", gateway_id=str(caller.gateway_id), epoch=epoch, count=len(lines))
        return b"".join(line + b"\n" for line in (header.to_line(), *lines))


def _fitting(lines: list[bytes]) -> list[bytes]:
    """As many lines as one answer bears, at least one."""
    size = 0
    for place, line in enumerate(lines):
        size += len(line) + 1
        if place and size > MAX_BATCH_BYTES:
            return lines[:place]
    return lines
