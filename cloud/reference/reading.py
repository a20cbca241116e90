"""The document as a person reads it: each operation with its fields in a row, an example, and a line for curl. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from cloud.reference.client.snippets import snippets_of

Document = Mapping[str, Any]
_WORDS = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "object", "null": "null"}
_LIMITS = {"minimum": "at least", "maximum": "at most", "minLength": "length from", "maxLength": "length up to"}


@dataclass(frozen=True)
class Field:
    """One field or parameter, `depth` steps below the top."""

    name: str
    kind: str
    required: bool
    about: str
    depth: int = 0


@dataclass(frozen=True)
class Answer:
    """What comes back with a status."""

    status: str
    about: str
    codes: tuple[str, ...]
    fields: tuple[Field, ...]
    example: str | None


@dataclass(frozen=True)
class Entry:
    """One operation."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    permission: str
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    answers: tuple[Answer, ...]
    curl: str
    python: str


@dataclass(frozen=True)
class Chapter:
    """The operations of one tag."""

    name: str
    about: str
    entries: tuple[Entry, ...]


def chapters_of(document: Document) -> list[Chapter]:
    """All that there is to read."""
    entries: dict[str, list[Entry]] = {}
    snippets = snippets_of(document)
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            entries.setdefault(told["tags"][0], []).append(_entry(document, path, method, told, snippets))
    return [Chapter(tag["name"], tag["description"], tuple(entries[tag["name"]])) for tag in document["tags"]]


def entries_with(document: Document, code: str) -> list[Entry]:
    """The operations that can give this problem."""
    entries = (entry for chapter in chapters_of(document) for entry in chapter.entries)
    return [entry for entry in entries if any(code in answer.codes for answer in entry.answers)]


def _entry(
    document: Document, path: str, method: str, told: Mapping[str, Any], snippets: Mapping[tuple[str, str], str]
) -> Entry:
    taken: Mapping[str, Any] = next(iter(told.get("requestBody", {}).get("content", {}).values()), {})
    return Entry(
        id=told["operationId"],
        method=method.upper(),
        path=path,
        summary=told["summary"],
        description=told["description"],
        permission=_permission(told["security"]),
        parameters=tuple(_parameter(document, told_one) for told_one in told.get("parameters", [])),
        body=tuple(_fields(document, taken.get("schema", {}))),
        answers=tuple(_answer(document, status, answer) for status, answer in told["responses"].items()),
        curl=_curl(path, method, told),
        python=snippets[method.upper(), path],
    )


def _permission(security: list[Mapping[str, list[str]]]) -> str:
    """The permission that is asked for, or else who may come."""
    if not security:
        return "nothing"
    needed = next(iter(security[0].values()))
    return needed[0] if needed else next(iter(security[0]))


def _parameter(document: Document, told: Mapping[str, Any]) -> Field:
    schema = told["schema"]
    where = "" if told["in"] == "query" else f"In the {told['in']}. "
    return Field(told["name"], _kind(document, schema), told["required"], where + _about(document, schema | told))


def _answer(document: Document, status: str, told: Mapping[str, Any]) -> Answer:
    content = told.get("content", {})
    problem = content.get("application/problem+json")
    if problem is not None:
        return Answer(status, "", tuple(problem["examples"]), (), None)
    body: Mapping[str, Any] = next(iter(content.values()), {})
    example = body.get("example")
    if not isinstance(example, str | None):
        example = json.dumps(example, indent=2, ensure_ascii=False)
    return Answer(status, told["description"], (), tuple(_fields(document, body.get("schema", {}))), example)


def _resolved(document: Document, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        return _resolved(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    return schema


def _fields(document: Document, schema: Mapping[str, Any], depth: int = 0) -> Iterator[Field]:
    """The fields of an object, each followed by those inside it."""
    told = _resolved(document, schema)
    for name, inner in told.get("properties", {}).items():
        is_needed = name in told.get("required", ())
        yield Field(name, _kind(document, inner), is_needed, _about(document, inner), depth)
        if depth < 4:
            yield from _fields(document, _inside(document, inner), depth + 1)


def _inside(document: Document, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object in a field, in a list, or in one that may be null."""
    told = _resolved(document, schema)
    options = [option for option in told.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        return _inside(document, options[0])
    return _inside(document, told["items"]) if "items" in told else told


def _kind(document: Document, schema: Mapping[str, Any]) -> str:
    told = _resolved(document, schema)
    if "anyOf" in told:
        return " or ".join(dict.fromkeys(_kind(document, option) for option in told["anyOf"]))
    if "items" in told:
        return f"list of {_kind(document, told['items'])}"
    if told.get("format") in ("uuid", "date-time"):
        return {"uuid": "id", "date-time": "time"}[told["format"]]
    if "const" in told:
        return json.dumps(told["const"])
    kind: str = told.get("type", "anything")
    return _WORDS.get(kind, kind)


def _about(document: Document, schema: Mapping[str, Any]) -> str:
    """What is said of a field: its words, its choices, its limits, what it is by default."""
    inner = _inside(document, schema)
    parts = [schema.get("description") or ""]
    if "enum" in inner:
        parts.append("One of " + ", ".join(f"`{choice}`" for choice in inner["enum"]) + ".")
    limits = [f"{words} {inner[name]}" for name, words in _LIMITS.items() if name in inner]
    if limits:
        parts.append(", ".join(limits).capitalize() + ".")
    if schema.get("default") is not None:
        parts.append(f"By default `{schema['default']}`.")
    return " ".join(part.strip() for part in parts if part)


def _curl(path: str, method: str, told: Mapping[str, Any]) -> str:
    for parameter in told.get("parameters", []):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", f"{parameter['example']}")
    words = ["curl"] if method == "get" else ["curl", f"-X {method.upper()}"]
    words.append(f'"$LARDER{path}{_query(told)}"')
    if told["security"]:
        words.append('-H "Authorization: Bearer $TOKEN"')
    if any(parameter["name"] == "Idempotency-Key" for parameter in told.get("parameters", [])):
        words.append('-H "Idempotency-Key: $(uuidgen)"')
    for media_type, body in told.get("requestBody", {}).get("content", {}).items():
        words.append(f"-H 'Content-Type: {media_type}'")
        words.append(_sent(media_type, body.get("example")))
    return " \\\n  ".join(words)


def _sent(media_type: str, example: object) -> str:
    """The body as an argument of curl's. What is no JSON and no form lies in a file."""
    if media_type == "application/x-www-form-urlencoded" and isinstance(example, Mapping):
        return f"-d '{urlencode(example, safe=':')}'"
    if media_type == "application/json":
        return f"-d '{json.dumps(example, indent=2, ensure_ascii=False)}'"
    return "--data-binary @body"


def _query(told: Mapping[str, Any]) -> str:
    wanted = [p for p in told.get("parameters", []) if p["in"] == "query" and (p["required"] or p["name"] == "limit")]
    return "?" * bool(wanted) + "&".join(f"{p['name']}={p['example']}" for p in wanted)
