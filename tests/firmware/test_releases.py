"""The signing tool: the same source gives the same release, and nothing that was touched since passes for one."""

import stat
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from firmware import vending
from firmware.vending.ota import MAX_TEXT_BYTES
from firmware.workbench import releases
from firmware.workbench.releases import NotBuilt, check_release, compile_app, digest_of, main, make_release, version_of
from firmware.workbench.signing import make_key, public_bytes, read_key
from shared.releases import MAX_FILES, ReleaseBundle, ReleaseKind, order_of

FILES = {"app.mpy": b"one", "boot.mpy": b"two"}


def release(tmp_path: Path, **others: Any) -> ReleaseBundle:
    path = tmp_path / "key.pem"
    key = read_key(path) if path.exists() else make_key(path)
    about: dict[str, Any] = {"kind": ReleaseKind.APP, "version": "1.0.0", "minimum": "0.0.0", "board": "esp32"}
    about |= {"files": FILES, "expires": 2**40} | others
    return make_release(key, **about)


def test_the_firmware_says_its_version() -> None:
    assert version_of() == vending.VERSION
    assert len(order_of(version_of())) == 3


@pytest.mark.criterion("8.5")
def test_the_same_source_gives_the_same_files_wherever_it_lies(tmp_path: Path) -> None:
    source = tmp_path / "elsewhere"
    source.mkdir()
    for name in ("__init__", "clock", "nonces"):
        (source / f"{name}.py").write_text((releases.SOURCE / f"{name}.py").read_text())
    copied = compile_app(source)
    assert copied.keys() == {"__init__.mpy", "clock.mpy", "nonces.mpy"}
    assert copied == compile_app(source)
    (source / "moved").mkdir()
    for path in source.glob("*.py"):
        path.rename(source / "moved" / path.name)
    assert compile_app(source / "moved") == copied
    assert not [content for content in copied.values() if b"elsewhere" in content]


def test_the_whole_firmware_is_one_release_with_room_to_grow(tmp_path: Path) -> None:
    files = compile_app()
    document = release(tmp_path, files=files).signed.to_line()
    print(f"{len(files)} files, {sum(map(len, files.values()))} bytes, signed text of {len(document)} bytes")
    assert len(files) + 20 <= MAX_FILES
    assert len(document) * (len(files) + 20) / len(files) <= MAX_TEXT_BYTES


def test_what_does_not_compile_is_not_released(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def :")
    with pytest.raises(NotBuilt, match=r"broken\.py"):
        compile_app(tmp_path)


@pytest.mark.criterion("8.5")
def test_a_release_that_was_touched_is_refused(tmp_path: Path) -> None:
    bundle = release(tmp_path)
    public = public_bytes(read_key(tmp_path / "key.pem"))
    assert check_release(bundle, public).version == "1.0.0"
    other = {**bundle.files, "app.mpy": b64encode(b"0ne").decode()}
    touched = [
        bundle.model_copy(update={"files": other}),
        bundle.model_copy(update={"files": {"app.mpy": bundle.files["app.mpy"]}}),
        bundle.model_copy(update={"signed": bundle.signed.model_copy(update={"text": bundle.signed.text + " "})}),
        bundle.model_copy(update={"signed": bundle.signed.model_copy(update={"signature": "0" * 128})}),
    ]
    for bad in touched:
        with pytest.raises(NotBuilt):
            check_release(bad, public)
    with pytest.raises(NotBuilt, match="signed with"):
        check_release(bundle, bytes(32))


@pytest.mark.parametrize(
    "wrong", [{"version": "1.0"}, {"minimum": "one"}, {"files": {}}, {"files": {"App.mpy": b"x"}}, {"expires": -1}]
)
def test_what_no_device_would_take_is_not_signed(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(NotBuilt):
        release(tmp_path, **wrong)


def test_the_commands_make_a_key_a_release_and_check_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, file = tmp_path / "release.pem", tmp_path / "release.json"
    assert main(["keys", str(key)]) == 0
    told = capsys.readouterr().out
    public = told.split()[-1]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert main(["keys", str(key)]) == 0
    assert capsys.readouterr().out == told
    assert main(["build", str(key), str(file), "--minimum", "0.1.0"]) == 0
    bundle = ReleaseBundle.model_validate_json(file.read_bytes())
    assert digest_of(bundle) in capsys.readouterr().out
    assert main(["verify", public, str(file), "--source", str(releases.SOURCE)]) == 0
    assert main(["verify", "00" * 32, str(file)]) == 1
    assert main(["verify", public, str(key)]) == 1
    said = capsys.readouterr()
    secret = "".join(key.read_text().splitlines()[1:-1])
    assert secret not in told + said.out + said.err + file.read_text()


def test_an_image_is_one_file_with_a_version_of_its_own(tmp_path: Path) -> None:
    key, file, image = tmp_path / "release.pem", tmp_path / "release.json", tmp_path / "micropython.bin"
    image.write_bytes(b"\xe9" + bytes(1000))
    assert main(["keys", str(key)]) == 0
    assert main(["build", str(key), str(file), "--image", str(image)]) == 1
    assert main(["build", str(key), str(file), "--image", str(image), "--version", "1.29.0"]) == 0
    bundle = ReleaseBundle.model_validate_json(file.read_bytes())
    manifest = check_release(bundle, public_bytes(read_key(key)))
    assert (manifest.kind, manifest.version, len(manifest.files)) == (ReleaseKind.IMAGE, "1.29.0", 1)
