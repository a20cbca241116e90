"""Forms as templates draw them: what was typed, and what is wrong with it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self

from cloud import web
from cloud.errors import Refused
from shared.errors import Code, FieldError

_NOT_OF_THE_FORM = frozenset({Code.SECOND_FACTOR_REQUIRED, Code.SECOND_FACTOR_MISSING})


@dataclass(frozen=True)
class Form:
    """`errors` are by field, in the order of the form; the key "" is about the whole of it.

    `prefix` tells the ids of its fields from those of another form on the page.
    """

    values: dict[str, list[str]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    prefix: str = ""

    def id_of(self, name: str) -> str:
        """The id of a field's control."""
        return f"{self.prefix}-{name}" if self.prefix else name

    def get(self, name: str, default: str = "") -> str:
        """What stands in a field."""
        values = self.values.get(name)
        return values[0] if values else default

    def all(self, name: str) -> list[str]:
        """What is ticked of a group."""
        return self.values.get(name, [])

    def wrong(self, name: str, sentence: str) -> Self:
        """The form with one more error; the first of a field is kept."""
        return replace(self, errors={**self.errors, name: self.errors.get(name, sentence)})

    def answered(self, error: Refused) -> Self:
        """The form with why a use case refused it. Raises the error when no other form would help."""
        if error.code in _NOT_OF_THE_FORM:
            raise error
        return self.refused(error.errors) if error.errors else self.wrong("", error.detail)

    def refused(self, errors: Iterable[FieldError]) -> Self:
        """The form with what a use case found wrong."""
        form = self
        for error in errors:
            form = form.wrong(error.path.partition(".")[0], _sentence(error.message))
        return form


async def read_form(prefix: str = "") -> Form:
    """What was posted. Raises Refused."""
    values: dict[str, list[str]] = {}
    for name, value in await web.read_form():
        values.setdefault(name, []).append(value)
    return Form(values, prefix=prefix)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
