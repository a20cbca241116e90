"""What makes a token, a key, a session, a password or a code good. Pure."""

import hashlib
import hmac
import re
import secrets
import unicodedata
from datetime import datetime, timedelta
from itertools import pairwise

import pyotp

from cloud.callers import Operator
from cloud.permissions import FOR_PEOPLE, Role, permissions_of

AUDIENCE = "larder-cloud"
ALGORITHM = "Ed25519"
"""EdDSA over Ed25519 by its own name (RFC 9864)."""

CALLERS = "callers"
"""Rung with a tenant's id when what one of its keys, tokens or gateways may do has changed: that is kept in mind."""

TOKEN_LIFE = timedelta(minutes=5)
CLOCK_LEEWAY = timedelta(seconds=60)
SESSION_IDLE = timedelta(minutes=30)
SESSION_LIFE = timedelta(hours=12)
HALF_LIFE = timedelta(minutes=10)
"""How long after the password the second factor is waited for."""
REPLACEMENT_LIFE = timedelta(minutes=10)
"""How long a second factor that takes another's place waits for its first code."""
STEP_UP = timedelta(minutes=15)
"""How long a second factor, once shown, counts for what asks for a fresh one."""
RESET_LIFE = timedelta(hours=1)
INVITATION_LIFE = timedelta(days=7)
REFRESH_LIFE = timedelta(days=30)

KEY_PREFIX = "larder_"
ACCESS_PREFIX = "larderaccess_"
REFRESH_PREFIX = "larderrefresh_"
SHOWN_CHARACTERS = 12
"""So much of an API key is kept for people to tell keys apart."""

PASSWORD_LENGTH = 12
LONGEST_PASSWORD = 256
RECOVERY_CODES = 10
TOTP_SECONDS = 30
TOTP_ISSUER = "Larder"

_IN_ADDRESS = r"[^@\s\x00-\x1f()<>\[\]:;,\\\"]"
_ADDRESS = re.compile(rf"{_IN_ADDRESS}{{1,64}}@{_IN_ADDRESS}{{1,185}}\.[^@\s\x00-\x1f()<>\[\]:;,\\\".]{{1,63}}")


def new_secret() -> str:
    """256 random bits in URL-safe characters."""
    return secrets.token_urlsafe(32)


def sha256_hex(secret: str) -> str:
    """How secrets of at least 112 random bits are kept: a plain hash suffices where nothing can be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def token_times_hold(issued: datetime, expires: datetime, now: datetime) -> bool:
    """True when a token is in force at `now`, give or take the leeway, and claims no longer life than allowed."""
    # The leeway is put on `now`: a token may name the very first or last moment there is.
    in_force = issued <= now + CLOCK_LEEWAY and now - CLOCK_LEEWAY <= expires
    return in_force and timedelta() < expires - issued <= TOKEN_LIFE


def session_holds(last_seen: datetime, expires: datetime, now: datetime) -> bool:
    """True while a session is neither idle for too long nor past its absolute end."""
    return now < expires and now - last_seen < SESSION_IDLE


def is_fresh(second_factor_at: datetime | None, now: datetime) -> bool:
    """True while a second factor counts for what asks for a fresh one."""
    return second_factor_at is not None and now - second_factor_at < STEP_UP


def is_address(text: str) -> bool:
    """Whether it may be an e-mail address. Whether it is one, only a mail can tell."""
    return len(text) <= 254 and text.isprintable() and _ADDRESS.fullmatch(text) is not None


def folded(address: str) -> str:
    """How an address is found: whatever case and form it is typed in."""
    return unicodedata.normalize("NFKC", address.strip()).casefold()


def why_weak(password: str, address: str, name: str) -> str | None:
    """What is wrong with a new password, for people; None if nothing is.

    Length counts, as NIST SP 800-63B (5.1.1.2) asks for; no rules about kinds of characters.
    """
    lowered = password.casefold()
    if len(password) < PASSWORD_LENGTH:
        return f"must have at least {PASSWORD_LENGTH} characters"
    if len(password) > LONGEST_PASSWORD:
        return f"must have at most {LONGEST_PASSWORD} characters"
    if len(set(lowered)) < 5:
        return "repeats too few characters"
    words = [folded(address), folded(address).partition("@")[0], name.casefold(), "larder", "password"]
    rest = lowered
    for word in words:
        if len(word) >= 4:
            rest = rest.replace(word, "")
    if len(rest) < PASSWORD_LENGTH // 2:
        return "is too close to your name, your address or ours"
    if _is_a_row(lowered):
        return "is a row of neighbouring characters"
    return None


def _is_a_row(text: str) -> bool:
    """abcdefghijkl, 012345678901, or the same backwards."""
    steps = {ord(later) - ord(earlier) for earlier, later in pairwise(text)}
    return steps <= {1, -9} or steps <= {-1, 9}


def new_totp_seed() -> str:
    """160 random bits in base32, as authenticator apps take them (RFC 4226, 4)."""
    return pyotp.random_base32()


def totp_link(seed: str, address: str) -> str:
    """What a QR code says to an authenticator app."""
    return pyotp.TOTP(seed).provisioning_uri(name=address, issuer_name=TOTP_ISSUER)


def totp_step(seed: str, code: str, last_step: int, now: datetime) -> int | None:
    """The time step whose code this is, within one of now and later than `last_step`; None if it is none (RFC 6238)."""
    if not code.isascii():
        return None
    current = int(now.timestamp()) // TOTP_SECONDS
    totp = pyotp.TOTP(seed)
    for step in (current, current - 1, current + 1):
        if step > last_step and hmac.compare_digest(totp.generate_otp(step), code):
            return step
    return None


def new_recovery_codes() -> list[str]:
    """Each of 120 random bits, readable: ABCD-EFGH-IJKL-MNOP-QRST-UVWX. A plain hash asks for 112."""
    texts = [pyotp.random_base32(32)[:24] for _ in range(RECOVERY_CODES)]
    return ["-".join(text[place : place + 4] for place in range(0, 24, 4)) for text in texts]


def recovery_sha256(code: str) -> str:
    """How a recovery code is kept, however it is typed."""
    return sha256_hex(re.sub(r"[\s-]", "", code).upper())


def may_decide_about(operator: Operator, role: Role) -> bool:
    """Whether they may give this role, and touch somebody who has it: only an owner an owner, nobody the mightier."""
    is_beyond = role is Role.OWNER and operator.role is not Role.OWNER
    own = operator.permissions if operator.role is None else permissions_of(operator.role)
    return not is_beyond and permissions_of(role) - FOR_PEOPLE <= own and operator.scope.is_everything
