"""What a site's gateway has to hear: numbered in commit order, written in the transaction that makes it true."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from cloud.database import Transaction
from shared.sync import ChangeBody

_NUMBER = "UPDATE sites SET last_change = last_change + $2 WHERE id = $1 RETURNING tenant_id, last_change"
_INSERT = """
    INSERT INTO changes (tenant_id, site_id, number, body)
    SELECT $1, $2, number, body FROM unnest($3::bigint[], $4::text[]) AS c (number, body)
"""
_BOUNDS = "SELECT last_change, pruned_change FROM sites WHERE id = $1"
_MARK_PRUNED = "UPDATE sites SET pruned_change = greatest(pruned_change, $2) WHERE id = $1"
_SINCE = "SELECT number, body FROM changes WHERE site_id = $1 AND number > $2 ORDER BY number LIMIT $3"


@dataclass(frozen=True)
class Bounds:
    """Cursors from `oldest` to `newest` can be answered with single changes."""

    oldest: int
    newest: int


async def append(transaction: Transaction, site_id: UUID, bodies: Sequence[ChangeBody]) -> None:
    """Tell the site's gateway. The site's row stays locked until the commit, so that number order = commit order."""
    if not bodies:
        return
    site = await transaction.fetch_one(_NUMBER, site_id, len(bodies))
    if site is None:
        raise LookupError(f"no site {site_id}")
    newest = site["last_change"]
    numbers = list(range(newest - len(bodies) + 1, newest + 1))
    lines = [body.model_dump_json() for body in bodies]
    await transaction.execute(_INSERT, site["tenant_id"], site_id, numbers, lines)
    await transaction.ring("site", site_id)


async def bounds(transaction: Transaction, site_id: UUID) -> Bounds:
    """Which cursors can be answered."""
    site = await transaction.fetch_one(_BOUNDS, site_id)
    if site is None:
        raise LookupError(f"no site {site_id}")
    return Bounds(site["pruned_change"], site["last_change"])


async def since(transaction: Transaction, site_id: UUID, cursor: int, limit: int) -> list[tuple[int, str]]:
    """The next changes after `cursor`: number and JSON body."""
    return [(row["number"], row["body"]) for row in await transaction.fetch(_SINCE, site_id, cursor, limit)]


async def prune(transaction: Transaction, site_id: UUID, up_to: int) -> None:
    """Forget changes up to a number; gateways with an older cursor will be sent the full state."""
    await transaction.execute(_MARK_PRUNED, site_id, up_to)
    await transaction.execute("DELETE FROM changes WHERE site_id = $1 AND number <= $2", site_id, up_to)
