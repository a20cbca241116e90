"""Sheets as operators get them. The codes on them are shown this once."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from shared.contract import Digest, Instant, Message, Name
from shared.signed import SignedText


class SheetGateway(Message):
    """How the gateway comes in: by `command`, or by `settings_toml` as its settings file. None once it has claimed."""

    gateway_id: UUID
    name: Name
    claimed: bool
    claim_code: str | None
    command: str | None
    settings_toml: str | None


class SheetDevice(Message):
    """How a device comes in: by `settings`, its settings.json, or by `setup_address`, the same as an address that a
    phone opens in the board's own network. `missing` says in words why there is none yet.
    """

    device_id: UUID
    machine_name: Name
    name: Name
    claimed: bool
    claim_code: str | None
    settings: SignedText | None
    setup_address: str | None
    missing: str | None


class SheetBundle(Message):
    """A file that a gateway sells from before it reaches any cloud, and what opens it; both shown this once.

    `public_key` signed it: a gateway that is told it (LARDER_GATEWAY_BUNDLE_KEYS) takes no other's.
    """

    file_name: str
    file: Annotated[str, Field(description="In base64.")]
    passphrase: str
    public_key: Digest


class Sheet(Message):
    """All that a site's gateway and the devices of a setup need to come in. Its codes work once, until `expires_at`.

    With a `bundle` they live for 30 days. Codes of sheets before it work no more.
    """

    setup_id: UUID
    site_name: Name
    site_address: str
    made_at: Instant
    expires_at: Instant
    gateway: SheetGateway
    devices: tuple[SheetDevice, ...]
    bundle: SheetBundle | None
