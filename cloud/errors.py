"""Errors of the cloud, typed by what the caller should do."""

from typing import TypeVar

from shared.errors import Code, FieldError

T = TypeVar("T")


class LarderError(Exception):
    """The base of all that a client is told: a stable code for programs, a sentence for people, an HTTP status."""

    status = 500

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Refused(LarderError):
    """The request cannot be granted as it stands; asking again without a change will not help."""

    status = 422

    def __init__(self, code: Code, detail: str, *, status: int = 422, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(code, detail)
        self.status = status
        self.errors = errors


class Unauthenticated(LarderError):
    """Nobody we know. Log in, or make a fresh token."""

    status = 401

    def __init__(self, detail: str, code: Code = Code.UNAUTHENTICATED) -> None:
        super().__init__(code, detail)


class NotFound(LarderError):
    """No such thing, or not yours: nobody learns which."""

    status = 404

    def __init__(self) -> None:
        super().__init__(Code.NOT_FOUND, "There is nothing here.")


def there(found: T | None) -> T:
    """What was looked for. Raises NotFound."""
    if found is None:
        raise NotFound
    return found


class Unavailable(LarderError):
    """Not now: the same request may work after `retry_after_s` seconds."""

    status = 503
    retry_after_s = 2

    def __init__(self) -> None:
        super().__init__(Code.UNAVAILABLE, "This cannot be answered right now. Try again.")


class TooManyRequests(LarderError):
    """Asked too often: the same request may work after `retry_after_s` seconds."""

    status = 429

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(Code.TOO_MANY_REQUESTS, f"Too many requests. Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class FactRefused(Exception):
    """A fact cannot take effect. Its text stays, as a dead letter, until somebody replays it."""


class Undecipherable(Exception):
    """An encrypted value cannot be read: its key is missing, or somebody has tampered with it. The text says where."""


class Unproven(Exception):
    """A check has found something wrong; what, it has said. The program ends with status 1."""


class SettingsError(Exception):
    """A setting is missing, unknown or wrong. The program must not start; the text names the setting."""


class PostgresFailed(Exception):
    """The embedded Postgres cannot run. The program must not start."""


class SchemaError(Exception):
    """The database is not what this version needs. The program must not start; the text says what to do."""
