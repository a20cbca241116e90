"""The routes of the API, as they declare themselves."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from quart import Quart

from cloud.operations import Access, Operation, operation_of
from cloud.permissions import Permission
from shared.errors import Code

TAGS = {
    "orders": ("Orders", "What customers bought, and what became of each unit."),
    "sales": ("Sales", "Sums of what was sold, for charts."),
    "customers": ("Customers", "People who asked for help. Encrypted, found by number, erased in time."),
    "contacts": ("Contacts with customers", "What happened, and with which orders."),
    "erasure": ("Erasure", "How customers are forgotten."),
    "inventory": ("Inventory", "What lies in the slots."),
    "catalog": ("Machines and catalogue", "What is sold where, at which price."),
    "setups": ("Setups", "Machines on their way into service, step by step, then at once."),
    "commissioning": ("Commissioning", "What new machines must have shown, and the report that says they have."),
    "decommissions": ("Decommissioning", "Machines on their way out of service."),
    "sheets": ("Sheets", "What a person takes to a site."),
    "templates": ("Templates", "What machines may be made like."),
    "pictures": ("Pictures", "What products look like."),
    "devices": ("Devices", "The boards that turn the motors."),
    "health": ("Health of devices", "What devices measured, over time."),
    "upkeep": ("Upkeep", "What people ask of single devices."),
    "configuration": ("Settings", "What devices shall run on."),
    "rollouts": ("Firmware", "Releases, and who shall run them."),
    "auth": ("Identity", "Who is who, and who may do what."),
    "search": ("Search", "What has a name or an id, by how that begins."),
    "audit": ("Audit log", "Who did what to what."),
    "webhooks": ("Webhooks", "Other systems are told what happens, signed; what they missed is sent again."),
    "onboarding": ("Sites and gateways", "Where machines stand, and how a gateway comes in."),
    "sync": (
        "Sync",
        "For gateways only: facts up, changes down. A WebSocket at /v1/sync/doorbell says when to pull.",
    ),
    "app": ("Readiness", "For load balancers."),
}
_PARAMETER = re.compile(r"<(\w+:)?(\w+)>")
_ARTICLES = ("a", "an", "the")
_EVERYWHERE = (Code.TOO_MANY_REQUESTS, Code.INTERNAL, Code.UNAVAILABLE, Code.DEADLINE_PASSED)


@dataclass(frozen=True)
class Route:
    """Where an operation is served."""

    path: str
    method: str
    parameters: tuple[tuple[str, bool], ...]
    """Of the path: name, and whether it is an id (else a digest)."""
    tag: str
    operation: Operation

    @property
    def id(self) -> str:
        """By which programs know it: its summary without articles, as `show_order`."""
        return "_".join(word for word in re.findall(r"[a-z]+", self.operation.summary.lower()) if word not in _ARTICLES)


def routes_of(app: Quart) -> list[Route]:
    """All that the API serves, by tag and path."""
    return sorted(_routes(app), key=lambda route: (list(TAGS).index(route.tag), route.path, route.method))


def _routes(app: Quart) -> Iterator[Route]:
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        declared = operation_of(view)
        if declared is None or not declared.summary:
            continue
        feature = view.__module__.split(".")[1]
        parameters = tuple((name, kind == "uuid:") for kind, name in _PARAMETER.findall(rule.rule))
        path = _PARAMETER.sub(r"{\2}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Route(path, method.lower(), parameters, feature, declared)


def problems_of(route: Route) -> list[Code]:
    """All codes that it can give: those declared, and those that follow from the rest."""
    declared = route.operation
    codes = {Code.VALIDATION_FAILED, *declared.problems, *_EVERYWHERE}
    if isinstance(declared.policy, Permission) or declared.policy is not Access.PUBLIC:
        codes |= {Code.UNAUTHENTICATED}
    if isinstance(declared.policy, Permission):
        codes |= {Code.FORBIDDEN, Code.SECOND_FACTOR_REQUIRED, Code.SECOND_FACTOR_MISSING}
    if declared.policy is Access.GATEWAY:
        codes |= {Code.GATEWAY_REVOKED}
    if route.parameters:
        codes |= {Code.NOT_FOUND}
    if declared.body is not None:
        codes |= {Code.MALFORMED_BODY, Code.UNSUPPORTED_MEDIA_TYPE, Code.TOO_LARGE, Code.TIMEOUT}
    if "v" in getattr(declared.body, "model_fields", ()):
        codes |= {Code.UNKNOWN_VERSION}
    if declared.idempotent:
        codes |= {Code.IDEMPOTENCY_KEY_MISSING, Code.IDEMPOTENCY_KEY_REUSED}
    if declared.guarded:
        codes |= {Code.PRECONDITION_FAILED}
    return [code for code in Code if code in codes]
