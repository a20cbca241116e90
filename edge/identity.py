"""Who this gateway is: the Ed25519 key it made itself, its claimed place in the world, and the tokens it signs.

Both are small files beside the ledger, not in it: a lost or restored ledger loses neither.
"""

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import ValidationError

from edge import private_file
from edge.clock import Clock, new_id
from edge.errors import StorageFull
from shared.onboarding import GatewayClaimed

AUDIENCE = "larder-cloud"
ALGORITHM: Final = "Ed25519"
"""EdDSA over Ed25519 by its own name (RFC 9864)."""

TOKEN_LIFE = timedelta(minutes=5)
_CLAIM_FILE = "identity.json"
RENEW_BEFORE = timedelta(seconds=60)

log = structlog.get_logger()


def is_claimed(folder: Path) -> bool:
    """Whether the gateway whose files these are has been let in by the cloud."""
    return (folder / _CLAIM_FILE).exists()


class NotClaimed(Exception):
    """The gateway has no place in the world yet, so it has nothing to sign."""


class GatewayIdentity:
    """The key and the claim of this gateway, kept in `folder`."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._clock = clock
        self._claim_file = folder / _CLAIM_FILE
        self._claim = _load_claim(self._claim_file)
        if self._claim is not None and not (folder / "gateway.key").exists():
            log.error("gateway_key_missing", gateway_id=str(self._claim.gateway_id))  # as if it were damaged
        self._key = _load_key(folder / "gateway.key")
        self._token = ""
        self._token_ends = clock.monotonic()

    @property
    def public_key(self) -> str:
        """The raw public key as hex."""
        return self._key.public_key.public_bytes_raw().hex()

    @property
    def claim(self) -> GatewayClaimed | None:
        """What the cloud said at the claim, or None before it."""
        return self._claim

    def keep(self, claim: GatewayClaimed) -> None:
        """Remember the claim; on the disk when this returns. Raises StorageFull."""
        try:
            private_file.write(self._claim_file, claim.to_line())
        except OSError as error:
            raise StorageFull from error
        self._claim = claim
        self.forget_token()

    def token(self) -> str:
        """A JWT for the cloud: EdDSA, five minutes at most, used again until its last minute. Raises NotClaimed."""
        if self._claim is None:
            raise NotClaimed
        if not self._token or self._clock.monotonic() >= self._token_ends:
            self._token = self._sign(self._claim)
            self._token_ends = self._clock.monotonic() + (TOKEN_LIFE - RENEW_BEFORE).total_seconds()
        return self._token

    def forget_token(self) -> None:
        """Sign a new one next time: the clock has moved, or the cloud did not like this one."""
        self._token = ""

    def _sign(self, claim: GatewayClaimed) -> str:
        issued = int(self._clock.now().timestamp())
        claims: dict[str, Any] = {
            "iss": str(claim.gateway_id),
            "tenant": str(claim.tenant_id),
            "aud": AUDIENCE,
            "jti": str(new_id()),
            "iat": issued,
            "exp": issued + int(TOKEN_LIFE.total_seconds()),
        }
        header = {"typ": "JWT", "alg": ALGORITHM, "kid": self._key.thumbprint()}
        return jws.serialize_compact(header, json.dumps(claims).encode(), self._key, algorithms=[ALGORITHM])


def _load_key(path: Path) -> OKPKey:
    if path.exists():
        try:
            key = OKPKey.import_key(path.read_bytes())
            if key.is_private and key.curve_name == ALGORITHM:
                return key
        except (JoseError, ValueError, TypeError) as error:
            log.error("gateway_key_unreadable", error=str(error))
        # Selling goes on; the cloud refuses the new key until an operator has the gateway claimed again.
        _put_aside(path)
    fresh = OKPKey.generate_key(ALGORITHM)
    private_file.write(path, fresh.as_pem(private=True))
    return fresh


def _load_claim(path: Path) -> GatewayClaimed | None:
    if not path.exists():
        return None
    try:
        return GatewayClaimed.model_validate_json(path.read_bytes())
    except ValidationError:
        _put_aside(path)
        return None


def _put_aside(path: Path) -> None:
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    path.replace(aside)
    log.error("identity_file_damaged", file=path.name, kept_as=aside.name)
