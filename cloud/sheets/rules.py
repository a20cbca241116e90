"""What a sheet says, with codes that are shown this once, and what is typed at a gateway to let it in. Pure."""

import json
import re
from typing import Annotated
from uuid import UUID

from pydantic import Field

from shared.bundles import FILE_ENDING
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


def claim_command(cloud_url: str, code: str) -> str:
    """One line for the gateway's terminal (edge/__main__.py)."""
    return f"larder-gateway claim --cloud {cloud_url} {code}"


def gateway_toml(cloud_url: str, code: str) -> str:
    """The same as a settings file (edge/settings.py). Strings of JSON are strings of TOML."""
    return f"cloud_url = {json.dumps(cloud_url)}\nclaim_code = {json.dumps(code)}\n"


def bundle_name(site_name: str) -> str:
    """The name of a site's bundle as a file, wherever it is saved."""
    plain = re.sub(r"[^a-z0-9]+", "-", site_name.lower()).strip("-")
    return f"{plain[:40] or 'site'}{FILE_ENDING}"
