"""Forms as templates draw them: what was typed, and what is wrong with it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self, TypeVar

from pydantic import ValidationError

from cloud import web
from cloud.errors import Refused
from shared.contract import Message
from shared.errors import Code, FieldError

M = TypeVar("M", bound=Message)

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


async def read_form(prefix: str = "", most_fields: int = web.MAX_FORM_FIELDS, limit: int = web.MAX_JSON_BYTES) -> Form:
    """What was posted. Raises Refused."""
    values: dict[str, list[str]] = {}
    for name, value in await web.read_form(most_fields, limit):
        values.setdefault(name, []).append(value)
    return Form(values, prefix=prefix)


def parsed(model: type[M], form: Form, wrong: Mapping[str, str], empty: Iterable[str] = ()) -> M:
    """What the form says of the message's fields, as if it had come as JSON; a field in which nothing stands is left
    out, but for those of `empty`. `wrong` says of each field, for people, what it must be. Raises Refused."""
    said = {name: form.get(name).strip() for name in model.model_fields}
    text = json.dumps({name: value for name, value in said.items() if value or name in empty}).encode()
    try:
        model.model_validate_json(text)
    except ValidationError as error:
        path = str(error.errors(include_input=False)[0]["loc"][0])
        raise web.invalid(path, wrong[path]) from None
    return web.parse(model, text)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
