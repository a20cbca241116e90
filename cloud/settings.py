"""Settings of the cloud: every one with its default, each checked by itself. `sources.py` says where they come from."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    StringConstraints,
)

from cloud.rates import Rate, read_rate


def _postgres_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        ports = [parts.port, *(int(port) for port in parse_qs(parts.query).get("port", []))]
    except ValueError:  # its text quotes the value
        raise ValueError("has no good host or port") from None
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ValueError("must begin with postgresql://")
    if 0 in ports or not parts.path.strip("/"):
        raise ValueError("names no port or no database")
    return value


def _mail_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_wrong = parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.port == 0
    except ValueError:  # its text quotes the value
        raise ValueError("has no good host or port") from None
    if is_wrong:
        raise ValueError("must begin with smtp:// or smtps:// and name a host")
    return value


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"https", "http"} or not parts.netloc or value != f"{parts.scheme}://{parts.netloc}".lower():
        raise ValueError("must be origins like https://app.example, without a path and without *")
    return value


def _s3_endpoint(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_wrong = parts.scheme not in {"https", "http"} or not parts.hostname or parts.port == 0 or "@" in parts.netloc
    except ValueError:
        raise ValueError("has no good host or port") from None
    if is_wrong or value != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("must be like https://s3.example:9000, without a path or a user")
    return value


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


PublicKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
AnyRate = Annotated[Rate, BeforeValidator(read_rate)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_split)]
PostgresUrl = Annotated[str, AfterValidator(_postgres_url)]


class Feature(StrEnum):
    """What can be switched off while the rest runs on."""

    CLAIMS = "claims"
    """Gateways may claim their places."""


class Live(BaseModel):
    """What may change while the cloud runs. A rate is like `600/60`: 600 at once, and on average as many in 60 s."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    rate_address: AnyRate = Rate(600, 60)
    """Of requests from one address, those of gateways left out."""
    rate_gateways_address: AnyRate = Rate(30_000, 60)
    """Of requests of gateways from one address."""
    rate_gateway: AnyRate = Rate(3_000, 60)
    """Of requests of one gateway."""
    rate_actor: AnyRate = Rate(1_200, 60)
    """Of requests of one user, and of one API key."""
    rate_tenant: AnyRate = Rate(6_000, 60)
    """Of requests of all users and keys of a tenant together."""
    rate_attempts: AnyRate = Rate(10, 300)
    """To sign in to one account."""
    rate_attempts_address: AnyRate = Rate(60, 300)
    """To sign in from one address."""
    max_requests: Annotated[int, Field(ge=1, le=10_000)] = 256
    """In progress at once in one process; one more is asked to come again."""
    cors_origins: Origins = ()
    """Pages of these origins may call /v1 from a browser."""
    cors_credentials_origins: Origins = ()
    """Those of them that may send cookies with it."""
    features_off: Annotated[frozenset[Feature], BeforeValidator(_split)] = frozenset()


