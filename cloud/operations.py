"""What each route declares of itself: who may use it, what it takes, what it answers. Nothing is served without that.

A view is given what it declares: its parameter `query` is a model that the query string is parsed into, its parameter
`body` one of the JSON body; both are refused by field before the view runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import wraps
from typing import Any, TypeVar, cast, get_type_hints

from quart import Quart, current_app, g, request

from cloud.callers import Operator
from cloud.permissions import Permission
from cloud.web import MAX_JSON_BYTES, read_message, read_query
from shared.contract import Message
from shared.errors import Code

F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTE = "larder_operation"


class Access(StrEnum):
    """Who may use what asks for no permission."""

    PUBLIC = "public"
    """Anybody: signing in, a claim with its code, health."""

    GATEWAY = "gateway"
    """A gateway that proves itself; the handler asks it to, since it also needs to know how."""

    ANY_OPERATOR = "any_operator"
    """Any person or program of a tenant, whatever they may do."""

    SIGNED_IN = "signed_in"
    """Any person who has signed in, about themselves."""

    HALF_SIGNED_IN = "half_signed_in"
    """A person whose password was right, whether or not they have shown their second factor: to show it, or to go."""


Policy = Permission | Access


@dataclass(frozen=True)
class Raw:
    """A body that is no JSON message: what it is in a sentence, and its media types."""

    description: str
    media_types: tuple[str, ...]
    row: type[Message] | None = None
    """Of a file: what one row of it holds."""
    example: str | None = None
    """As it is sent. A file has the example of its row, and bytes have none."""


Content = type[Message] | Raw | None
"""What travels in a body; None: nothing."""


class NoQuery(Message):
    """Takes no parameters."""


@dataclass(frozen=True)
class Operation:
    """What a route declares. One without a summary is a page, and no part of the API."""

    policy: Policy
    summary: str = ""
    description: str = ""
    query: type[Message] = NoQuery
    body: Content = None
    body_limit: int = MAX_JSON_BYTES
    """In bytes."""
    answers: Mapping[int, Content] = field(default_factory=dict)
    problems: tuple[Code, ...] = ()
    """Beyond those that follow from the rest."""
    idempotent: bool = False
    """It creates something or moves money: it needs an Idempotency-Key."""
    conditional: bool = False
    """Its answer has an ETag, and is not sent again to whom has it."""
    digested: bool = False
    """Its body may come with its SHA-256."""
    guarded: bool = False
    """It writes only over what the caller has seen, if that is told by If-Match."""


class Undeclared(Exception):
    """A route says not who may use it. The program must not start; the text names the route."""


def operation(
    policy: Policy,
    *,
    summary: str = "",
    answers: Mapping[int, Content] | None = None,
    takes: Raw | None = None,
    body_limit: int = MAX_JSON_BYTES,
    problems: tuple[Code, ...] = (),
    idempotent: bool = False,
    conditional: bool = False,
    digested: bool = False,
    guarded: bool = False,
) -> Callable[[F], F]:
    """Declare the decorated view. `takes` is a body that it reads by itself."""

    def declare(view: F) -> F:
        parameters = {} if not summary else get_type_hints(view)
        declared = Operation(
            policy=policy,
            summary=summary,
            description=view.__doc__ or "",
            query=parameters.get("query", NoQuery),
            body=parameters.get("body", takes),
            body_limit=body_limit,
            answers=answers or {},
            problems=problems,
            idempotent=idempotent,
            conditional=conditional,
            digested=digested,
            guarded=guarded,
        )
        served = _given(view, declared, parameters) if summary else view
        setattr(served, _ATTRIBUTE, declared)
        return served

    return declare


def _given(view: F, declared: Operation, parameters: Mapping[str, Any]) -> F:
    """The view, called with what it declares."""

    @wraps(view)
    async def given(*args: Any, **path: Any) -> Any:
        found: dict[str, Message] = {}
        query = read_query(declared.query)
        if "query" in parameters:
            found["query"] = query
        if "body" in parameters:
            found["body"] = await read_message(parameters["body"], declared.body_limit)
        return await view(*args, **path, **found)

    return cast(F, given)


def operation_of(view: Callable[..., Any] | None) -> Operation | None:
    """What a view declares."""
    found = getattr(view, _ATTRIBUTE, None)
    return found if isinstance(found, Operation) else None


def current_operation() -> Operation | None:
    """What the route of this request declares; None when it has none."""
    return operation_of(current_app.view_functions.get(request.endpoint or ""))


def require_declared(app: Quart) -> None:
    """Raises Undeclared unless each route says who may use it."""
    for rule in app.url_map.iter_rules():
        if operation_of(app.view_functions[rule.endpoint]) is None:
            raise Undeclared(f"{rule.rule} ({rule.endpoint}) says not who may use it")


def current_operator() -> Operator:
    """Who asks: known, and allowed what the route declares, before its handler runs."""
    found = g.operator
    assert isinstance(found, Operator)  # noqa: S101  the gate put it there, or the request ended
    return found
