"""What an entry of the audit log says, and how one is chained to the one before. Pure.

Changing what `line_of` writes breaks every chain there is: a later form needs a version of its own.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from cloud.scrubbing import is_secret, scrubbed
from shared.sync import CHAIN_START, link

PLATFORM = UUID(int=0)
"""In place of a tenant: the chain of what was done outside of any."""

MAX_WORDS = 8
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_PART = re.compile(r"[^\W_]+")
_WORD_LENGTH = 64


class AuditAction(StrEnum):
    """What was done. Closed: what is not here is not audited."""

    TENANT_CREATED = "tenant_created"
    TENANT_ENTERED = "tenant_entered"
    USER_INVITED = "user_invited"
    INVITATION_ACCEPTED = "invitation_accepted"
    INVITATION_WITHDRAWN = "invitation_withdrawn"
    INVITATION_SENT_AGAIN = "invitation_sent_again"
    USER_CREATED = "user_created"
    USER_REMOVED = "user_removed"
    ROLE_CHANGED = "role_changed"
    SCOPE_CHANGED = "scope_changed"
    SIGNED_IN = "signed_in"
    SESSIONS_ENDED = "sessions_ended"
    SESSION_ENDED = "session_ended"
    USER_RENAMED = "user_renamed"
    SIGNED_OUT_EVERYWHERE = "signed_out_everywhere"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    SECOND_FACTOR_ADDED = "second_factor_added"
    SECOND_FACTOR_REMOVED = "second_factor_removed"
    SECOND_FACTOR_REPLACED = "second_factor_replaced"
    SECOND_FACTOR_RESET = "second_factor_reset"
    RECOVERY_CODES_RENEWED = "recovery_codes_renewed"
    API_KEY_CREATED = "api_key_created"
    API_KEY_REVOKED = "api_key_revoked"
    API_KEY_KEPT = "api_key_kept"
    PRODUCT_CREATED = "product_created"
    PRODUCT_CHANGED = "product_changed"
    PICTURE_PUT = "picture_put"
    PICTURE_REMOVED = "picture_removed"
    MACHINE_CHANGED = "machine_changed"
    PLANOGRAM_PUBLISHED = "planogram_published"
    STOCK_MOVE_ASKED = "stock_move_asked"
    SETUP_BEGUN = "setup_begun"
    SETUP_CHANGED = "setup_changed"
    SETUP_DELETED = "setup_deleted"
    SETUP_FINISHED = "setup_finished"
    SHEET_MADE = "sheet_made"
    COMMISSIONING_REPORTED = "commissioning_reported"
    DECOMMISSION_BEGUN = "decommission_begun"
    DECOMMISSION_CALLED_OFF = "decommission_called_off"
    TEMPLATE_CREATED = "template_created"
    TEMPLATE_CHANGED = "template_changed"
    TEMPLATE_DELETED = "template_deleted"
    SITE_CREATED = "site_created"
    SITE_CHANGED = "site_changed"
    GATEWAY_CREATED = "gateway_created"
    GATEWAY_CLAIMED = "gateway_claimed"
    GATEWAY_REVOKED = "gateway_revoked"
    CLAIM_CODE_ISSUED = "claim_code_issued"
    DEAD_LETTERS_REPLAYED = "dead_letters_replayed"
    DEVICE_INSTRUCTED = "device_instructed"
    SETTINGS_ASSIGNED = "settings_assigned"
    RELEASE_PUBLISHED = "release_published"
    RELEASE_ASSIGNED = "release_assigned"
    RELEASE_WITHDRAWN = "release_withdrawn"
    CUSTOMER_CREATED = "customer_created"
    CUSTOMER_READ = "customer_read"
    CUSTOMER_CHANGED = "customer_changed"
    CUSTOMER_NOTED = "customer_noted"
    CUSTOMER_ORDER_LINKED = "customer_order_linked"
    CUSTOMER_ORDER_UNLINKED = "customer_order_unlinked"
    CUSTOMER_EXPORTED = "customer_exported"
    CUSTOMER_ERASED = "customer_erased"
    CUSTOMER_SETTINGS_CHANGED = "customer_settings_changed"
    WEBHOOK_CREATED = "webhook_created"
    WEBHOOK_CHANGED = "webhook_changed"
    WEBHOOK_DELETED = "webhook_deleted"
    WEBHOOK_DISABLED = "webhook_disabled"
    WEBHOOK_REPLAYED = "webhook_replayed"
    WEBHOOK_SECRET_ROTATED = "webhook_secret_rotated"  # noqa: S105
    LEGACY_IMPORTED = "legacy_imported"
    LEGACY_EXPORTED = "legacy_exported"
    LIST_EXPORTED = "list_exported"
    CONFIGURATION_RELOADED = "configuration_reloaded"


class SubjectKind(StrEnum):
    """What sort of thing it was done to."""

    TENANT = "tenant"
    USER = "user"
    INVITATION = "invitation"
    API_KEY = "api_key"
    SETUP = "setup"
    TEMPLATE = "template"
    SITE = "site"
    MACHINE = "machine"
    PRODUCT = "product"
    GATEWAY = "gateway"
    DEVICE = "device"
    RELEASE = "release"
    CUSTOMER = "customer"
    WEBHOOK = "webhook"
    PLATFORM = "platform"


@dataclass(frozen=True)
class Subject:
    """What it was done to. `id` is a UUID or, of a release, its digest."""

    kind: SubjectKind
    id: UUID | str


@dataclass(frozen=True)
class Entry:
    """One entry as it is kept; all of it is hashed. `before` and `after` are JSON texts."""

    tenant_id: UUID
    number: int
    at: datetime
    actor_kind: str
    actor_id: UUID
    actor_name: str
    action: str
    subject_kind: str
    subject_id: str
    before: str | None
    after: str | None
    request_id: str
    address: str


@dataclass(frozen=True)
class Flaw:
    """Where a chain breaks: the first entry that is not what was written."""

    number: int
    what: str


def line_of(entry: Entry) -> bytes:
    """The canonical JSON line that is hashed."""
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    said = vars(entry) | {"tenant_id": str(entry.tenant_id), "actor_id": str(entry.actor_id), "at": at}
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def hash_of(previous: bytes, entry: Entry) -> bytes:
    """The chain's value at this entry."""
    return link(previous, line_of(entry))