class Settings(Live):
    """Every setting with its default. An empty environment gives a working demo on the loopback interface.

    Lists are comma-separated in the environment, arrays in the TOML file.
    """

    environment: Literal["development", "staging", "production"] = "development"
    """In production what only a demo can do with is refused (`cloud/production.py`)."""
    database_url: PostgresUrl | None = Field(None, repr=False)
    """Postgres of production, as a user who is nothing but a member of `larder_app`, the role that `migrate` makes:
    `CREATE ROLE larder_cloud LOGIN NOINHERIT PASSWORD '…' IN ROLE larder_app`. Without it an embedded one runs in
    `state_dir`."""
    owner_database_url: PostgresUrl | None = Field(None, repr=False)
    """The same database as the owner of its tables. For `migrate` alone: keep it from the other commands."""
    replica_url: PostgresUrl | None = Field(None, repr=False)
    """A streaming replica of that database, for reports and exports; as such a user."""
    replica_lag_seconds: Annotated[float, Field(ge=1, le=3600)] = 10.0
    """Of one that is farther behind nothing is read."""
    state_dir: Path = Path(".larder/cloud")
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """0 takes a free one."""
    tls_certificate_file: Path | None = None
    """PEM, with the intermediate ones. With it and its key this program speaks HTTPS itself."""
    tls_key_file: Path | None = None
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(_split)] = ()
    """Networks of proxies whose X-Forwarded-For is believed, like `10.0.0.0/8`."""
    pool_size: Annotated[int, Field(ge=1, le=100)] = 8
    request_seconds: Annotated[float, Field(ge=1, le=120)] = 10.0
    """How long a request may take, where its operation does not say otherwise."""
    drain_seconds: Annotated[float, Field(ge=0, le=300)] = 0.0
    """How long, when told to stop, to serve on while /health/ready says 503: until no proxy sends anything more."""
    release_keys: Annotated[tuple[PublicKey, ...], BeforeValidator(_split)] = ()
    """Ed25519 public keys in hex, comma-separated: only what one of them has signed is published as a release."""
    settings_key_file: Path | None = None
    """PEM file of the Ed25519 private key that signs the settings of devices. Without it none are assigned."""
    encryption_keys: SecretStr | None = None
    """`NAME:SECRET,…`, newest first: the keys of encrypted columns. `python -m cloud keys new` makes a SECRET, 32
    random bytes in URL-safe base64. Where `database_url` is set, both these must be; else they lie in `state_dir`."""
    blind_index_key: SecretStr | None = None
    """The same form with keys of its own, by which what is encrypted is found again; or one SECRET alone."""
    public_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#]+$")] = "http://127.0.0.1:8000"
    """Where people reach this cloud: links in mails begin with it."""
    mail_url: Annotated[str, AfterValidator(_mail_url)] | None = Field(None, repr=False)
    """`smtp://USER:PASSWORD@HOST:587` (STARTTLS), `smtps://…:465`, or `smtp://HOST:25?plain=1` for a relay next door.
    Without it mail goes into the folder `mail` of `state_dir`."""
    mail_from: Annotated[str, StringConstraints(pattern=r"^[^\r\n@]*[^\r\n@\s<]@[^\r\n@\s]+$")] = (
        "Larder <larder@localhost>"
    )
    """Whom mail comes from."""
    keep_health_days: Annotated[int, Field(ge=31)] = 400
    """Months of health samples that are older are dropped."""
    keep_facts_days: Annotated[int, Field(ge=367)] | None = None
    """Months of facts that are older are dropped. Without it facts are kept for ever."""
    keep_orders_days: Annotated[int, Field(ge=367)] | None = None
    """Orders that are older are dropped, with their vends, payments and stock movements; sums of sales stay. Without it
    they are kept for ever."""
    s3_bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] | None = None
    """Where files lie. Without it they are in the folder `objects` of `state_dir`."""
    s3_endpoint: Annotated[str, AfterValidator(_s3_endpoint)] | None = None
    """Of what speaks S3 and is not Amazon's, like `https://s3.example:9000`."""
    s3_region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")] = "us-east-1"
    s3_access_key_id: Annotated[str, StringConstraints(pattern=r"^[!-~]{0,200}$")] | None = None
    s3_secret_access_key: SecretStr | None = Field(None, repr=False)
    """With it requests are signed. Both keys are needed with `s3_bucket`."""
    picture_bytes: Annotated[int, Field(ge=64 * 1024, le=256 * 1024 * 1024)] = 20 * 1024 * 1024
    """The most that is taken for one picture."""
    picture_pixels: Annotated[int, Field(ge=1_000_000, le=200_000_000)] = 40_000_000
    """The most that one may have: 20 bytes of memory each, while it is made anew."""
    tenant_bytes: Annotated[int, Field(ge=64 * 1024)] = 2 * 1024**3
    """The most that all files of a tenant have together."""
    keep_webhooks_days: Annotated[int, Field(ge=7)] = 30
    """What was sent to webhooks, or could not be, is dropped after that."""
    webhook_ports: Annotated[frozenset[Annotated[int, Field(ge=1, le=65535)]], BeforeValidator(_split)] = frozenset(
        {443, 8443}
    )
    """To which ports webhooks may be sent."""
    webhook_networks: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(_split)] = ()
    """Networks that webhooks may reach though they are not on the internet, like `10.20.0.0/16`. None by default: else
    whoever makes a webhook could look at what stands behind our walls."""
    webhook_http: bool = False
    """In development only: webhooks may be sent without TLS."""
    show_mail: bool = False
    """In development only: shows the mail in that folder at /mail, to whoever reaches `host`, which is on loopback."""
    failpoint: str = ""
    """Tests only, from LARDER_FAILPOINT."""

    def live(self) -> Live:
        """The part of it that may change while the cloud runs."""
        return Live(**{name: getattr(self, name) for name in Live.model_fields})
