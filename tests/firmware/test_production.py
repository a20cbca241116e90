"""What seals a board, as far as it shows without one: partitions, options, and the commands that the guides name."""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from firmware.vending import folder, release
from firmware.workbench.releases import compile_app

ROOT = Path(__file__).parents[2]
PRODUCTION = ROOT / "firmware/production"
LARDER = PRODUCTION / "LARDER"
GUIDES = [PRODUCTION / "README.md", ROOT / "firmware/FLASHING.md"]
SECTOR, APP_ALIGNMENT, FLASH = 0x1000, 0x10000, 0x400000


def options(name: str) -> dict[str, str]:
    lines = (LARDER / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def partitions() -> dict[str, list[str]]:
    rows = [re.split(r",\s*", line) for line in (LARDER / "partitions.csv").read_text().splitlines()]
    return {row[0]: row[1:] for row in rows if not row[0].startswith("#")}


def commands(guide: Path) -> list[list[str]]:
    """Each line of the guide's shell blocks, in words."""
    blocks = re.findall(r"```sh\n(.*?)```", guide.read_text(), re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines() if line.strip()]


def test_the_partitions_lie_side_by_side_in_four_megabytes() -> None:
    end = int(options("sdkconfig.board")["CONFIG_PARTITION_TABLE_OFFSET"], 16) + SECTOR
    for kind, _, offset, size, *_ in partitions().values():
        begin, length = int(offset, 16), int(size, 16)
        alignment = APP_ALIGNMENT if kind == "app" else SECTOR
        assert begin >= end
        assert (begin % alignment, length % alignment) == (0, 0)
        end = begin + length
    assert end <= FLASH


def test_both_programs_have_the_same_room_and_the_files_are_encrypted() -> None:
    found = partitions()
    assert found["ota_0"][3] == found["ota_1"][3]
    assert found["vfs"][4] == "encrypted"


def test_the_largest_image_fits_both_partitions_and_two_programs_the_file_system() -> None:
    """littlefs gives each file whole sectors; a release is written while the program that runs lies beside it."""
    found = partitions()
    assert int(found["ota_0"][3], 16) >= release.MAX_BYTES[release.IMAGE]
    sizes = [len(content) for content in compile_app().values()]
    program = sum(-(-size // SECTOR) * SECTOR + folder.METADATA_BYTES for size in sizes)
    kept = 2 * program + folder.RESERVE_BYTES
    print(f"two programs and the reserve: {kept} of {int(found['vfs'][3], 16)} bytes")
    assert kept <= int(found["vfs"][3], 16)


def test_a_sealed_board_cannot_be_opened_again() -> None:
    secure = options("sdkconfig.secure")
    needed = ("SECURE_BOOT", "SECURE_BOOT_V2_ENABLED", "SECURE_FLASH_ENC_ENABLED", "SECURE_DISABLE_ROM_DL_MODE")
    for name in (*needed, "SECURE_FLASH_ENCRYPTION_MODE_RELEASE", "ESP32_REV_MIN_3"):
        assert secure[f"CONFIG_{name}"] == "y"
    assert not [name for name in secure if "INSECURE" in name or "DEVELOPMENT" in name or "ALLOW" in name]
    variant = (LARDER / "mpconfigvariant_SEALED.cmake").read_text()
    assert "sdkconfig.secure" in variant
    assert "MICROPY_HW_ENABLE_UART_REPL=0" in variant


def test_the_guide_writes_each_part_where_the_partitions_say() -> None:
    sealing = next(
        words
        for words in commands(PRODUCTION / "README.md")
        if words[3:5] == ["write-flash", "0x1000"] and "0xe000" in words
    )
    pairs = dict(zip(sealing[5::2], sealing[4::2], strict=True))
    found = partitions()
    assert pairs == {
        "bootloader-signed.bin": "0x1000",
        "build-LARDER-SEALED/partition_table/partition-table.bin": options("sdkconfig.board")[
            "CONFIG_PARTITION_TABLE_OFFSET"
        ],
        "build-LARDER-SEALED/ota_data_initial.bin": found["otadata"][2],
        "micropython-signed.bin": found["ota_0"][2],
    }


@cache
def help_of(tool: str, command: str) -> str:
    """What the tool says of its command; fails where there is none."""
    run = [str(Path(sys.executable).parent / tool), command, "--help"]
    told = subprocess.run(run, capture_output=True, text=True, timeout=30, check=False)
    assert told.returncode == 0, (run, told.stderr)
    return told.stdout


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_every_command_of_the_guides_exists_with_its_options(guide: Path) -> None:
    tools = {"esptool", "espsecure", "espefuse", "mpremote"}
    named = [words for words in commands(guide) if words[0] in tools]
    assert named
    for tool, *words in named:
        command = next(word for word in words if re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", word) and word != "connect")
        options = [word for word in words[words.index(command) + 1 :] if word.startswith("--")]
        assert [option for option in options if option not in help_of(tool, command)] == [], (tool, command)


def test_a_key_signs_what_a_sealed_board_is_to_run(tmp_path: Path) -> None:
    """The guide's own commands for the desk, in the guide's own order."""
    for built in ("bootloader/bootloader.bin", "micropython.bin"):
        path = tmp_path / "build-LARDER-SEALED" / built
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(SECTOR))
    ran = 0
    for tool, *words in commands(PRODUCTION / "README.md"):
        if tool == "espsecure":
            run = [str(Path(sys.executable).parent / tool), *words]
            subprocess.run(run, cwd=tmp_path, capture_output=True, timeout=50, check=True)
            ran += 1
    assert ran == 4
    assert (tmp_path / "micropython-signed.bin").stat().st_size == 2 * SECTOR


def test_the_guide_names_the_fuses_as_the_tool_does(tmp_path: Path) -> None:
    """On virtual eFuses: those of a chip that nobody has sealed yet."""
    run = [str(Path(sys.executable).parent / "espefuse"), "--chip", "esp32", "--virt"]
    run += ["--path-efuse-file", str(tmp_path / "fuses"), "summary"]
    told = subprocess.run(run, capture_output=True, text=True, timeout=30, check=True).stdout
    guide = (PRODUCTION / "README.md").read_text()
    for fuse, fresh in (("FLASH_CRYPT_CNT", "0"), ("ABS_DONE_1", "False")):
        assert f"`{fuse}` {fresh}" in guide
        assert re.search(rf"^{fuse} .* = {fresh} R/W", told, re.MULTILINE)
