"""Where settings come from: environment variables LARDER_CLOUD_*, then the TOML file that LARDER_CLOUD_CONFIG names.

Every message is one line that names the setting, and never its value.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cloud.errors import SettingsError
from cloud.production import refused_in_production
from cloud.settings import Settings

PREFIX = "LARDER_CLOUD_"
CONFIG = f"{PREFIX}CONFIG"
FAILPOINT = "LARDER_FAILPOINT"
DEFAULT = "default"


@dataclass(frozen=True)
class Loaded:
    """Settings that hold together, and for each name where it was found."""

    settings: Settings
    origins: Mapping[str, str]
    file: Path | None


def load(environment: Mapping[str, str]) -> Loaded:
    """All settings, checked. Raises SettingsError."""
    given = {name.removeprefix(PREFIX).lower(): text for name, text in environment.items() if name.startswith(PREFIX)}
    if "failpoint" in given:
        raise SettingsError(f"{PREFIX}FAILPOINT is not a setting of the cloud (it is {FAILPOINT})")
    named = given.pop("config", "")
    file = Path(named) if named else None
    in_file = _read(file) if file else {}
    origins = dict.fromkeys(Settings.model_fields, DEFAULT)
    origins |= dict.fromkeys(in_file, str(file)) | {name: PREFIX + name.upper() for name in given}
    settings = _checked({**in_file, **given, "failpoint": environment.get(FAILPOINT, "")}, origins)
    return Loaded(settings, origins, file)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"{CONFIG}: {path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # no UTF-8, or no TOML; its text quotes nothing but the place
        where = str(error).rpartition("(")[2].rstrip(")") if isinstance(error, tomllib.TOMLDecodeError) else "not UTF-8"
        raise SettingsError(f"{CONFIG}: {path} is no TOML ({where})") from None
    if "failpoint" in found:
        raise SettingsError(f"failpoint in {path} is not a setting of the cloud (it is {FAILPOINT})")
    return found


def _checked(given: Mapping[str, Any], origins: Mapping[str, str]) -> Settings:
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise SettingsError(f"{_told(field, origins)} is not a setting of the cloud") from None
        raise SettingsError(f"{_told(field, origins)} is wrong: {first['msg']}") from None
    if (settings.tls_certificate_file is None) != (settings.tls_key_file is None):
        raise SettingsError(f"{PREFIX}TLS_CERTIFICATE_FILE and {PREFIX}TLS_KEY_FILE need each other")
    if settings.s3_bucket is not None:
        for field in ("s3_access_key_id", "s3_secret_access_key"):
            if not getattr(settings, field):
                raise SettingsError(f"{PREFIX}{field.upper()} is missing: {PREFIX}S3_BUCKET needs it")
    if settings.environment == "production":
        for field, reason in refused_in_production(settings):
            raise SettingsError(f"{_told(field, origins)} {reason}")
    return settings


def _told(field: str, origins: Mapping[str, str]) -> str:
    """The setting's name as whoever wrote it knows it."""
    origin = origins.get(field, DEFAULT)
    return f"{field} in {origin}" if origin not in {DEFAULT, PREFIX + field.upper()} else PREFIX + field.upper()
