"""Settings: from outside the code, checked at start, named when wrong, never shown when secret."""

import logging
import os
from pathlib import Path

import pytest

from edge.__main__ import leave_claim_code
from edge.errors import SettingsError
from edge.settings import load

OTHER_CODE = "0123-zyxwvutsrqponmlkjihgfedcba"
CODE = "abcdefghijklmnopqrstuvwxyz-0123"


@pytest.mark.criterion("10.1")
def test_an_empty_environment_gives_a_gateway_on_loopback() -> None:
    settings = load({"PATH": "/usr/bin"})
    assert (settings.kiosk_host, settings.kiosk_port, settings.mqtt_host, settings.mqtt_port) == (
        "127.0.0.1",
        8080,
        "127.0.0.1",
        8883,
    )


@pytest.mark.criterion("10.1")
def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('kiosk_port = 9000\nmqtt_port = 9001\nkiosk_allowed_hosts = ["kiosk.lan"]\n')
    settings = load({"LARDER_GATEWAY_CONFIG": str(file), "LARDER_GATEWAY_KIOSK_PORT": "7000"})
    assert (settings.kiosk_port, settings.mqtt_port, settings.kiosk_allowed_hosts) == (7000, 9001, ("kiosk.lan",))


def test_lists_are_comma_separated() -> None:
    settings = load({"LARDER_GATEWAY_MDNS_INTERFACES": "127.0.0.1, 192.0.2.7"})
    assert settings.mdns_interfaces == ("127.0.0.1", "192.0.2.7")


@pytest.mark.criterion("10.4")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KIOSK_PORT", "eighty"),
        ("KIOSK_PORT", "70000"),
        ("MQTT_PORT", "-1"),
        ("CLOUD_URL", "cloud.example"),
        ("CLOUD_URL", "http://cloud.example"),
        ("CLAIM_CODE", "too-short"),
        ("MDNS_INTERFACES", "eth0"),
        ("WATCHDOG_S", "0"),
        ("LOG_LEVEL", "loud"),
        ("KIOSK_PROT", "8080"),
        ("FAILPOINT", "x"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({f"LARDER_GATEWAY_{name}": value})
    text = str(caught.value)
    assert "\n" not in text
    assert name.lower() in text.lower()


@pytest.mark.criterion("10.4")
@pytest.mark.parametrize("content", ["kiosk_port = [", "kiosk_prot = 1", 'kiosk_port = "many"'])
def test_a_wrong_file_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(content)
    with pytest.raises(SettingsError, match=r"gateway\.toml"):
        load({"LARDER_GATEWAY_CONFIG": str(file)})


@pytest.mark.criterion("10.4")
def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="LARDER_GATEWAY_CONFIG"):
        load({"LARDER_GATEWAY_CONFIG": str(tmp_path / "none.toml")})


@pytest.mark.criterion("10.1")
def test_the_claim_code_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    settings = load({"LARDER_GATEWAY_CLAIM_CODE": CODE})
    logging.getLogger("test").warning("%s %r", settings, settings)
    assert CODE not in caplog.text
    with pytest.raises(SettingsError) as caught:
        load({"LARDER_GATEWAY_CLAIM_CODE": CODE + "!"})
    assert CODE not in str(caught.value)


def test_a_claim_code_file_is_read_when_asked(tmp_path: Path) -> None:
    file = tmp_path / "code"
    settings = load({"LARDER_GATEWAY_CLAIM_CODE_FILE": str(file)})
    assert settings.read_claim_code() is None
    file.write_text(CODE + "\n")
    code = settings.read_claim_code()
    assert code is not None
    assert code.get_secret_value() == CODE
    file.write_text("no code at all")
    assert settings.read_claim_code() is None


def test_a_code_left_by_hand_comes_before_that_of_the_settings(tmp_path: Path) -> None:
    settings = load({"LARDER_GATEWAY_STATE_DIR": str(tmp_path / "state"), "LARDER_GATEWAY_CLAIM_CODE": CODE})
    said = leave_claim_code(settings, ["--cloud", "http://127.0.0.1:8000/", OTHER_CODE])
    file = tmp_path / "state" / "claim-code"
    assert str(file) in said
    assert file.stat().st_mode & 0o777 == 0o600
    code = settings.read_claim_code()
    assert code is not None
    assert code.get_secret_value() == OTHER_CODE


def test_a_code_that_the_administrator_leaves_can_be_read_by_the_gateway(tmp_path: Path) -> None:
    """Who types it is root, with sudo; the gateway is not."""
    if os.geteuid() == 0:
        os.chown(tmp_path, 12345, 12345)
    settings = load({"LARDER_GATEWAY_STATE_DIR": str(tmp_path)})
    leave_claim_code(settings, [CODE])
    file = settings.code_place
    assert (file.stat().st_uid, file.stat().st_gid) == (tmp_path.stat().st_uid, tmp_path.stat().st_gid)


@pytest.mark.parametrize(
    "words", [[], ["short"], [CODE, CODE], ["--cloud", CODE], ["--cloud", "https://other.example", CODE]]
)
def test_what_is_no_code_of_this_cloud_is_left_nowhere(tmp_path: Path, words: list[str]) -> None:
    settings = load({"LARDER_GATEWAY_STATE_DIR": str(tmp_path)})
    with pytest.raises(SettingsError, match=r"claim takes a code|set cloud_url"):
        leave_claim_code(settings, words)
    assert list(tmp_path.iterdir()) == []


def test_release_keys_are_a_list() -> None:
    key, other = "ab" * 32, "cd" * 32
    assert load({"LARDER_GATEWAY_RELEASE_KEYS": f"{key}, {other}"}).release_keys == (key, other)
    assert load({}).release_keys == ()
    with pytest.raises(SettingsError, match="LARDER_GATEWAY_RELEASE_KEYS"):
        load({"LARDER_GATEWAY_RELEASE_KEYS": "AB" * 32})
