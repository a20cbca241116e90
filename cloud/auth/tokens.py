"""The tokens gateways sign: JWT, Ed25519, five minutes at most."""

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, ValidationError

from cloud.auth.rules import ALGORITHM, AUDIENCE, token_times_hold


class TokenRefused(Exception):
    """The token proves nothing. The text is for the log."""


class Claims(BaseModel):
    """What a token says. Believed only after `prove`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    iss: UUID
    """The gateway."""
    tenant: UUID
    aud: str
    jti: str
    iat: float
    exp: float


@dataclass(frozen=True)
class Token:
    """A token that was read and not yet proven."""

    text: str
    kid: str
    claims: Claims


def read(text: str) -> Token:
    """Read without believing. Raises TokenRefused."""
    try:
        unproven = jws.extract_compact(text.encode())
        claims = Claims.model_validate(json.loads(unproven.payload))
    except (JoseError, ValidationError, ValueError, RecursionError) as error:
        raise TokenRefused("unreadable") from error
    return Token(text, str(unproven.headers().get("kid", "")), claims)


def key_of(public_key: str) -> OKPKey:
    """The key behind 32 raw bytes as hex."""
    coordinate = urlsafe_b64encode(bytes.fromhex(public_key)).rstrip(b"=").decode()
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": coordinate})


def prove(token: Token, public_key: str, now: datetime) -> None:
    """Check signature, key id, audience and times. Raises TokenRefused."""
    key = key_of(public_key)
    if token.kid != key.thumbprint():
        raise TokenRefused("another key")
    try:
        jws.deserialize_compact(token.text.encode(), key, algorithms=[ALGORITHM])
    except (JoseError, ValueError) as error:
        raise TokenRefused("bad signature") from error
    if token.claims.aud != AUDIENCE or not token.claims.jti:
        raise TokenRefused("not for us")
    check_times(token.claims, now)


def check_times(claims: Claims, now: datetime) -> None:
    """Whether they are in force. Raises TokenRefused."""
    issued, expires = (_moment(stamp) for stamp in (claims.iat, claims.exp))
    if not token_times_hold(issued, expires, now):
        raise TokenRefused("out of its time")


def _moment(stamp: float) -> datetime:
    try:
        return datetime.fromtimestamp(stamp, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise TokenRefused("no such time") from error
