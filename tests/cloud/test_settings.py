"""Settings come from the environment, and a wrong one stops the program with one line that names it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloud.errors import SettingsError
from cloud.settings import Settings
from cloud.sources import load as load_all

HIDDEN = "hunter2"


def load(environment: dict[str, str]) -> Settings:
    return load_all(environment).settings


@pytest.mark.criterion("10.1")
def test_every_setting_comes_from_the_environment() -> None:
    assert load({}).port == 8000
    found = load({"LARDER_CLOUD_PORT": "0", "LARDER_CLOUD_STATE_DIR": "/x", "LARDER_FAILPOINT": "a#2", "HOME": "/"})
    assert (found.port, found.state_dir, found.failpoint) == (0, Path("/x"), "a#2")


@pytest.mark.criterion("10.4")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LARDER_CLOUD_PORT", "99999"),
        ("LARDER_CLOUD_PORT", "http"),
        ("LARDER_CLOUD_PROT", "8000"),
        ("LARDER_CLOUD_POOL_SIZE", "0"),
        ("LARDER_CLOUD_LOG_LEVEL", "loud"),
        ("LARDER_CLOUD_DATABASE_URL", f"mysql://user:{HIDDEN}@host/db"),
        ("LARDER_CLOUD_DATABASE_URL", f"postgresql://user@host:{HIDDEN}/db"),
        ("LARDER_CLOUD_DATABASE_URL", f"postgresql://user@/db?host=/run&port={HIDDEN}"),
        ("LARDER_CLOUD_DATABASE_URL", f"postgresql://user@[{HIDDEN}/db"),
        ("LARDER_CLOUD_OWNER_DATABASE_URL", f"postgresql://user:{HIDDEN}@host"),
        ("LARDER_CLOUD_S3_ENDPOINT", f"https://{HIDDEN}@s3.example"),
        ("LARDER_CLOUD_S3_BUCKET", f"{HIDDEN}/files"),
        ("LARDER_CLOUD_PICTURE_BYTES", "1e9"),
        ("LARDER_CLOUD_FAILPOINT", "x"),
    ],
)
def test_a_wrong_or_unknown_setting_is_named_and_its_value_is_not(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({name: value})
    assert name in str(caught.value)
    assert HIDDEN not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.criterion("10.4")
def test_the_program_does_not_start_on_a_wrong_setting() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "cloud", "serve"],
        env=os.environ | {"LARDER_CLOUD_PORT": "-1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 78
    assert ended.stderr.splitlines() == [ended.stderr.strip()]
    assert "LARDER_CLOUD_PORT" in ended.stderr
    assert ended.stdout == ""


def test_release_keys_are_a_list() -> None:
    key, other = "ab" * 32, "cd" * 32
    assert load({"LARDER_CLOUD_RELEASE_KEYS": f"{key}, {other}"}).release_keys == (key, other)
    assert load({}).release_keys == ()
    with pytest.raises(SettingsError, match="LARDER_CLOUD_RELEASE_KEYS"):
        load({"LARDER_CLOUD_RELEASE_KEYS": "AB" * 32})


GOOD = "aB3-xY9_qL7.mN2~"
PRODUCTION = {
    "LARDER_CLOUD_ENVIRONMENT": "production",
    "LARDER_CLOUD_PUBLIC_URL": "https://cloud.example",
    "LARDER_CLOUD_MAIL_URL": "smtp://mail.example",
    "LARDER_CLOUD_DATABASE_URL": f"postgresql://cloud:{GOOD}@db.example/larder",
    "LARDER_CLOUD_TRUSTED_PROXIES": "10.0.0.0/8, fd00::/8",
}


BUCKET = {
    "LARDER_CLOUD_S3_BUCKET": "larder",
    "LARDER_CLOUD_S3_ACCESS_KEY_ID": "id",
    "LARDER_CLOUD_S3_SECRET_ACCESS_KEY": GOOD,
}


@pytest.mark.criterion("10.4")
@pytest.mark.parametrize("name", ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"])
def test_a_bucket_needs_both_its_keys(name: str) -> None:
    assert load(BUCKET).s3_bucket == "larder"
    assert load(PRODUCTION | BUCKET).s3_endpoint is None
    with pytest.raises(SettingsError, match=name):
        load(BUCKET | {f"LARDER_CLOUD_{name}": ""})


@pytest.mark.criterion("10.4")
@pytest.mark.parametrize(("name", "value"), [("S3_ENDPOINT", "http://s3.example"), ("S3_SECRET_ACCESS_KEY", HIDDEN)])
def test_production_refuses_a_bucket_in_the_open(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        load(PRODUCTION | BUCKET | {f"LARDER_CLOUD_{name}": value})
    assert HIDDEN not in str(caught.value)


@pytest.mark.criterion("10.2")
def test_production_takes_what_is_fit_for_it() -> None:
    assert load(PRODUCTION).environment == "production"
    socket = PRODUCTION | {"LARDER_CLOUD_DATABASE_URL": "postgresql://larder_cloud@/larder?host=/run/postgresql"}
    assert load(socket).environment == "production"
    tls = {"LARDER_CLOUD_TLS_CERTIFICATE_FILE": "c.pem", "LARDER_CLOUD_TLS_KEY_FILE": "k.pem"}
    assert load(PRODUCTION | tls | {"LARDER_CLOUD_TRUSTED_PROXIES": ""}).trusted_proxies == ()


@pytest.mark.criterion("10.2")
@pytest.mark.criterion("10.4")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", None),
        ("DATABASE_URL", "postgresql://cloud@db.example/larder"),
        ("DATABASE_URL", f"postgresql://cloud:{HIDDEN}@db.example/larder"),
        ("DATABASE_URL", f"postgresql://cloud:{3 * HIDDEN}@db.example/{3 * HIDDEN}"),
        ("DATABASE_URL", f"postgresql://cloud:{20 * 'a'}@db.example/larder"),
        ("DATABASE_URL", f"postgresql://cloud:{'changeme'}-0123456789@db.example/larder"),
        ("OWNER_DATABASE_URL", f"postgresql://owner:{HIDDEN}@db.example/larder"),
        ("TRUSTED_PROXIES", None),
        ("PUBLIC_URL", None),
        ("MAIL_URL", None),
        ("CORS_ORIGINS", "http://app.example"),
        ("TLS_KEY_FILE", "k.pem"),
    ],
)
def test_production_refuses_what_is_missing_weak_or_default(name: str, value: str | None) -> None:
    given = {setting: text for setting, text in PRODUCTION.items() if setting != f"LARDER_CLOUD_{name}"}
    with pytest.raises(SettingsError) as caught:
        load(given | ({} if value is None else {f"LARDER_CLOUD_{name}": value}))
    assert name in str(caught.value)
    assert HIDDEN not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_production_dies_at_no_failpoint() -> None:
    with pytest.raises(SettingsError, match="FAILPOINT"):
        load(PRODUCTION | {"LARDER_FAILPOINT": "claim.before_commit"})


@pytest.mark.criterion("10.1")
def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "cloud.toml"
    file.write_text('port = 9000\nlog_level = "debug"\nrate_address = "5/1"\nrelease_keys = ["' + "ab" * 32 + '"]\n')
    loaded = load_all({"LARDER_CLOUD_CONFIG": str(file), "LARDER_CLOUD_PORT": "9001"})
    assert (loaded.settings.port, loaded.settings.log_level) == (9001, "debug")
    assert str(loaded.settings.rate_address) == "5/1"
    where = {name: loaded.origins[name] for name in ("port", "log_level", "host")}
    assert where == {"port": "LARDER_CLOUD_PORT", "log_level": str(file), "host": "default"}


@pytest.mark.criterion("10.4")
@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot = 1", "prot in"),
        ("port = 99999", "port in"),
        (f'database_url = "{HIDDEN}"', "database_url in"),
        (f'rate_address = "{HIDDEN}"', "rate_address in"),
        ('cors_origins = ["*"]', "cors_origins in"),
        ('cors_origins = ["https://app.example/page"]', "cors_origins in"),
        ('trusted_proxies = ["10.0.0.1/8"]', "trusted_proxies in"),
        ('failpoint = "x"', "failpoint in"),
        (f'host = "{HIDDEN}', "LARDER_CLOUD_CONFIG"),
        ("[table]\nx = 1", "table in"),
    ],
)
def test_a_wrong_setting_in_the_file_is_named_too(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "cloud.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_all({"LARDER_CLOUD_CONFIG": str(file)})
    assert named in str(caught.value)
    assert HIDDEN not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match=r"LARDER_CLOUD_CONFIG: /nowhere/x.toml cannot be read"):
        load_all({"LARDER_CLOUD_CONFIG": "/nowhere/x.toml"})
