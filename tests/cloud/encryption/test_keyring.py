"""Values that are encrypted, and the keys that are refused."""

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud import sources
from cloud.clock import new_id
from cloud.encryption.columns import INSTRUCTION_PIN
from cloud.encryption.keyring import Place
from cloud.encryption.keys_file import new_secret, open_keyring
from cloud.errors import SettingsError, Undecipherable
from cloud.settings import Settings
from tests.fakes.encryption_keys import keyring, secret, written

PLACE = Place("people", "phone", "1/2")
PRODUCTION = {"LARDER_CLOUD_DATABASE_URL": "postgresql://larder_app@host/larder"}


def load(environment: dict[str, str]) -> Settings:
    return sources.load(environment).settings


@pytest.mark.criterion("1.3")
@given(st.text())
def test_what_was_sealed_is_read_again_and_stands_nowhere_in_plain(text: str) -> None:
    keys = keyring("new", "old")
    kept = keys.seal(PLACE, text)
    assert kept.startswith("new.gAAAA")
    assert keys.open(PLACE, kept) == text
    assert keyring("newer", "new").open(PLACE, kept) == text


@pytest.mark.parametrize(
    "elsewhere",
    [Place("people", "phone", "1/3"), Place("people", "name", "1/2"), Place("staff", "phone", "1/2")],
)
def test_a_value_that_was_moved_is_refused(elsewhere: Place) -> None:
    with pytest.raises(Undecipherable, match="belongs somewhere else"):
        keyring().open(elsewhere, keyring().seal(PLACE, "+10000000000"))


def test_a_missing_key_is_named_and_a_wrong_one_refused() -> None:
    kept = keyring("old").seal(PLACE, "+10000000000")
    with pytest.raises(Undecipherable, match="needs the key old"):
        keyring("new").open(PLACE, kept)
    with pytest.raises(Undecipherable, match="another key than this new"):
        keyring("new").open(PLACE, kept.replace("old.", "new."))
    with pytest.raises(Undecipherable, match="was damaged"):
        keyring("old").open(PLACE, kept[:-6] + "AAAA==")
    with pytest.raises(Undecipherable) as refusal:
        keyring("old").open(PLACE, "48151623")
    assert "48151623" not in str(refusal.value)


def test_a_row_is_known_by_its_whole_key() -> None:
    with pytest.raises(ValueError, match="device_instructions"):
        INSTRUCTION_PIN.place((new_id(),))


def test_a_blind_index_is_equal_for_equal_texts_of_one_purpose() -> None:
    index = keyring().blind_index("people.phone", "+10000000000")
    assert len(index) == 32
    assert keyring("other").blind_index("people.phone", "+10000000000") == index
    assert keyring().blind_index("people.phone", "+10000000001") != index
    assert keyring().blind_index("staff.phone", "+10000000000") != index


WEAK = base64.urlsafe_b64encode(b"correct horse battery staple ...").decode()


@pytest.mark.criterion("1.1")
@pytest.mark.criterion("10.4")
@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("ENCRYPTION_KEYS", None, "is missing"),
        ("BLIND_INDEX_KEY", None, "is missing"),
        ("ENCRYPTION_KEYS", written("a"), "must be NAME:SECRET"),
        ("ENCRYPTION_KEYS", f"A.b:{written('a')}", "must be NAME:SECRET"),
        ("ENCRYPTION_KEYS", f"a:{written('a')[:-2]}", "base64"),
        ("ENCRYPTION_KEYS", f"a:{written('a')[4:]}", "44 characters"),
        ("ENCRYPTION_KEYS", f"a:{written('a')},a:{written('b')}", "twice"),
        ("ENCRYPTION_KEYS", f"a:{written('a')},b:{written('a')}", "two names"),
        ("ENCRYPTION_KEYS", f"a:{WEAK}", "weak"),
        ("ENCRYPTION_KEYS", f"a:{'A' * 43}=", "weak"),
        ("ENCRYPTION_KEYS", f"a:{written('blind index')}", "LARDER_CLOUD_BLIND_INDEX_KEY is wrong"),
        ("BLIND_INDEX_KEY", WEAK, "weak"),
        ("BLIND_INDEX_KEY", "x", "base64"),
    ],
)
def test_production_starts_with_good_keys_only(name: str, value: str | None, why: str) -> None:
    given_: dict[str, Any] = {
        "LARDER_CLOUD_ENCRYPTION_KEYS": f"a:{written('a')}",
        "LARDER_CLOUD_BLIND_INDEX_KEY": written("blind index"),
    }
    open_keyring(load(PRODUCTION | given_))
    given_[f"LARDER_CLOUD_{name}"] = value
    with pytest.raises(SettingsError, match=why) as refusal:
        open_keyring(load(PRODUCTION | {key: text for key, text in given_.items() if text is not None}))
    assert f"LARDER_CLOUD_{name}" in str(refusal.value) or why.startswith("LARDER")
    assert value is None or value.rsplit(":", maxsplit=1)[-1] not in str(refusal.value)


@pytest.mark.criterion("1.1")
def test_elsewhere_they_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    local = load({"LARDER_CLOUD_STATE_DIR": str(tmp_path / "state")})
    kept = open_keyring(local).seal(PLACE, "x")
    assert open_keyring(local).open(PLACE, kept) == "x"
    (file,) = (tmp_path / "state").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("{")
    with pytest.raises(SettingsError, match=file.name):
        open_keyring(local)


def test_a_new_secret_is_a_good_one() -> None:
    assert open_keyring(
        load(
            PRODUCTION
            | {"LARDER_CLOUD_ENCRYPTION_KEYS": f"2026a:{new_secret()}", "LARDER_CLOUD_BLIND_INDEX_KEY": new_secret()}
        )
    ).names == {"2026a"}
    assert secret("a") != secret("b")


def test_settings_never_show_them() -> None:
    configured = load({"LARDER_CLOUD_ENCRYPTION_KEYS": f"a:{written('a')}"})
    assert written("a") not in repr(configured)
