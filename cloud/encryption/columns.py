"""The table of all encrypted columns. A feature adds a line, and seals and opens its values with it.

The column's type is text. Where it held values before, the migration adds the row '' to `encryption_keys`: whoever
starts next encrypts them.
"""

from dataclasses import dataclass
from enum import StrEnum

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

    def place(self, row: tuple[object, ...]) -> Place:
        """Where the value of the row with this primary key stands."""
        if len(row) != len(self.key):
            raise ValueError(f"the key of {self.table} is {self.key}")
        return Place(self.table, self.column, "/".join(map(str, row)))


INSTRUCTION_PIN = EncryptedColumn("device_instructions", "pin")
SETTINGS_TEXT = EncryptedColumn("device_settings", "signed", ("tenant_id", "device_id", "version"))
"""It holds a Wi-Fi password and a claim code."""

TOTP_SEED = EncryptedColumn("user_secrets", "totp_seed", key=("user_id",), owner=Owner.USER)

KEPT_ANSWER = EncryptedColumn("kept_answers", "body", ("tenant_id", "actor_id", "key"))
"""The secret of a new API key may be in it."""

ENCRYPTED = (INSTRUCTION_PIN, SETTINGS_TEXT, TOTP_SEED, KEPT_ANSWER)
