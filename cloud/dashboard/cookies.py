"""The cookie by which a browser shows who has signed in."""

from quart import Response
from werkzeug.wrappers import Response as PlainResponse

from cloud.auth.gate import COOKIE
from cloud.auth.rules import SESSION_LIFE
from cloud.auth.sign_in import SignedIn


def let_in(answer: Response | PlainResponse, signed_in: SignedIn) -> None:
    """Keep a new session in the browser."""
    keep_session(answer, signed_in.secret, int(signed_in.life.total_seconds()))


def keep_session(
    answer: Response | PlainResponse, secret: str, seconds: int = int(SESSION_LIFE.total_seconds())
) -> None:
    """As `let_in`, of a session that has shown all it needs to."""
    answer.set_cookie(COOKIE, secret, max_age=seconds, secure=True, httponly=True, samesite="Strict")


def let_out(answer: Response | PlainResponse) -> None:
    """The browser forgets its session."""
    answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Strict")
