"""What is refused in production: what was left out, and secrets that somebody could guess. Pure."""

from collections.abc import Iterator
from urllib.parse import parse_qs, unquote, urlsplit

from cloud.settings import Settings

SHORTEST_SECRET = 16
_DIFFERENT_CHARACTERS = 6
_WELL_KNOWN = (
    "password",
    "passwort",
    "secret",
    "changeme",
    "change-me",
    "postgres",
    "larder",
    "example",
    "12345",
    "qwert",
)


def refused_in_production(settings: Settings) -> Iterator[tuple[str, str]]:
    """Fields that will not do, each with the reason as the end of a sentence that begins with its name."""
    if settings.failpoint:
        yield "failpoint", "is for tests: no process of production may die on purpose"
    if settings.database_url is None and settings.owner_database_url is None:
        yield "database_url", "is missing: production needs a Postgres of its own, not the embedded one"
    for field, url in (
        ("database_url", settings.database_url),
        ("owner_database_url", settings.owner_database_url),
        ("replica_url", settings.replica_url),
    ):
        if url is not None and (reason := _weak_password(url)):
            yield field, reason
    if settings.tls_certificate_file is None and not settings.trusted_proxies:
        yield (
            "tls_certificate_file",
            "is missing: serve HTTPS, or name the proxy that does in LARDER_CLOUD_TRUSTED_PROXIES",
        )
    if not settings.public_url.startswith("https://"):
        yield "public_url", "is no https:// address, and links in mails begin with it"
    if settings.webhook_http:
        yield "webhook_http", "is for development: what webhooks tell, everybody on the way could read"
    if settings.mail_url is None:
        yield "mail_url", "is missing: nobody could be invited, or choose a new password"
    if settings.s3_bucket is not None:
        yield from _open_bucket(settings)
    for field, origins in (
        ("cors_origins", settings.cors_origins),
        ("cors_credentials_origins", settings.cors_credentials_origins),
    ):
        if any(origin.startswith("http://") for origin in origins):
            yield field, "names a page without HTTPS"


def _open_bucket(settings: Settings) -> Iterator[tuple[str, str]]:
    if (settings.s3_endpoint or "").startswith("http://"):
        yield "s3_endpoint", "is no https:// address"
    if settings.s3_secret_access_key and (found := weakness(settings.s3_secret_access_key.get_secret_value())):
        yield "s3_secret_access_key", found


def weakness(secret: str) -> str | None:
    """Why somebody might guess this secret, or None."""
    if len(secret) < SHORTEST_SECRET:
        return f"has fewer than {SHORTEST_SECRET} characters"
    if len(set(secret)) < _DIFFERENT_CHARACTERS:
        return f"has fewer than {_DIFFERENT_CHARACTERS} different characters"
    if any(secret.lower().startswith(word) for word in _WELL_KNOWN):
        return "begins like one that everybody tries"
    return None


def _weak_password(url: str) -> str | None:
    parts = urlsplit(url)
    if parse_qs(parts.query).get("host", [parts.hostname or ""])[-1].startswith("/"):
        return None  # a socket of this machine: Postgres asks the kernel who we are
    if not parts.password:
        return "has no password"
    password = unquote(parts.password)
    if password in {unquote(parts.username or ""), parts.path.strip("/")}:
        return "has its user or database for a password"
    found = weakness(password)
    return None if found is None else f"has a weak password: it {found}"
