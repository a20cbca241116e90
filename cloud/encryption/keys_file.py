"""Where the keys come from: the settings or, where nobody set any and it is no production, a file made once."""

import base64
import json
import os
import secrets
from pathlib import Path

from cloud.encryption.keyring import KEY_BYTES, KeyRefused, Keyring, read_index_keys, read_keys
from cloud.errors import SettingsError
from cloud.settings import Settings

KEYS = "LARDER_CLOUD_ENCRYPTION_KEYS"
INDEX_KEY = "LARDER_CLOUD_BLIND_INDEX_KEY"
_FILE = "encryption-keys.json"


def new_secret() -> str:
    """256 random bits as both settings take them."""
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def open_keyring(configured: Settings) -> Keyring:
    """The keys to work with. Raises SettingsError.

    Production, which is where a database of its own is named, must set both; else they lie in `state_dir`.
    """
    keys, index_key = configured.encryption_keys, configured.blind_index_key
    if keys is None and index_key is None and configured.database_url is None:
        return _of_file(configured.state_dir / _FILE)
    if keys is None:
        raise SettingsError(f"{KEYS} is missing: production has keys of its own")
    if index_key is None:
        raise SettingsError(f"{INDEX_KEY} is missing: production has keys of its own")
    return _keyring(keys.get_secret_value(), index_key.get_secret_value())


def _keyring(keys: str, index_key: str) -> Keyring:
    try:
        named = read_keys(keys)
    except KeyRefused as error:
        raise SettingsError(f"{KEYS} is wrong: it {error}") from None
    try:
        index_keys = read_index_keys(index_key)
    except KeyRefused as error:
        raise SettingsError(f"{INDEX_KEY} is wrong: it {error}") from None
    if {key.secret for key in index_keys} & {key.secret for key in named}:
        raise SettingsError(f"{INDEX_KEY} is wrong: it is one of {KEYS}")
    return Keyring(named, index_keys)


def _of_file(path: Path) -> Keyring:
    if not path.exists():
        _make(path)
    try:
        read = json.loads(path.read_text())
        return _keyring(read["encryption_keys"], read["blind_index_key"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{path} cannot be read, and without it nothing encrypted can: {error}") from None


def _make(path: Path) -> None:
    """Whole or not at all, and only once, also when two start at the same time. Its owner alone may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{_FILE}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"encryption_keys": f"local:{new_secret()}", "blind_index_key": new_secret()}, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(made, path)
    except FileExistsError:
        pass  # somebody was faster: theirs it is
    finally:
        made.unlink()
