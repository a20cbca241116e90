"""The API as an OpenAPI 3.1 document, made from what its routes declare and nothing else."""

import inspect
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from quart import Quart

from cloud.exports import csv_lines
from cloud.lists import PageQuery
from cloud.operations import Access, Content, Operation, Raw
from cloud.permissions import Permission
from cloud.reference.declared import TAGS, Route, problems_of, routes_of
from cloud.reference.examples import example_of
from cloud.reference.problems import PROBLEMS
from cloud.reference.schemas import REF, Schemas
from shared.contract import Message
from shared.errors import Code

VERSION = "1"
_ABOUT = """\
Everything that Larder's dashboard can do, for programs. Lists come page by page: follow `next_cursor`. Times are in UTC
and end in `Z`; money is in minor units (paise, cents) of the currency beside it. Every error is a problem (RFC 9457)
with a stable `code`, and, where fields are wrong, their paths.
"""
_SCHEMES = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key or an access token: `Authorization: Bearer …`.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-larder",
        "description": "A person who has signed in, in a browser.",
    },
    "gateway": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token that a claimed gateway signs with its own key (Ed25519).",
    },
}
_HEADERS = {
    "ETag": "What this answer is known by: for If-None-Match, and for If-Match when you change it.",
    "Idempotency-Replayed": "`true` when this is the answer to the first request with this key.",
}


def document_of(app: Quart) -> dict[str, Any]:
    """The whole document."""
    routes = routes_of(app)
    schemas = Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method] = _operation(route, schemas)
    tags = [
        {"name": name, "description": about} for tag, (name, about) in TAGS.items() if tag in {r.tag for r in routes}
    ]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Larder", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {"schemas": schemas.shown(), "securitySchemes": _SCHEMES},
    }


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    declared = route.operation
    told: dict[str, Any] = {
        "operationId": route.id,
        "tags": [TAGS[route.tag][0]],
        "summary": declared.summary,
        "description": inspect.cleandoc(declared.description),
        "security": _security(declared),
        "parameters": [*_of_path(route), *_of_query(declared.query, schemas), *_of_headers(declared)],
        "responses": _answers(route, schemas) | _problems(route),
    }
    if declared.body is not None:
        told["requestBody"] = {"required": True, "content": _content(declared.body, schemas, "validation")}
    return {name: value for name, value in told.items() if value != []} | {"security": told["security"]}


def _security(declared: Operation) -> list[dict[str, list[str]]]:
    match declared.policy:
        case Permission():
            return [{"key": [declared.policy.value]}, {"session": [declared.policy.value]}]
        case Access.ANY_OPERATOR:
            return [{"key": []}, {"session": []}]
        case Access.GATEWAY:
            return [{"gateway": []}]
        case Access.PUBLIC:
            return []
        case _:
            return [{"session": []}]


def _of_path(route: Route) -> list[dict[str, Any]]:
    forms = {True: {"type": "string", "format": "uuid"}, False: {"type": "string", "pattern": "^[0-9a-f]{64}$"}}
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": forms[is_id],
            "example": example_of(forms[is_id], {}, name if is_id else ""),
        }
        for name, is_id in route.parameters
    ]


def _of_query(query: type[Message], schemas: Schemas) -> list[dict[str, Any]]:
    schema = schemas.of(query, "validation")
    required = schema.get("required", [])
    return [
        _parameter(query, name, inner, schemas, is_required=name in required)
        for name, inner in schema.get("properties", {}).items()
    ]


def _parameter(
    query: type[Message], name: str, schema: Mapping[str, Any], schemas: Schemas, *, is_required: bool
) -> dict[str, Any]:
    """What may be left out may not be sent as null: of its type the other half stays."""
    inner = {key: value for key, value in schema.items() if key not in ("title", "description", "default", "anyOf")}
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    inner |= options[0] if options else {}
    if schema.get("default") is not None:
        inner["default"] = schema["default"]
    told: dict[str, Any] = {"name": name, "in": "query", "required": is_required}
    if name == "fields" and issubclass(query, PageQuery):
        names = list(query.row.model_fields)
        inner = {"type": "array", "items": {"type": "string", "enum": names}, "minItems": 1}
        told |= {"style": "form", "explode": False}
    if "description" in schema:
        told["description"] = schema["description"]
    if not issubclass(query, PageQuery) or name not in ("cursor", "fields"):
        told["example"] = example_of(inner, schemas.all, name)
    return told | {"schema": inner}