def changed(before: Mapping[str, object] | None, after: Mapping[str, object] | None) -> tuple[str | None, str | None]:
    """Both sides as canonical JSON, without the fields that are the same in both.

    Raises ValueError for a field that is named like a secret: the log keeps everything for ever.
    """
    old, new = before or {}, after or {}
    secret = next((name for name in (*old, *new) if is_secret(name)), None)
    if secret is not None:
        raise ValueError(f"the audit log takes no {secret}")
    same = {name for name in old.keys() & new.keys() if old[name] == new[name]}
    return _json(before, same), _json(after, same)


def _json(fields: Mapping[str, object] | None, same: set[str]) -> str | None:
    if fields is None:
        return None
    left = {name: scrubbed(value) for name, value in fields.items() if name not in same}
    return json.dumps(left, sort_keys=True, separators=(",", ":"), default=str)


def words_of(entry: Entry) -> list[str]:
    """By what it is found: each word of its action, subject and actor, of hyphenated names also the parts."""
    text = f"{entry.action} {entry.subject_kind} {entry.actor_name}".casefold()
    found = {*_WORD.findall(f"{text} {entry.subject_id}"), *_PART.findall(text)}
    return sorted(word[:_WORD_LENGTH] for word in found)


def wanted_words(query: str) -> list[str]:
    """The words, or their beginnings, that all have to be found."""
    return sorted({word[:_WORD_LENGTH] for word in _WORD.findall(query.casefold())})[:MAX_WORDS]


def after_last(beginning: str) -> str:
    """In the order of bytes this comes after every word that begins so."""
    return beginning + "\U0010ffff"


class Chain:
    """Walks along the entries of one chain, in order."""

    def __init__(self) -> None:
        self.number = 0
        self.hash = CHAIN_START

    def follow(self, entries: Sequence[tuple[Entry, bytes]]) -> Flaw | None:
        """Goes on over entries and their hashes as they are kept; the first that is wrong."""
        for entry, kept in entries:
            if entry.number != self.number + 1:
                lost = entry.number > self.number
                return Flaw(self.number + 1, "was removed") if lost else Flaw(entry.number, "was inserted")
            if hash_of(self.hash, entry) != kept:
                return Flaw(entry.number, "was changed or inserted")
            self.number, self.hash = entry.number, kept
        return None

    def ends_at(self, number: int, kept: bytes) -> Flaw | None:
        """Whether the chain's head says the same as its last entry."""
        if number > self.number:
            return Flaw(self.number + 1, "was removed")
        if number < self.number:
            return Flaw(number + 1, "was inserted")
        return None if kept == self.hash else Flaw(number, "is not the one that was written last")
