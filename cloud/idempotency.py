"""Requests that take effect once, however often they come: the answer is kept in the transaction of the work."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

from quart import Response, request

from cloud.database import Database, Transaction
from cloud.errors import Refused
from cloud.operations import current_operator
from shared.contract import Message
from shared.errors import Code

HEADER = "Idempotency-Key"
LIFE = timedelta(hours=48)
"""For so long an answer is given again, at least."""

_BATCH = 1000
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_FIND = "SELECT request_sha256, status, body FROM kept_answers WHERE actor_id = $1 AND key = $2"
_KEEP = """
    INSERT INTO kept_answers (tenant_id, actor_id, key, request_sha256, status, body) VALUES ($1, $2, $3, $4, $5, $6)
"""
_FORGET = "SELECT forget_kept_answers($1, $2) AS forgotten"


def idempotency_key() -> UUID:
    """By which the caller knows this request again. Raises Refused without one."""
    try:
        return UUID(request.headers.get(HEADER, ""))
    except ValueError:
        raise Refused(Code.IDEMPOTENCY_KEY_MISSING, f"Send an {HEADER} header with a UUID.", status=400) from None


async def once(
    database: Database, name: str, body: Message, work: Callable[[Transaction], Awaitable[Message]], status: int = 201
) -> Response:
    """The answer to a request with this body: that of `work`, or the one given before to the same key of the caller.

    One that comes while the first still runs waits for it. What `work` refuses is not kept: it has done nothing.
    Raises Refused without a key, and for one that was used for something else.
    """
    operator, key = current_operator(), idempotency_key()
    digest = hashlib.sha256(f"{request.method} {request.path}\n".encode() + body.to_line()).digest()

    async def kept(transaction: Transaction) -> tuple[int, str, bool]:
        await transaction.execute(_LOCK, f"{operator.tenant_id} {operator.actor.id} {key}")
        found = await transaction.fetch_one(_FIND, operator.actor.id, key)
        if found is None:
            text = (await work(transaction)).model_dump_json()
            await transaction.execute(_KEEP, operator.tenant_id, operator.actor.id, key, digest, status, text)
            return status, text, False
        if found["request_sha256"] != digest:
            raise Refused(Code.IDEMPOTENCY_KEY_REUSED, f"This {HEADER} was used for something else.")
        return found["status"], found["body"], True

    known_status, text, is_replayed = await database.unit(name, kept, caller=operator)
    headers = {"Idempotency-Replayed": "true"} if is_replayed else {}
    return Response(text, status=known_status, mimetype="application/json", headers=headers)


async def forget_answers(database: Database) -> int:
    """Let go of answers whose time is over, of all tenants; how many. For a job that runs now and then."""

    async def work(transaction: Transaction) -> int:
        row = await transaction.fetch_one(_FORGET, LIFE, _BATCH)
        return 0 if row is None else int(row["forgotten"])

    total = 0
    while forgotten := await database.unit("idempotency.forget", work):
        total += forgotten
    return total
