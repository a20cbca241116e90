"""settings.json: whom a board believes, whichever way the file came there."""

import json
from typing import Any

import pytest

from firmware.vending import settings_file
from firmware.vending.checks import SettingsError
from firmware.vending.provisioning import save
from shared.signed import Purpose
from tests.fakes.memory_flash import MemoryFlash
from tests.fakes.settings_key import OperatorKey

PEM = "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"
DEVICE_ID = "01890000-0000-7000-8000-000000000002"
VALUES: dict[str, Any] = {
    "machine_id": "01890000-0000-7000-8000-000000000001",
    "device_id": DEVICE_ID,
    "currency": "INR",
    "ca_pem": PEM,
    "slots": {"A1": {}},
}
VERIFIED = "settings.verified"
KEY, STRANGER = OperatorKey(), OperatorKey()


def board(settings: bytes, trust: bytes | None = KEY.trust) -> MemoryFlash:
    return MemoryFlash({"settings.json": settings} | ({} if trust is None else {"trust.json": trust}))


def refusal(flash: MemoryFlash) -> str:
    with pytest.raises(SettingsError) as refused:
        settings_file.load(flash)
    return str(refused.value)


def events(told: str) -> list[str]:
    return [json.loads(line)["event"] for line in told.splitlines()]


@pytest.mark.criterion("9.3")
def test_settings_that_the_operator_signed_are_taken() -> None:
    assert settings_file.load(board(KEY.sign(VALUES))).device_id == DEVICE_ID


@pytest.mark.criterion("9.3")
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (json.dumps(VALUES).encode(), "nobody has signed it"),
        (STRANGER.sign(VALUES), "whom this board does not know"),
        (KEY.sign(VALUES).replace(b"INR", b"USD"), "the signature is wrong"),
        (KEY.sign(json.dumps(VALUES), Purpose.RELEASE), "the signature is wrong"),
        (KEY.sign(VALUES)[:-20], "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"", "missing"),
        (KEY.sign(VALUES | {"slots": {"A1": {"home": 7}}}), "pin 7 is wired to the flash"),
    ],
)
def test_a_board_with_a_trust_file_takes_nothing_else(settings: bytes, reason: str) -> None:
    assert reason in refusal(board(settings))


def test_a_strangers_signature_under_a_known_name_is_refused() -> None:
    forged = json.loads(STRANGER.sign(VALUES)) | {"key": json.loads(KEY.sign(VALUES))["key"]}
    assert "the signature is wrong" in refusal(board(json.dumps(forged).encode()))


@pytest.mark.parametrize("trust", [b"", b"{", b"[]", b"{}", b'{"settings": {"a": "b"}}', b'{"settings": []}'])
def test_a_damaged_trust_file_lets_nobody_in(trust: bytes) -> None:
    assert "trust.json is damaged" in refusal(board(KEY.sign(VALUES), trust))
    assert "trust.json is damaged" in refusal(board(json.dumps(VALUES).encode(), trust))


@pytest.mark.parametrize("settings", [json.dumps(VALUES).encode(), STRANGER.sign(VALUES)])
def test_a_board_without_a_trust_file_takes_any_and_says_so(
    settings: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert settings_file.load(board(settings, trust=None)).device_id == DEVICE_ID
    assert events(capsys.readouterr().out) == ["settings_unverified"]


def test_a_signature_is_worked_out_once_and_again_when_either_file_has_changed() -> None:
    flash = board(KEY.sign(VALUES))
    settings_file.load(flash)
    known = flash.read(VERIFIED)
    assert len(known) == 64
    settings_file.load(flash)
    assert [write.name for write in flash.writes] == [VERIFIED]
    flash.files["settings.json"] = KEY.sign(VALUES | {"currency": "EUR"})
    settings_file.load(flash)
    assert flash.read(VERIFIED) != known
    flash.files["trust.json"] = STRANGER.trust
    assert "does not know" in refusal(flash)


def test_a_forged_file_beside_the_mark_of_the_right_one_is_refused() -> None:
    flash = board(KEY.sign(VALUES))
    settings_file.load(flash)
    flash.files["settings.json"] = flash.files["settings.json"].replace(b"INR", b"USD")
    assert "the signature is wrong" in refusal(flash)


def test_a_full_flash_costs_the_mark_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    flash = board(KEY.sign(VALUES))
    flash.full = True
    assert settings_file.load(flash).device_id == DEVICE_ID
    assert events(capsys.readouterr().out) == ["settings_verified_each_boot"]


def test_settings_are_saved_only_if_they_can_be_read_back() -> None:
    flash = board(b"")
    save(flash, b"new")
    assert flash.read("settings.json") == b"new"
    flash.full = True
    with pytest.raises(OSError, match="no space"):
        save(flash, b"newer")
