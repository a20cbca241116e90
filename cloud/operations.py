"""What each route declares of itself: first of all, who may use it. Nothing is served without that."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from quart import Quart, current_app, g, request

from cloud.callers import Operator
from cloud.permissions import Permission

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
class Operation:
    """What a route declares."""

    policy: Policy


class Undeclared(Exception):
    """A route says not who may use it. The program must not start; the text names the route."""


def operation(policy: Policy) -> Callable[[F], F]:
    """Declare who may use the decorated view."""

    def declare(view: F) -> F:
        setattr(view, _ATTRIBUTE, Operation(policy))
        return view

    return declare


def operation_of(view: Callable[..., Any] | None) -> Operation | None:
    """What a view declares."""
    found = getattr(view, _ATTRIBUTE, None)
    return found if isinstance(found, Operation) else None


def current_operation() -> Operation | None:
    """What the route of this request declares; None when it has none, and for the files of pages."""
    return operation_of(current_app.view_functions.get(request.endpoint or ""))


def require_declared(app: Quart) -> None:
    """Raises Undeclared unless each route says who may use it (the files of pages are anybody's)."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint.rpartition(".")[2] != "static" and operation_of(app.view_functions[rule.endpoint]) is None:
            raise Undeclared(f"{rule.rule} ({rule.endpoint}) says not who may use it")


def current_operator() -> Operator:
    """Who asks: known, and allowed what the route declares, before its handler runs."""
    found = g.operator
    assert isinstance(found, Operator)  # noqa: S101  the gate put it there, or the request ended
    return found
