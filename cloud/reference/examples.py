"""An example of anything that has a JSON Schema: by the field's name, else by its type. Pure."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

NAMED: dict[str, Any] = {
    "machine_id": "0190a000-0000-7000-8000-0000000000a1",
    "device_id": "0190a000-0000-7000-8000-0000000000d1",
    "site_id": "0190a000-0000-7000-8000-0000000000c1",
    "gateway_id": "0190a000-0000-7000-8000-0000000000b1",
    "tenant_id": "0190a000-0000-7000-8000-00000000de10",
    "order_id": "0190a3c2-5b1e-7d4f-9a60-2f1b7c9e0d11",
    "vend_id": "0190a3c2-5b1e-7d4f-9a60-2f1b7c9e0d12",
    "product_id": "0190a000-0000-7000-8000-0000000000f1",
    "machine_name": "Snacks",
    "product_name": "Salted Peanuts 50 g",
    "address": "12 Demo Street, Pune",
    "latitude": 18.5204,
    "longitude": 73.8567,
    "total_minor": 2500,
    "captured_minor": 2500,
    "given_back_minor": 0,
    "price_minor": 2500,
    "placed_at": "2026-03-01T09:30:00Z",
    "ended_at": "2026-03-01T09:30:12Z",
    "received_at": "2026-03-01T09:30:14Z",
    "placed_from": "2026-03-01T00:00:00Z",
    "placed_to": "2026-04-01T00:00:00Z",
    "effective_at": "2026-03-02T00:00:00Z",
    "limit": 50,
    "next_cursor": None,
    "cursor": "WzEsIjdmM2EiXQ",
    "state": "settled",
    "quantity": 8,
    "capacity": 12,
    "par_level": 4,
    "status": 422,
    "code": "validation_failed",
    "title": "validation failed",
    "type": "/docs/problems/validation_failed",
    "detail": "Some fields are wrong.",
    "path": "limit",
    "message": "Input should be less than or equal to 200",
    "centi_celsius": {"top": 412},
    "peak_ma": {"A1": 840},
    "settings": {"machine_id": "0190a000-0000-7000-8000-0000000000a1", "slots": {}},
    "action": "restart",
    "reason": None,
    "evidence": None,
    "fields": "order_id,state",
}
"""By the name of a field, where the value fits its type."""

PATTERNS = {
    "^[0-9a-f]{64}$": "0f" * 32,
    "^[0-9a-f]{16}$": "0f" * 8,
    "^[A-Z]{3}$": "INR",
    "^[A-Z][0-9]{1,2}$": "A1",
    "^[a-z0-9_-]{1,16}$": "top",
    "^[0-9A-Za-z.+-]{1,40}$": "1.4.0",
    "^[0-9]{4,8}$": "0000",
    "^[0-9a-f]{128}$": "0f" * 64,
    "^[A-Za-z0-9_-]+$": "a-claim-code-of-27-letters_",
}
_FORMATS = {
    "uuid": "0190a3c2-5b1e-7d4f-9a60-2f1b7c9e0d13",
    "date-time": "2026-03-01T09:30:00Z",
    "date": "2026-03-01",
}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}


def example_of(schema: Schema, components: Mapping[str, Schema], name: str = "") -> Any:
    """A value that fits `schema`; `components` are what its references name."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example_of(components[schema["$ref"].rpartition("/")[2]], components, name)
    if "anyOf" in schema or "oneOf" in schema:
        return _of_options(schema.get("anyOf") or schema["oneOf"], components, name)
    if name in NAMED and _fits(NAMED[name], schema):
        return NAMED[name]
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    if schema.get("type") == "object":
        return {key: example_of(inner, components, key) for key, inner in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [example_of(schema.get("items", {}), components, name)]
    return _of_value(schema, name)


def _of_options(options: list[Schema], components: Mapping[str, Schema], name: str) -> Any:
    if name in NAMED and NAMED[name] is None and {"type": "null"} in options:
        return None
    return example_of(next((option for option in options if option != {"type": "null"}), {}), components, name)


def _of_value(schema: Schema, name: str) -> Any:
    match schema.get("type"):
        case "string" if "pattern" in schema and schema["pattern"] in PATTERNS:
            return PATTERNS[schema["pattern"]]
        case "string":
            return _FORMATS.get(schema.get("format", ""), (name.replace("_", " ") or "text").ljust(4, "0"))
        case "integer" | "number":
            return max(schema.get("minimum", 1), 1)
        case "boolean":
            return True
        case _:
            return None


def _fits(value: Any, schema: Schema) -> bool:
    if "enum" in schema:
        return value in schema["enum"]
    kind = schema.get("type", "")
    return "const" not in schema and isinstance(value, _TYPES.get(kind, ())) and "pattern" not in schema
