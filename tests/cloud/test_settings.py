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
