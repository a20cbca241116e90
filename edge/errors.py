"""Errors of the gateway, typed by what the caller should do."""

from shared.errors import Code


class LarderError(Exception):
    """The base of all: a stable code for programs, a sentence for people."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Refused(LarderError):
    """The wish cannot be granted as it stands; asking again without a change will not help. Tell the customer."""


class Unavailable(LarderError):
    """Not now: the same request may work later. Retry."""


class StorageFull(Unavailable):
    """No room for another promise. Nothing was written."""

    def __init__(self) -> None:
        super().__init__(Code.STORAGE_FULL, "The gateway's storage is full. Sales are paused.")


class SettingsError(Exception):
    """A setting is missing, unknown or wrong. The program must not start; the text names the setting."""


class DatabaseError(Exception):
    """The database does not give the guarantees it must give. The program must not start."""
