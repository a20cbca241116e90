"""Requests of people, each done once: the newest of them, and what became of them, lie on flash.

A request is written down before anything follows from it, so that one which is repeated after a power cut or a restart
is answered and not done again.
"""

import json

from . import topics
from .exchange import exchange
from .log import alarm, log
from .messages import evidence_fields, request_answer

FILE = "requests.json"
KEPT = 8
BEGUN = "begun"
DONE = "done"
REFUSED = "refused"


def is_known(parts, request_id: str) -> bool:
    """Whether the request came before; then it is answered again."""
    for known in _load(parts.flash):
        if known[0] == request_id:
            if known[1] == BEGUN:
                # Its end was never written: nobody knows how far the motor came.
                _tell(parts, [request_id, REFUSED, "the power went before it was over", None])
            else:
                _tell(parts, known)
            return True
    return False


def begin(parts, request_id: str) -> None:
    """From now on it is known. Raises OSError, and then nothing may follow from it."""
    _write(parts, [request_id, BEGUN, None, None])


def end(parts, request_id: str, reason: "str | None", evidence=None) -> bool:
    """What became of it, on flash and told: done, or refused for a `reason`. Whether it is on flash."""
    ended = [request_id, DONE if reason is None else REFUSED, reason, evidence_fields(evidence)]
    try:
        _write(parts, ended)
    except OSError as error:
        alarm("request_not_kept", request_id=request_id, error=str(error))
        return False
    log("request_ended", request_id=request_id, state=ended[1], reason=reason)
    _tell(parts, ended)
    return True


def _write(parts, request: list) -> None:
    newest = [known for known in _load(parts.flash) if known[0] != request[0]][1 - KEPT :]
    newest.append(request)
    exchange(parts.flash, FILE, json.dumps(newest).encode())


def _load(flash) -> list:
    """A file that cannot be read is as none: `exchange` leaves none such, only a failing flash does."""
    try:
        return json.loads(str(flash.read(FILE), "utf-8"))
    except ValueError:
        return []


def _tell(parts, known: list) -> None:
    parts.reports.tell(topics.ANSWER, request_answer(parts.boot_id, *known))
