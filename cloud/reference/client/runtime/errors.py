"""What can go wrong with a call, typed by what the caller should do."""

from dataclasses import dataclass


class LarderError(Exception):
    """The base of all that a call raises."""


class Unreachable(LarderError):
    """No whole answer came. What was asked may have happened all the same: look, or repeat it by its key."""


class NoAnswerInTime(Unreachable):
    """The answer did not come in the time that a call may take."""


class UnexpectedAnswer(LarderError):
    """The answer is not what this client was made for: make it anew from the server's document."""


@dataclass(frozen=True)
class FieldProblem:
    """One thing wrong with one field. `path` is dotted: `lines.0.quantity`."""

    path: str
    message: str


class Problem(LarderError):
    """The server refused (RFC 9457). Its subclasses, one a code, are in `problems`.

    What something between here and the server refuses has the code ''.
    """

    def __init__(
        self,
        *,
        status: int,
        code: str,
        detail: str,
        request_id: str,
        errors: tuple[FieldProblem, ...] = (),
        retry_after_s: int | None = None,
    ) -> None:
        fields = "".join(f"; {error.path}: {error.message}" for error in errors)
        super().__init__(f"{status} {code}: {detail}{fields} (request {request_id})")
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.errors = errors
        self.retry_after_s = retry_after_s
