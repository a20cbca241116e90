"""What goes wrong, as it crosses the wire: RFC 9457 problem details with a stable code."""

from enum import StrEnum

from pydantic import ConfigDict

from shared.contract import Message


class Code(StrEnum):
    """Stable words a program may act on. The `detail` beside them is for people and may change."""

    VALIDATION_FAILED = "validation_failed"
    MALFORMED_BODY = "malformed_body"
    UNKNOWN_VERSION = "unknown_version"
    TOO_LARGE = "too_large"
    TIMEOUT = "timeout"
    DEADLINE_PASSED = "deadline_passed"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    RANGE_NOT_SATISFIABLE = "range_not_satisfiable"
    PRECONDITION_FAILED = "precondition_failed"
    IDEMPOTENCY_KEY_MISSING = "idempotency_key_missing"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    TOO_MANY_REQUESTS = "too_many_requests"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"

    UNKNOWN_MACHINE = "unknown_machine"
    UNKNOWN_SLOT = "unknown_slot"
    UNKNOWN_ORDER = "unknown_order"
    SOLD_OUT = "sold_out"
    SLOT_SUSPECT = "slot_suspect"
    SLOT_LOCKED = "slot_locked"
    PRICE_CHANGED = "price_changed"
    MACHINE_OFFLINE = "machine_offline"
    OUT_OF_SERVICE = "out_of_service"
    STORAGE_FULL = "storage_full"

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    SECOND_FACTOR_REQUIRED = "second_factor_required"
    SECOND_FACTOR_MISSING = "second_factor_missing"
    LINK_EXPIRED = "link_expired"
    CONFLICT = "conflict"
    QUOTA_EXCEEDED = "quota_exceeded"
    GATEWAY_REVOKED = "gateway_revoked"
    CLAIM_CODE_UNKNOWN = "claim_code_unknown"
    CLAIM_CODE_USED = "claim_code_used"
    CLAIM_CODE_EXPIRED = "claim_code_expired"
    SETTINGS_KEY_MISSING = "settings_key_missing"
    FACT_CONFLICT = "fact_conflict"
    EPOCH_SUPERSEDED = "epoch_superseded"
    CHAIN_BROKEN = "chain_broken"


class FieldError(Message):
    """One thing wrong with one field. `path` is dotted: `lines.0.quantity`."""

    path: str
    message: str


class Problem(Message):
    """The body of every HTTP error (media type application/problem+json)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    type: str = "about:blank"
    title: str
    status: int
    code: Code
    detail: str
    request_id: str
    errors: tuple[FieldError, ...] = ()
