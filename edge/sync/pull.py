"""Changes on their way down: applied in order, together with the cursor; seeing one twice has one effect."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from pydantic import JsonValue, TypeAdapter, ValidationError

from edge.clock import Clock
from edge.database import Database, Transaction
from edge.errors import Refused
from edge.failpoints import Failpoints
from edge.sync.cloud_client import CloudAway, CloudClient, ReceivedChanges
from shared.sync import ChangeBody

CHANGE: TypeAdapter[ChangeBody] = TypeAdapter(ChangeBody)
NEWEST_DEAD = "SELECT rowid FROM dead_changes ORDER BY rowid DESC LIMIT 1000"

Apply = Callable[[Transaction, Any], None]
"""What a feature does with a change of its kind. It may raise Refused or ValueError: then this change is put aside."""

log = structlog.get_logger()


class Pull:
    """Fetches what moved since the cursor and hands each change to its feature: `features` maps kind → use case."""

    def __init__(
        self,
        database: Database,
        client: CloudClient,
        clock: Clock,
        failpoints: Failpoints,
        features: Mapping[str, Apply],
    ) -> None:
        self._database = database
        self._client = client
        self._clock = clock
        self._failpoints = failpoints
        self._features = features

    async def changes(self) -> bool:
        """Fetch and apply once; whether there is more to fetch at once. Raises CloudAway, CloudRefused, StorageFull."""
        asked = await self._database.read(read_cursor)
        received = await self._client.pull_changes(asked)
        self._failpoints.hit("sync.pull.after_receive")
        await self._database.unit("sync.pull", lambda tx: self._apply(tx, asked, received))
        if received.changes:
            log.info("changes_applied", count=len(received.changes), cursor=received.cursor, full=received.full)
        if received.more and not received.changes:
            raise CloudAway("the cloud says there is more, and sends nothing")
        return received.more

    async def begin_with(self, changes: Sequence[dict[str, JsonValue]]) -> None:
        """Take the full state that came by hand, before any cloud was asked, which is then asked for all of it again.

        Raises StorageFull.
        """

        def work(tx: Transaction) -> None:
            for body in changes:
                self._apply_one(tx, body)

        await self._database.unit("sync.begin_with", work)
        log.info("bundle_applied", count=len(changes))

    def _apply(self, tx: Transaction, asked: int | None, received: ReceivedChanges) -> None:
        for body in received.changes:
            self._apply_one(tx, body)
        # A cursor that was forgotten meanwhile stays forgotten.
        tx.run("UPDATE sync_cursor SET cursor = ? WHERE cursor IS ?", received.cursor, asked)

    def _apply_one(self, tx: Transaction, body: dict[str, JsonValue]) -> None:
        text = json.dumps(body, separators=(",", ":"))
        try:
            change = CHANGE.validate_json(text)
            with tx.attempt():
                self._features[change.kind](tx, change)
        except (ValidationError, Refused, ValueError, KeyError, sqlite3.IntegrityError) as error:
            self._put_aside(tx, text, reason=_reason(error))

    def _put_aside(self, tx: Transaction, text: str, reason: str) -> None:
        digest = hashlib.sha256(text.encode()).hexdigest()
        now = self._clock.now().isoformat()
        tx.run("INSERT OR REPLACE INTO dead_changes VALUES (?, ?, ?, ?)", digest, text, reason, now)
        tx.run(f"DELETE FROM dead_changes WHERE rowid NOT IN ({NEWEST_DEAD})")  # noqa: S608 - a constant
        log.error("change_put_aside", body_sha256=digest, reason=reason)


def read_cursor(tx: Transaction) -> int | None:
    """Up to where changes are known; None when the full state is to be asked for."""
    row = tx.one("SELECT cursor FROM sync_cursor")
    return None if row is None else row["cursor"]


def forget_cursor(tx: Transaction) -> None:
    """Ask for the full state: the ledger may not be the one that took the changes up to here."""
    tx.run("UPDATE sync_cursor SET cursor = NULL")


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return f"{type(error).__name__}: {error}"
