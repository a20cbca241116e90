"""What a person is told once, on the page they are led to after they did something.

It travels in a cookie, since the page may come from another instance. Only our own pages can set a `__Host-` cookie.
"""

import base64
from typing import Literal

from quart import Response, redirect, request
from werkzeug.wrappers import Response as PlainResponse

from shared.contract import Message

COOKIE = "__Host-larder-told"
LONGEST = 300
"""Characters. What is longer is cut."""
_SECONDS = 60


class Flash(Message):
    """A sentence, never a secret. What is `bad` stays until it is closed."""

    text: str
    tone: Literal["good", "plain", "bad"] = "good"


def lead(location: str, text: str, tone: Literal["good", "plain", "bad"] = "good") -> PlainResponse:
    """The answer to a form that did its work: go there, and tell this."""
    answer = redirect(location, 303)
    value = base64.urlsafe_b64encode(Flash(text=text[:LONGEST], tone=tone).to_line()).decode()
    answer.set_cookie(COOKIE, value, max_age=_SECONDS, secure=True, httponly=True, samesite="Strict")
    return answer


def told() -> Flash | None:
    """What the page that is being made should tell."""
    try:
        return Flash.model_validate_json(base64.urlsafe_b64decode(request.cookies.get(COOKIE, "").encode("ascii")))
    except ValueError:
        return None


def forget(answer: Response) -> None:
    """It was told."""
    answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Strict")
