"""Settings of the cloud: environment variables LARDER_CLOUD_*, checked once at start."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from cloud.errors import SettingsError

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


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


PublicKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Settings(BaseModel):
    """Every setting with its default. An empty environment gives a working demo on the loopback interface."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    release_keys: Annotated[tuple[PublicKey, ...], BeforeValidator(_split)] = ()
    """Ed25519 public keys in hex, comma-separated: only what one of them has signed is published as a release."""
    settings_key_file: Path | None = None
    """PEM file of the Ed25519 private key that signs the settings of devices. Without it none are assigned."""
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
