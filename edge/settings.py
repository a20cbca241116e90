"""Settings of the gateway: a TOML file and environment variables LARDER_GATEWAY_*, checked once at start."""

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

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

from edge.errors import SettingsError

PREFIX = "LARDER_GATEWAY_"
CONFIG = f"{PREFIX}CONFIG"
FAILPOINT = "LARDER_FAILPOINT"
CLAIM_CODE = re.compile(r"[A-Za-z0-9_-]{26,128}")


def is_loopback(host: str) -> bool:
    """Whether the name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _cloud_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError("must be like https://cloud.example")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must be https:// unless the cloud is on this machine")
    return value.rstrip("/")


def _claim_code(value: SecretStr) -> SecretStr:
    if not CLAIM_CODE.fullmatch(value.get_secret_value()):
        raise ValueError("must be 26 to 128 letters, digits, hyphens and underscores")
    return value


def _address(value: str) -> str:
    return str(ipaddress.ip_address(value))


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Port = Annotated[int, Field(ge=0, le=65535)]
"""0 takes a free one."""

PublicKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Settings(BaseModel):
    """Every setting with its default. An empty environment gives a gateway that is reachable from this machine only.

    Lists are comma-separated in the environment, arrays in TOML.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    state_dir: Path = Path(".larder/gateway")
    kiosk_host: str = "127.0.0.1"
    kiosk_port: Port = 8080
    kiosk_allowed_hosts: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    """DNS names under which browsers reach the kiosk. Addresses and localhost are always allowed."""
    mqtt_host: str = "127.0.0.1"
    mqtt_port: Port = 8883
    mdns_interfaces: Annotated[tuple[Annotated[str, AfterValidator(_address)], ...], BeforeValidator(_split)] = ()
    """Own addresses on whose networks the gateway advertises itself. None: no mDNS."""
    cloud_url: Annotated[str, AfterValidator(_cloud_url)] = "http://127.0.0.1:8000"
    claim_code: Annotated[SecretStr, AfterValidator(_claim_code)] | None = None
    """One-time code for the first contact with the cloud."""
    claim_code_file: Path | None = None
    """The same in a file, which is read again before each attempt."""
    bundle_file: Path | None = None
    """A site's bundle, or a folder that holds one, such as a mounted stick: looked for at a start without a place."""
    bundle_passphrase: SecretStr | None = None
    """What stands on the bundle's sheet."""
    bundle_keys: Annotated[tuple[PublicKey, ...], BeforeValidator(_split)] = ()
    """Ed25519 public keys in hex: no bundle is taken but what one of them has signed. None: the passphrase vouches."""
    cloud_timeout_s: Seconds = 15
    """For one whole exchange with the cloud."""
    poll_s: Seconds = 30
    """The gateway asks for changes this often, in case the doorbell is deaf."""
    telemetry_s: Seconds = 60
    backoff_first_s: Seconds = 1
    backoff_limit_s: Seconds = 60
    watchdog_s: Seconds = 60
    """If facts wait and none was acknowledged for so long, the link to the cloud is built anew."""
    backup_s: Seconds = 3600
    release_keys: Annotated[tuple[PublicKey, ...], BeforeValidator(_split)] = ()
    """Ed25519 public keys in hex: devices are offered no firmware but what one of them has signed."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    failpoint: str = ""
    """Tests only, from LARDER_FAILPOINT."""

    def read_claim_code(self) -> SecretStr | None:
        """The claim code as it stands now, or None. A file that is missing, unreadable or not a code holds none.

        What lies in a file, as what was left by hand does (edge/__main__.py), comes before the code of the settings.
        """
        kept = _code_in(self.code_place)
        return kept or self.claim_code

    @property
    def code_place(self) -> Path:
        """Where a code is looked for that was left by hand."""
        return self.claim_code_file or self.state_dir / "claim-code"


def _code_in(file: Path) -> SecretStr | None:
    try:
        text = file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return SecretStr(text) if CLAIM_CODE.fullmatch(text) else None


def load(environment: Mapping[str, str]) -> Settings:
    """The settings in the file that LARDER_GATEWAY_CONFIG names, overridden by `environment`.

    Raises SettingsError, one line that names the setting and never shows its value.
    """
    named = {name: text for name, text in environment.items() if name.startswith(PREFIX) and name != CONFIG}
    given = {name.removeprefix(PREFIX).lower(): text for name, text in named.items()}
    file = environment.get(CONFIG)
    values = {**(_read_file(Path(file)) if file else {}), **given}
    if "failpoint" in values:
        raise SettingsError(f"failpoint is not a setting of the gateway (it is {FAILPOINT})")
    try:
        return Settings.model_validate({**values, "failpoint": environment.get(FAILPOINT, "")})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = str(first["loc"][0])
        name = f"{PREFIX}{field.upper()}" if field in given or not file else f"{field} in {file}"
        if first["type"] == "extra_forbidden":
            raise SettingsError(f"{name} is not a setting of the gateway") from None
        raise SettingsError(f"{name} is wrong: {first['msg']}") from None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"{CONFIG}: cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{CONFIG}: {path} is not TOML: {error}") from None
