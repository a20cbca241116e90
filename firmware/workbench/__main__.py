"""`larder-device`: keys, signed settings, wiring diagrams, printed sheets, boards made ready by cable, and releases."""

import argparse
import sys
from pathlib import Path

from firmware.diagram.plan import draw, read
from firmware.vending.checks import SettingsError
from firmware.vending.label import is_led
from firmware.vending.settings import parse
from firmware.vending.signed import NotTrusted
from firmware.workbench import releases, sheet
from firmware.workbench.cable import Cable, CableFailed
from firmware.workbench.desk import Ready, make_ready
from firmware.workbench.releases import NotBuilt, compile_app, version_of
from firmware.workbench.signing import KeyUnusable, make_key, public_bytes, read_key, sign
from firmware.workbench.trust import text_of, trust_file
from shared.signed import Purpose

NOT_READY = 1
UNUSABLE = 2


def main(arguments: list[str] | None = None) -> int:
    """0; 1 if a board did not pass its self-test; 2, and one line on stderr, if what was given cannot be used."""
    given = _parser().parse_args(arguments)
    try:
        return int(given.run(given) or 0)
    except (
        SettingsError,
        NotTrusted,
        KeyUnusable,
        NotBuilt,
        CableFailed,
        sheet.TooLarge,
        OSError,
        ValueError,
    ) as error:
        sys.stderr.write(f"larder-device: {error}\n")
        return UNUSABLE


def _keys(given: argparse.Namespace) -> None:
    publics = []
    for path in (given.settings, given.release):
        publics.append([] if path is None else [public_bytes(read_key(path) if path.exists() else make_key(path))])
    given.trust.write_bytes(trust_file(*publics))
    _say(f"{given.trust} is for every board. Keep the keys where no board and no gateway can reach them.")


def _sign(given: argparse.Namespace) -> None:
    text = given.file.read_text()
    parse(text.encode())
    given.output.write_bytes(sign(read_key(given.key), Purpose.SETTINGS, text))
    _say(f"{given.output} is settings.json of this board, whichever way it gets there.")


def _check(given: argparse.Namespace) -> None:
    _read_settings(given)
    _say("These settings can be used.")


def _wiring(given: argparse.Namespace) -> None:
    sys.stdout.write(draw(read(given.file.read_bytes())))


def _sheet(given: argparse.Namespace) -> None:
    data = given.file.read_bytes()
    if given.terminal:
        for code in (sheet.network_code(given.network, given.password), sheet.settings_code(data)):
            code.terminal(compact=True)
        return
    for path in sheet.write(given.output, given.network, given.password, data):
        _say(str(path))


def _provision(given: argparse.Namespace) -> int:
    settings = None if given.file is None else _read_settings(given)
    led = given.led if settings is None or given.led is not None else lamp_of(settings)
    if led is not None and not is_led(led):
        raise ValueError(f"no lamp may hang on pin {led}")
    trust = None if given.trust is None else given.trust.read_bytes()
    board = {"image": given.flash, "trust": trust, "settings": settings, "led": led}
    ready = make_ready(Cable(given.port), compile_app(), version_of(), **board)
    _say(verdict(ready))
    return 0 if ready.passed else NOT_READY


def lamp_of(settings: bytes) -> int | None:
    """The pin of the settings' own lamp, if it hangs on one."""
    line = parse(text_of(settings, None).encode()).board.led
    return None if line is None or line.on else int(line.number)


def verdict(ready: Ready) -> str:
    """What the technician reads."""
    lines = [f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.note}".rstrip(": ") for check in ready.checks]
    lines += ["", f"Label: Wi-Fi {ready.network}, password {ready.password}"]
    if not ready.checks:
        lines.append("The board is ready. It waits for its settings on the Wi-Fi of its label.")
    elif ready.passed:
        lines.append("The board is ready. Build it in.")
    else:
        lines.append(f"NOT READY: {', '.join(check.name for check in ready.checks if not check.ok)}.")
    return "\n".join(lines)


def _read_settings(given: argparse.Namespace) -> bytes:
    """The file, once the board would take it. Raises SettingsError, NotTrusted."""
    data: bytes = given.file.read_bytes()
    parse(text_of(data, None if given.trust is None else given.trust.read_bytes()).encode())
    return data


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="larder-device", description=__doc__)
    commands = parser.add_subparsers(required=True)
    keys = commands.add_parser("keys", help="make the operator's keys, and trust.json with their public halves")
    keys.add_argument("--settings", type=Path, required=True, help="file of the key for settings, made if missing")
    keys.add_argument("--release", type=Path, help="file of the key for releases, made if missing")
    keys.add_argument("--trust", type=Path, default=Path("trust.json"))
    keys.set_defaults(run=_keys)
    check = commands.add_parser("check", help="say what is wrong with settings: values, pins, signature")
    check.set_defaults(run=_check)
    signing = commands.add_parser("sign", help="check settings and sign them")
    signing.add_argument("file", type=Path, help="settings as JSON")
    signing.add_argument("--key", type=Path, required=True)
    signing.add_argument("--output", type=Path, required=True)
    signing.set_defaults(run=_sign)
    wiring = commands.add_parser("wiring", help="draw how the board of these settings is wired, as SVG for A4")
    wiring.add_argument("file", type=Path, help="settings, signed or not")
    wiring.set_defaults(run=_wiring)
    codes = commands.add_parser("sheet", help="draw the two codes by which a phone sets a board up")
    codes.add_argument("file", type=Path, help="signed settings")
    codes.add_argument("--network", required=True, help="from the board's label, such as LARDER-1A2B")
    codes.add_argument("--password", required=True, help="from the board's label")
    codes.add_argument("--output", type=Path, default=Path(), help="folder for the codes as SVG")
    codes.add_argument("--terminal", action="store_true", help="draw them here instead")
    codes.set_defaults(run=_sheet)
    provision = commands.add_parser("provision", help="make a board ready by cable, and test it")
    provision.add_argument("--port", required=True, help="such as /dev/ttyUSB0")
    provision.add_argument("--flash", type=Path, metavar="IMAGE", help="erase the board, write this MicroPython first")
    provision.add_argument(
        "--led", type=int, help="pin of a lamp that tells of the set-up; the settings' own if they name one"
    )
    provision.set_defaults(run=_provision)
    for command, optional in ((check, False), (provision, True)):
        command.add_argument(
            "file", type=Path, nargs="?" if optional else None, help="settings, signed for real boards"
        )
        command.add_argument("--trust", type=Path, help="trust.json of the board")
    releases.add_commands(commands.add_parser("release", help="build, sign and check releases of the firmware"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
