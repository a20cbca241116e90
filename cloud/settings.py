"""Settings of the cloud: environment variables LARDER_CLOUD_*, checked once at start."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
)

from cloud.errors import SettingsError
from cloud.rates import Rate, read_rate

PREFIX = "LARDER_CLOUD_"
FAILPOINT = "LARDER_FAILPOINT"


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


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


PublicKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


AnyRate = Annotated[Rate, BeforeValidator(read_rate)]


class Live(BaseModel):
    """What may change while the cloud runs. A rate is like `600/60`: 600 at once, and on average as many in 60 s."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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


class Settings(Live):
    """Every setting with its default. An empty environment gives a working demo on the loopback interface."""

    database_url: Annotated[str, AfterValidator(_postgres_url)] | None = Field(None, repr=False)
    """Postgres of production, as a user who is nothing but a member of `larder_app`, the role that `migrate` makes:
    `CREATE ROLE larder_cloud LOGIN NOINHERIT PASSWORD '…' IN ROLE larder_app`. Without it an embedded one runs in
    `state_dir`."""
    owner_database_url: Annotated[str, AfterValidator(_postgres_url)] | None = Field(None, repr=False)
    """The same database as the owner of its tables. For `migrate` alone: keep it from the other commands."""
    state_dir: Path = Path(".larder/cloud")
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """0 takes a free one."""
    pool_size: Annotated[int, Field(ge=1, le=100)] = 8
    release_keys: Annotated[tuple[PublicKey, ...], BeforeValidator(_split)] = ()
    """Ed25519 public keys in hex, comma-separated: only what one of them has signed is published as a release."""
    settings_key_file: Path | None = None
    """PEM file of the Ed25519 private key that signs the settings of devices. Without it none are assigned."""
    encryption_keys: SecretStr | None = None
    """`NAME:SECRET,…`, newest first: the keys of encrypted columns. `python -m cloud keys new` makes a SECRET, 32
    random bytes in URL-safe base64. Where `database_url` is set, both these must be; else they lie in `state_dir`."""
    blind_index_key: SecretStr | None = None
    """One more SECRET, by which what is encrypted is found again. It does not rotate with the others."""
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
    failpoint: str = ""
    """Tests only, from LARDER_FAILPOINT."""


def load(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`. Raises SettingsError: one line that names the setting, never its value."""
    given = {name.removeprefix(PREFIX).lower(): text for name, text in environment.items() if name.startswith(PREFIX)}
    if "failpoint" in given:
        raise SettingsError(f"{PREFIX}FAILPOINT is not a setting of the cloud (it is {FAILPOINT})")
    try:
        return Settings.model_validate({**given, "failpoint": environment.get(FAILPOINT, "")})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = PREFIX + str(first["loc"][0]).upper()
        if first["type"] == "extra_forbidden":
            raise SettingsError(f"{name} is not a setting of the cloud") from None
        raise SettingsError(f"{name} is wrong: {first['msg']}") from None
