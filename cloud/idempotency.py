"""Requests that take effect once, however often they come: the answer is kept in the transaction of the work."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from quart import Response, request

from cloud.callers import Operator
from cloud.database import Database, Transaction
from cloud.encryption.columns import KEPT_ANSWER
from cloud.encryption.keyring import Keyring
from cloud.errors import Refused
from cloud.operations import current_operator
from shared.contract import Message
from shared.errors import Code

HEADER = "Idempotency-Key"

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_FIND = "SELECT request_sha256, status, body FROM kept_answers WHERE actor_id = $1 AND key = $2"
_KEEP = """
    INSERT INTO kept_answers (tenant_id, actor_id, key, request_sha256, status, body) VALUES ($1, $2, $3, $4, $5, $6)
"""


class NoBody(Message):
    """Of a request that says all by its path."""


def idempotency_key() -> UUID:
    """By which the caller knows this request again. Raises Refused without one."""
    try:
        return UUID(request.headers.get(HEADER, ""))
    except ValueError:
        raise Refused(Code.IDEMPOTENCY_KEY_MISSING, f"Send an {HEADER} header with a UUID.", status=400) from None


@dataclass(frozen=True)
class Answer:
    """The message as JSON, with its status; `is_replayed` if an earlier request had it first."""

    status: int
    text: str
    is_replayed: bool


class Once:
    """Does what is asked once for each key of a caller, and gives the answer again for 48 hours (jobs.py).

    Kept answers are encrypted: one that shows a secret this once shows it again to whoever lost the first answer, and
    to nobody who reads the database.
    """

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def __call__(
        self,
        name: str,
        work: Callable[[Transaction], Awaitable[Message]],
        body: Message | None = None,
        status: int = 201,
    ) -> Response:
        """The answer to the current request with this body: that of `work`, or the one given to its key before.

        One that comes while the first still runs waits for it. What `work` refuses is not kept: it has done nothing.
        Raises Refused without a key, and for one that was used for something else or with other rights.
        """
        given = await self.answer(name, work, idempotency_key(), body, status)
        headers = {"Idempotency-Replayed": "true"} if given.is_replayed else {}
        return Response(given.text, status=given.status, mimetype="application/json", headers=headers)

    async def answer(
        self,
        name: str,
        work: Callable[[Transaction], Awaitable[Message]],
        key: UUID,
        body: Message | None = None,
        status: int = 201,
    ) -> Answer:
        """As above for a caller who sends the key elsewhere, such as in a form."""
        operator = current_operator()
        asked = f"{request.method} {request.path}\n{_who_sees(operator)}\n{(body or NoBody()).model_dump_json()}"
        # Under a key: of a telephone number alone a plain hash would tell which it is.
        digests = list(self._keyring.blind_indexes(f"kept_answers/{operator.tenant_id}", asked).values())

        async def kept(transaction: Transaction) -> Answer:
            known = await self._find(transaction, operator, key, digests)
            if known is not None:
                return Answer(*known, is_replayed=True)
            text = (await work(transaction)).model_dump_json()
            sealed = KEPT_ANSWER.seal(self._keyring, (operator.tenant_id, operator.actor.id, key), text)
            await transaction.execute(_KEEP, operator.tenant_id, operator.actor.id, key, digests[0], status, sealed)
            return Answer(status, text, is_replayed=False)

        return await self._database.unit(name, kept, caller=operator)

    async def _find(
        self, transaction: Transaction, operator: Operator, key: UUID, digests: list[bytes]
    ) -> tuple[int, str] | None:
        """The kept answer, once nobody else works on it. Raises Refused for a key of another request."""
        await transaction.execute(_LOCK, f"{operator.tenant_id} {operator.actor.id} {key}")
        found = await transaction.fetch_one(_FIND, operator.actor.id, key)
        if found is None:
            return None
        if found["request_sha256"] not in digests:
            told = f"This {HEADER} was used for something else, or by somebody with other rights."
            raise Refused(Code.IDEMPOTENCY_KEY_REUSED, told)
        text = KEPT_ANSWER.open(self._keyring, (operator.tenant_id, operator.actor.id, key), found["body"])
        return found["status"], text


def _who_sees(operator: Operator) -> str:
    """By what the answer may be seen: whoever has lost a role or a part of the tenant is not given it again."""
    return f"{operator.actor.kind} {operator.role} {operator.scope.setting()}"
