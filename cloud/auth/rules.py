"""What makes a token, a key or a session good. Pure."""

import hashlib
import secrets
from datetime import datetime, timedelta

AUDIENCE = "larder-cloud"
ALGORITHM = "Ed25519"
"""EdDSA over Ed25519 by its own name (RFC 9864)."""

TOKEN_LIFE = timedelta(minutes=5)
CLOCK_LEEWAY = timedelta(seconds=60)
SESSION_IDLE = timedelta(minutes=30)
SESSION_LIFE = timedelta(hours=12)
KEY_PREFIX = "larder_"


def new_secret() -> str:
    """256 random bits in URL-safe characters."""
    return secrets.token_urlsafe(32)


def sha256_hex(secret: str) -> str:
    """How secrets of at least 128 random bits are kept: a plain hash suffices where nothing can be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def token_times_hold(issued: datetime, expires: datetime, now: datetime) -> bool:
    """True when a token is in force at `now`, give or take the leeway, and claims no longer life than allowed."""
    # The leeway is put on `now`: a token may name the very first or last moment there is.
    in_force = issued <= now + CLOCK_LEEWAY and now - CLOCK_LEEWAY <= expires
    return in_force and timedelta() < expires - issued <= TOKEN_LIFE


def session_holds(last_seen: datetime, expires: datetime, now: datetime) -> bool:
    """True while a session is neither idle for too long nor past its absolute end."""
    return now < expires and now - last_seen < SESSION_IDLE
