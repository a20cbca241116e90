"""Claim: the first contact of a gateway with a one-time code, at which it registers the public key it made."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import StringConstraints

from shared.contract import Currency, Digest, Instant, Message, Name, Version

Certificate = Annotated[
    str,
    StringConstraints(
        max_length=4096, pattern=r"^-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----\n$"
    ),
]
"""One X.509 certificate in PEM."""


ClaimCode = Annotated[str, StringConstraints(min_length=26, max_length=128, pattern=r"^[A-Za-z0-9_-]+$")]
"""At least 128 random bits."""


class ClaimGateway(Message):
    """What a gateway sends. `public_key` is a raw Ed25519 key as hex.

    `ca_pem` is the site's own CA, which its devices are told to trust; older gateways do not say it. `gateway_id` is
    said by one that has a place already, by its bundle: a code for another place is no code for it.
    """

    v: Literal[1] = 1
    code: ClaimCode
    public_key: Digest
    software: Version
    ca_pem: Certificate | None = None
    gateway_id: UUID | None = None


class GatewayClaimed(Message):
    """What it gets: its place in the world. Repeating the claim with the same code and key gives the same answer."""

    gateway_id: UUID
    tenant_id: UUID
    site_id: UUID
    site_name: Name
    currency: Currency
    server_time: Instant
