"""The table of all encrypted columns, and of the blind indexes by which some of them are searched. A feature adds a
line, and seals and opens its values with it.

The column's type is text. Where it held values before, the migration adds the row '' to `encryption_keys`: whoever
starts next encrypts them.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from cloud.encryption.keyring import Keyring, Place


class Owner(StrEnum):
    """Whose the rows of a table are: the SQL function that lists the ids, for which units of work see the rows."""

    TENANT = "all_tenants"
    USER = "all_users"


@dataclass(frozen=True)
class EncryptedColumn:
    """A column, and the primary key by which its rows are known."""

    table: str
    column: str
    key: tuple[str, ...] = ("tenant_id", "id")
    owner: Owner = Owner.TENANT

    def seal(self, keyring: Keyring, row: tuple[object, ...], text: str) -> str:
        """What to keep in this row for `text`."""
        return keyring.seal(self.place(row), text)

    def open(self, keyring: Keyring, row: tuple[object, ...], kept: str) -> str:
        """The text that is kept in this row. Raises Undecipherable."""
        return keyring.open(self.place(row), kept)

    @property
    def source(self) -> str:
        """The column that a value is made anew from."""
        return self.column

    @property
    def key_name(self) -> str:
        """SQL for the name of a value's key."""
        return f"encryption_key_of({self.column})"

    def again(self, keyring: Keyring, row: tuple[object, ...], kept: str) -> str:
        """The same value with the newest key; `kept` may not be encrypted yet. Raises Undecipherable."""
        return self.seal(keyring, row, self.open(keyring, row, kept) if ".gAAAA" in kept else kept)

    def place(self, row: tuple[object, ...]) -> Place:
        """Where the value of the row with this primary key stands."""
        if len(row) != len(self.key):
            raise ValueError(f"the key of {self.table} is {self.key}")
        return Place(self.table, self.column, "/".join(map(str, row)))


@dataclass(frozen=True)
class BlindIndex:
    """A column by which the rows of a tenant are found that hold a text in the encrypted column `encrypted`.

    A value is `NAME.HEX`: the name of its key, and the HMAC-SHA-256 of the text in one form for all its spellings. Its
    key is of this column and this tenant, so nothing can be compared with another's.
    """

    encrypted: EncryptedColumn
    column: str

    @property
    def table(self) -> str:
        """Where it stands."""
        return self.encrypted.table

    @property
    def key(self) -> tuple[str, ...]:
        """By which its rows are known; the tenant comes first."""
        return self.encrypted.key

    @property
    def owner(self) -> Owner:
        """Whose the rows are."""
        return self.encrypted.owner

    @property
    def source(self) -> str:
        """The column that a value is made anew from."""
        return self.encrypted.column

    @property
    def key_name(self) -> str:
        """SQL for the name of a value's key."""
        return f"split_part({self.column}, '.', 1)"

    def all_of(self, keyring: Keyring, tenant_id: UUID, text: str) -> list[str]:
        """What may stand in the row of this text: the value of each key there is. The first is the newest's."""
        found = keyring.blind_indexes(f"{self.table}.{self.source}/{tenant_id}", text)
        return [f"{name}.{digest.hex()}" for name, digest in found.items()]

    def again(self, keyring: Keyring, row: tuple[object, ...], kept: str) -> str:
        """The value of the newest key for the text that is encrypted in `kept`. Raises Undecipherable."""
        tenant_id = row[0]
        assert isinstance(tenant_id, UUID)  # noqa: S101  of the primary key
        return self.all_of(keyring, tenant_id, self.encrypted.open(keyring, row, kept))[0]


INSTRUCTION_PIN = EncryptedColumn("device_instructions", "pin")
SETTINGS_TEXT = EncryptedColumn("device_settings", "signed", ("tenant_id", "device_id", "version"))
"""It holds a Wi-Fi password and a claim code."""

TOTP_SEED = EncryptedColumn("user_secrets", "totp_seed", key=("user_id",), owner=Owner.USER)
TOTP_NEXT_SEED = EncryptedColumn("user_secrets", "totp_next_seed", key=("user_id",), owner=Owner.USER)

KEPT_ANSWER = EncryptedColumn("kept_answers", "body", ("tenant_id", "actor_id", "key"))
"""The secret of a new API key may be in it."""

CUSTOMER_NAME = EncryptedColumn("customers", "name")
CUSTOMER_PHONE = EncryptedColumn("customers", "phone")
CUSTOMER_UPI = EncryptedColumn("customers", "upi_address")
NOTE_TEXT = EncryptedColumn("customer_notes", "text")
SETUP_DRAFT = EncryptedColumn("setups", "draft")
"""It holds the password of a site's Wi-Fi."""

WEBHOOK_SECRET = EncryptedColumn("webhook_endpoints", "secret")
WEBHOOK_OLD_SECRET = EncryptedColumn("webhook_endpoints", "old_secret")
LEGACY_ORIGINAL = EncryptedColumn("legacy_records", "original")
LEGACY_ARCHIVE_KEY = EncryptedColumn("legacy_files", "archive_key")

ENCRYPTED = (
    INSTRUCTION_PIN,
    SETTINGS_TEXT,
    TOTP_SEED,
    TOTP_NEXT_SEED,
    KEPT_ANSWER,
    CUSTOMER_NAME,
    CUSTOMER_PHONE,
    CUSTOMER_UPI,
    NOTE_TEXT,
    SETUP_DRAFT,
    WEBHOOK_SECRET,
    WEBHOOK_OLD_SECRET,
    LEGACY_ORIGINAL,
    LEGACY_ARCHIVE_KEY,
)

PHONE_INDEX = BlindIndex(CUSTOMER_PHONE, "phone_index")
LEGACY_FINGERPRINT = BlindIndex(LEGACY_ORIGINAL, "fingerprint")
"""By which it is known whether a record that comes again is the same: a plain hash would tell who can guess it."""

INDEXED = (PHONE_INDEX, LEGACY_FINGERPRINT)
