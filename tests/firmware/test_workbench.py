"""`larder-device`: keys, signatures, codes, and a board made ready by cable.

The cable of most tests writes down what it was told. In one, the real mpremote speaks over a pseudo-terminal to
MicroPython's VM at its raw REPL. esptool needs a chip to speak to: only its command lines are shown.
"""

import asyncio
import base64
import json
import random
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from firmware.simulator.coil import Habits
from firmware.vending import settings_file
from firmware.workbench import sheet
from firmware.workbench.__main__ import lamp_of, main, verdict
from firmware.workbench.cable import Cable, CableFailed, run
from firmware.workbench.desk import SELFTEST, Check, Ready, make_ready
from shared.signed import setup_address
from tests.fakes.memory_flash import MemoryFlash
from tests.fakes.repl_board import repl_board
from tests.fakes.settings_key import OperatorKey
from tests.firmware.test_settings_file import VALUES
from tests.firmware.vm.site import vm_site

SETTINGS = VALUES | {"slots": {"A1": {"motor": {"kind": "dc", "output": 25}}}}

PROGRAM = ({"boot.mpy": b"program", "slots.mpy": b"chooser"}, "1.2.3")


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with keys, trust.json, and settings of one device, plain and signed."""
    (tmp_path / "plain.json").write_text(json.dumps(SETTINGS))
    keys = ["keys", "--settings", str(tmp_path / "settings.pem"), "--release", str(tmp_path / "release.pem")]
    assert main([*keys, "--trust", str(tmp_path / "trust.json")]) == 0
    signing = ["sign", str(tmp_path / "plain.json"), "--key", str(tmp_path / "settings.pem")]
    assert main([*signing, "--output", str(tmp_path / "settings.json")]) == 0
    return tmp_path


@pytest.mark.criterion("9.3")
def test_what_it_signs_a_board_takes_that_has_its_trust_file(desk: Path) -> None:
    flash = MemoryFlash({name: (desk / name).read_bytes() for name in ("trust.json", "settings.json")})
    assert settings_file.load(flash).device_id == SETTINGS["device_id"]
    assert set(json.loads((desk / "trust.json").read_text())) == {"settings", "release"}
    for name in ("settings.pem", "release.pem"):
        assert (desk / name).stat().st_mode & 0o777 == 0o600


def test_keys_that_are_there_are_used_again(desk: Path) -> None:
    before = (desk / "trust.json").read_bytes()
    keys = ["keys", "--settings", str(desk / "settings.pem"), "--release", str(desk / "release.pem")]
    assert main([*keys, "--trust", str(desk / "again.json")]) == 0
    assert (desk / "again.json").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (json.dumps(SETTINGS | {"slots": {"A1": {"motor": {"kind": "dc", "output": 34}}}}), "pin 34 is an input only"),
        ("{", "not JSON"),
    ],
)
def test_settings_that_cannot_work_are_neither_checked_nor_signed(
    desk: Path, text: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "wrong.json").write_text(text)
    signing = ["sign", str(desk / "wrong.json"), "--key", str(desk / "settings.pem")]
    for command in (["check", str(desk / "wrong.json")], [*signing, "--output", str(desk / "never.json")]):
        assert main(command) == 2
        assert reason in capsys.readouterr().err
    assert not (desk / "never.json").exists()


def test_a_signature_that_the_board_would_refuse_is_refused_at_the_desk(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "stranger.json").write_bytes(OperatorKey().sign(SETTINGS))
    (desk / "forged.json").write_bytes((desk / "settings.json").read_bytes().replace(b"INR", b"USD"))
    for name, reason in (("stranger", "does not know"), ("forged", "is wrong"), ("plain", "nobody has signed it")):
        assert main(["check", str(desk / f"{name}.json"), "--trust", str(desk / "trust.json")]) == 2
        assert reason in capsys.readouterr().err
    assert main(["check", str(desk / "settings.json"), "--trust", str(desk / "trust.json")]) == 0
    assert main(["check", str(desk / "plain.json")]) == 0


def test_the_sheet_has_a_code_for_the_network_and_one_for_the_settings(desk: Path) -> None:
    label = ["--network", "LARDER-1A2B", "--password", "abcd-efgh", "--output", str(desk)]
    assert main(["sheet", str(desk / "settings.json"), *label]) == 0
    assert sorted(path.name for path in desk.glob("*.svg")) == ["1-join-the-network.svg", "2-settings.svg"]
    address, _, packed = setup_address((desk / "settings.json").read_bytes()).partition("#")
    assert address == "http://192.168.4.1/"
    assert zlib.decompress(base64.urlsafe_b64decode(packed + "==")) == (desk / "settings.json").read_bytes()


def test_the_settings_of_sixty_slots_fit_a_code() -> None:
    slots = {
        f"{row}{column}": {"motor": {"kind": "dc", "row": f"s:{column}", "column": f"s:{8 + ord(row) - 65}"}}
        for row in "ABCDEF"
        for column in range(10)
    }
    assert sheet.settings_code(OperatorKey().sign(SETTINGS | {"slots": slots})).version
    noise = random.Random(1).randbytes(3_000).hex()
    with pytest.raises(sheet.TooLarge):
        sheet.settings_code(OperatorKey().sign(SETTINGS | {"noise": noise}))


class Written:
    """A cable that writes down what it was told, and answers as a board does."""

    def __init__(self, *, passes: bool = True, label: str = "") -> None:
        self.commands: list[list[str]] = []
        self._answers = {"label.json": json.dumps({"mac": "246f28aabbcc", "label": label})}
        self._answers["selftest"] = json.dumps({"check": "wifi", "ok": passes, "note": "-60 dBm"})

    def __call__(self, command: Sequence[str], seconds: float) -> str:
        self.commands.append(list(command))
        code = command[-1]
        return next((answer for word, answer in self._answers.items() if word in code and "exec" in command), "")


def test_a_board_is_flashed_loaded_and_tested_in_this_order(desk: Path) -> None:
    cable = Written(label=json.dumps({"password": "kept-as-it-was"}))
    image, data = desk / "micropython.bin", (desk / "settings.json").read_bytes()
    ready = make_ready(Cable("/dev/ttyUSB7", cable), *PROGRAM, image=image, trust=b"{}", settings=data, led=2)
    assert ready == Ready("LARDER-BBCC", "kept-as-it-was", (Check("wifi", True, "-60 dBm"),))
    erase, write, *rest = cable.commands
    assert erase[2:] == ["esptool", "--chip", "esp32", "--port", "/dev/ttyUSB7", "erase-flash"]
    assert write[-3:] == ["write-flash", "0x1000", str(image)]
    assert all(command[1:5] == ["-m", "mpremote", "connect", "/dev/ttyUSB7"] for command in rest)
    for tool in (erase, write):
        run([*tool, "--help"], 30)
    copied = rest[2]
    ends = {name: copied[copied.index(name) - 1] for name in copied if name.startswith(":")}
    assert {":main.py", ":slots.mpy", ":trust.json", ":label.json", ":settings.json", ":a/vending/"} <= set(ends)
    assert [command[-1] for command in rest[3:]] == [SELFTEST, "reset"]


@pytest.mark.parametrize(
    ("passes", "status", "words"), [(True, True, "Build it in"), (False, False, "NOT READY: wifi")]
)
def test_the_verdict_is_for_a_technician(desk: Path, passes: bool, status: bool, words: str) -> None:
    cable = Cable("x", Written(passes=passes))
    ready = make_ready(cable, *PROGRAM, settings=b"{}")
    assert ready.passed is status
    assert words in verdict(ready)
    assert f"Wi-Fi LARDER-BBCC, password {ready.password}" in verdict(ready)
    waiting = make_ready(cable, *PROGRAM, trust=b"{}")
    assert waiting.checks == ()
    assert "waits for its settings" in verdict(waiting)


def test_the_lamp_of_the_settings_tells_of_the_set_up_if_it_hangs_on_a_pin() -> None:
    chips = {"kind": "74hc595", "data": 23, "clock": 18, "latch": 19, "enable": 5, "chips": 1}
    for led, pin in ((2, 2), (None, None), ("s:3", None)):
        board = {"led": led, "expanders": {"s": chips}}
        assert lamp_of(json.dumps(SETTINGS | {"board": board}).encode()) == pin


def test_no_board_there_is_one_line(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["provision", "--port", str(desk / "tty"), str(desk / "settings.json")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("larder-device: mpremote:")
    assert len(error.splitlines()) == 1
    with pytest.raises(CableFailed, match="longer than"):
        run([sys.executable, "-c", "import time; time.sleep(9)"], 0.1)


@pytest.mark.lab
@pytest.mark.timeout(180)
@pytest.mark.criterion("8.1")
@pytest.mark.criterion("9.3")
async def test_mpremote_makes_a_board_ready_that_then_claims_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = tmp_path / "empty"
    app.mkdir()
    key = OperatorKey()
    async with vm_site(tmp_path, app, Habits(speed=5)) as site:
        device = site.device
        (device.flash / "settings.json").unlink()
        (tmp_path / "trust.json").write_bytes(key.trust)
        (tmp_path / "settings.json").write_bytes(key.sign(device.settings))
        async with repl_board(device.flash, device.cabinet.power_on(), tmp_path / "repl.log") as port:
            given = ["--port", port, "--trust", str(tmp_path / "trust.json"), str(tmp_path / "settings.json")]
            assert await asyncio.to_thread(main, ["provision", *given]) == 0, capsys.readouterr()
        told = capsys.readouterr().out
        assert "ok    gateway: 127.0.0.1:" in told
        assert "The board is ready. Build it in." in told
        assert (device.flash / "settings.json").read_bytes() == (tmp_path / "settings.json").read_bytes()
        await device.power_on()
        await site.until_online()
        assert len(device.said("claimed")) == 1, "the self-test did not use up the claim code"