def _of_headers(declared: Operation) -> list[dict[str, Any]]:
    key = {"type": "string", "format": "uuid"}
    tag = {"type": "string"}
    headers = []
    if declared.idempotent:
        headers.append(("Idempotency-Key", True, key, "A fresh UUID; the same again when you repeat the request."))
    if declared.digested:
        about = "`sha-256=:BASE64:` (RFC 9530): the body is refused when it is not the one that was meant."
        headers.append(("Content-Digest", False, tag, about))
    if declared.conditional:
        headers.append(("If-None-Match", False, tag, "The ETag you have: if nothing has changed, 304 and no body."))
    if declared.guarded:
        headers.append(("If-Match", False, tag, "The ETag you have seen: if it has changed since, 412."))
    return [
        {"name": name, "in": "header", "required": needed, "schema": schema, "description": about}
        for name, needed, schema, about in headers
    ]


def _content(content: Content, schemas: Schemas, mode: str) -> dict[str, Any]:
    if content is None:
        return {}
    if isinstance(content, Raw):
        return {name: _raw(content, name, schemas) for name in content.media_types}
    ref = schemas.ref(content, mode)
    return {"application/json": {"schema": ref, "example": example_of(ref, schemas.all)}}


def _raw(content: Raw, media_type: str, schemas: Schemas) -> dict[str, Any]:
    """What is no message, with an example as it is sent; of a form, its fields."""
    told: dict[str, Any] = {"schema": {"description": content.description}}
    if content.row is not None:
        row = example_of(schemas.ref(content.row, "serialization"), schemas.all)
        lines = {"text/csv": csv_lines([list(row), list(row.values())]), "application/x-ndjson": f"{json.dumps(row)}\n"}
        return told | {"example": lines[media_type]}
    match content.example, media_type:
        case None, _:
            return told
        case text, "application/x-www-form-urlencoded":
            return told | {"example": dict(parse_qsl(text))}
        case text, "application/json":
            return told | {"example": json.loads(text)}
        case text, _:
            return told | {"example": text}


def _answers(route: Route, schemas: Schemas) -> dict[str, Any]:
    declared = route.operation
    names = ["ETag"] if declared.conditional else []
    names += ["Idempotency-Replayed"] if declared.idempotent else []
    headers = {name: {"schema": {"type": "string"}, "description": _HEADERS[name]} for name in names}
    told: dict[str, Any] = {}
    for status, content in declared.answers.items():
        told[str(status)] = {"description": _about(content), "content": _content(content, schemas, "serialization")}
        if headers:
            told[str(status)]["headers"] = headers
    if declared.conditional:
        told["304"] = {"description": "What you have is still right."}
    return told


def _about(content: Content) -> str:
    if content is None:
        return "Done."
    if isinstance(content, Raw):
        return content.description
    return inspect.cleandoc(content.__doc__ or "").partition("\n\n")[0]


def _problems(route: Route) -> dict[str, Any]:
    by_status: dict[int, list[Code]] = {}
    for code in problems_of(route):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {str(status): _problem(codes) for status, codes in sorted(by_status.items())}


def _problem(codes: list[Code]) -> dict[str, Any]:
    schema = {"allOf": [{"$ref": REF + "Problem"}, {"properties": {"code": {"enum": [str(code) for code in codes]}}}]}
    examples = {str(code): {"summary": PROBLEMS[code].meaning, "value": problem_example(code)} for code in codes}
    return {
        "description": " ".join(f"`{code}`: {PROBLEMS[code].meaning}" for code in codes),
        "content": {"application/problem+json": {"schema": schema, "examples": examples}},
    }


def problem_example(code: Code) -> dict[str, Any]:
    """As a client would see it."""
    return {
        "type": f"/docs/problems/{code}",
        "title": code.replace("_", " "),
        "status": PROBLEMS[code].status,
        "code": str(code),
        "detail": PROBLEMS[code].meaning,
        "request_id": "0190a3c25b1e7d4f9a602f1b7c9e0d10",
        "errors": [{"path": "limit", "message": "Input should be less than or equal to 200"}]
        if code is Code.VALIDATION_FAILED
        else [],
    }
