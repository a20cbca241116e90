"""Releases on a board: taken if all is right, and never otherwise. What takes them is the firmware's own, in the VM."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from firmware.vending import folder, slots
from firmware.vending.release import Refused
from firmware.workbench.signing import sign
from shared.releases import FirmwareReport, FirmwareState, ReleaseKind
from shared.signed import Purpose
from tests.fakes.release_key import KEY, STRANGER, signed_release
from tests.firmware.vm.device import CUT, RESTARTED
from tests.firmware.vm.script import VmScript
from tests.firmware.vm.updates import NEW, OLD, UpdateBoard, judged, program, version_ran

IMAGE = b"\xe9" + bytes(range(255)) * 90
Contents = dict[str, bytes]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    return program(OLD, tmp_path_factory.mktemp("old") / "source")


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    return program(NEW, tmp_path_factory.mktemp("new") / "source")


@pytest.fixture
def board(tmp_path: Path, old: Contents) -> UpdateBoard:
    return UpdateBoard(tmp_path, old)


def reports(run: VmScript) -> list[FirmwareReport]:
    """What the board told of its firmware, as the gateway reads it."""
    told = [told["message"] | {"boot_id": "01890000-0000-7000-8000-000000000001"} for told in run.said("told")]
    return [FirmwareReport.model_validate_json(json.dumps(message)) for message in told]


def offered(board: UpdateBoard, new: Contents, **about: Any) -> str:
    """Let the gateway offer a release of these files; its digest."""
    offer = board.serve_release(signed_release(files=new, **({"version": NEW} | about)), new)
    board.offer(offer)
    return offer[0]


@pytest.mark.criterion("8.5")
async def test_a_release_is_fetched_tried_and_kept(board: UpdateBoard, new: Contents) -> None:
    digest = offered(board, new)
    fetching = await board.boot()
    assert (version_ran(fetching), fetching.status) == (OLD, RESTARTED)
    assert [report.state for report in reports(fetching)] == [FirmwareState.FETCHING] * 3
    assert reports(fetching)[1].fetched >= 32_768
    assert [report.ready for report in reports(fetching)] == [False, False, True]
    trial = await board.boot()
    assert version_ran(trial) == NEW
    kept = reports(trial)[0]
    assert (kept.state, kept.running.slot, kept.running.version) == (FirmwareState.VALID, "b", NEW)
    assert kept.running.digest == kept.offered == digest
    assert judged(trial)[0]["asked"] == 0, "the offer is repeated, and nothing follows from it"
    assert board.holds("b", new)
    assert (board.marker["valid"], board.marker["floor"]) == ("b", NEW)


@pytest.mark.criterion("8.5")
@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({"key": STRANGER}, "signed by a key it does not know"),
        ({"board": "esp32-s3"}, "for another board"),
        ({"expires": 999}, "expired"),
        ({"minimum": "0.1.1"}, "needs a newer program first"),
        ({"version": OLD}, "not newer than what runs"),
        ({"version": "0.0.9"}, "not newer than what runs"),
    ],
)
async def test_what_is_not_for_this_board_is_refused(
    board: UpdateBoard, new: Contents, about: dict[str, Any], reason: str
) -> None:
    offer = board.serve_release(signed_release(files=new, **({"version": NEW} | about)), new)
    board.offer(offer, now=1000)
    run = await board.boot()
    assert (judged(run)[0]["state"], judged(run)[0]["reason"]) == ("failed", reason)
    assert reports(run)[-1].state is FirmwareState.FAILED
    assert reports(run)[-1].offered == offer[0]
    assert not (board.flash / "b").exists()


@pytest.mark.criterion("8.5")
async def test_a_board_that_nobody_told_the_time_takes_nothing_until_it_is_told(
    board: UpdateBoard, new: Contents
) -> None:
    offer = board.serve_release(signed_release(NEW, files=new, expires=1000), new)
    board.offer(offer, now=None)
    run = await board.boot()
    assert (judged(run)[0]["asked"], board.marker["state"], run.said("restarted")) == (0, "valid", [])
    assert run.said("release_waits")[0]["reason"] == "nobody has told the time: it may have expired"
    board.offer(offer, now=1000)
    assert (await board.boot()).status == RESTARTED


@pytest.mark.criterion("8.5")
async def test_what_is_older_than_any_that_was_proven_is_refused_though_an_older_one_runs(
    board: UpdateBoard, new: Contents
) -> None:
    """The newest was damaged, and the board runs the one before: it takes the newest again, and no other."""
    slots.write(slots.changed(slots.FIRST, floor="0.3.0"), f"{board.flash}/")
    offered(board, new)
    assert judged(await board.boot())[0]["reason"] == "older than what this board has run"
    offered(board, new, version="0.3.0")
    assert (await board.boot()).status == RESTARTED


async def test_a_board_without_trusted_keys_takes_nothing(board: UpdateBoard, new: Contents) -> None:
    offered(board, new)
    (board.flash / "trust.json").unlink()
    assert judged(await board.boot())[0]["reason"] == "there is no trust.json"


async def test_a_text_that_was_signed_for_settings_is_no_release(board: UpdateBoard, new: Contents) -> None:
    text = sign(KEY, Purpose.SETTINGS, signed_release(NEW, files=new).signed.text)
    board.offer((board.serve(text), len(text)))
    assert judged(await board.boot())[0]["reason"] == "the signature is wrong"


@pytest.mark.criterion("8.5")
async def test_a_file_that_is_not_the_signed_one_is_refused_and_the_right_one_taken_later(
    board: UpdateBoard, new: Contents
) -> None:
    offered(board, new)
    name = sorted(new)[3]
    board.replace(board.serve(new[name]), new[name][:-1] + b"!")
    run = await board.boot()
    assert judged(run)[0]["reason"] == f"{name} is not what was signed"
    assert run.status != RESTARTED
    board.serve(new[name])
    assert (await board.boot()).status == RESTARTED
    assert version_ran(await board.boot()) == NEW


async def test_a_gateway_that_lacks_a_file_leaves_the_board_as_it_was(board: UpdateBoard, new: Contents) -> None:
    offered(board, new)
    board.drop(board.serve(new[sorted(new)[3]]))
    assert judged(await board.boot())[0]["reason"] == "the gateway lacks a file"


@pytest.mark.criterion("8.5")
async def test_the_next_release_goes_over_the_one_before_the_last(
    board: UpdateBoard, new: Contents, tmp_path: Path
) -> None:
    offered(board, new)
    await board.boot()
    assert version_ran(await board.boot()) == NEW
    newer = program("0.3.0", tmp_path / "newer")
    offered(board, newer, version="0.3.0")
    assert (await board.boot()).status == RESTARTED
    assert version_ran(await board.boot()) == "0.3.0"
    assert board.holds("a", newer)
    assert (board.marker["valid"], board.marker["floor"]) == ("a", "0.3.0")


@pytest.mark.criterion("8.5")
async def test_what_was_fetched_before_a_power_cut_is_not_fetched_again_but_hashed(
    board: UpdateBoard, new: Contents, tmp_path: Path, old: Contents
) -> None:
    offered(board, new)
    assert (await board.boot(cut=(30, 700))).status == CUT
    lying = sum(path.stat().st_size for path in (board.flash / "b/vending").iterdir())
    assert lying > 5_000
    shutil.copytree(board.flash, tmp_path / "copy")
    assert (await board.boot()).status == RESTARTED
    assert version_ran(await board.boot()) == NEW

    shutil.rmtree(board.flash)
    shutil.copytree(tmp_path / "copy", board.flash)
    part = next((board.flash / "b/vending").glob("*.part"))
    part.write_bytes(b"!" + part.read_bytes()[1:])
    assert str(judged(await board.boot())[0]["reason"]).endswith("is not what was signed")
    assert (await board.boot()).status == RESTARTED
    assert version_ran(await board.boot()) == NEW


@pytest.mark.criterion("8.5")
async def test_an_image_is_fetched_tried_and_kept(board: UpdateBoard) -> None:
    digest = offered(board, {"micropython.bin": IMAGE}, kind=ReleaseKind.IMAGE, version="1.28.0")
    assert (await board.boot()).status == RESTARTED
    assert board.choice == {"boots": "ota_1", "state": "new"}
    assert board.partition("ota_1")[: len(IMAGE)] == IMAGE
    run = await board.boot()
    assert board.choice == {"boots": "ota_1", "state": "valid"}
    kept = reports(run)[0]
    assert (kept.state, kept.offered, kept.running.version) == (FirmwareState.VALID, digest, OLD)
    assert board.marker["image"] == "1.28.0"
    offered(board, {"micropython.bin": IMAGE}, kind=ReleaseKind.IMAGE, version="1.27.9")
    assert judged(await board.boot())[0]["reason"] == "not newer than what runs"


@pytest.mark.criterion("8.5")
async def test_the_first_image_is_newer_than_the_one_that_came_by_cable(board: UpdateBoard) -> None:
    assert (await board.boot()).status != RESTARTED
    assert board.marker["image"] == "0.0.0", "no release has brought one"
    offered(board, {"micropython.bin": IMAGE}, kind=ReleaseKind.IMAGE, version="1.20.0")
    assert judged(await board.boot())[0]["reason"] == "not newer than what runs"


@pytest.mark.criterion("8.5")
async def test_a_file_that_went_bad_since_costs_one_boot_of_the_program_before_and_is_fetched_alone(
    board: UpdateBoard, new: Contents
) -> None:
    digest = offered(board, new)
    await board.boot()
    assert version_ran(await board.boot()) == NEW
    damaged = board.flash / "b/vending/image.mpy"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    run = await board.boot()
    assert (version_ran(run), run.status) == (OLD, RESTARTED)
    told = reports(run)
    assert {report.running.slot for report in told} == {"a"}
    assert len(run.said("fetched")) == -(-len(new["image.mpy"]) // 1536)
    kept = await board.boot()
    assert version_ran(kept) == NEW
    assert reports(kept)[0].running.digest == digest
    assert board.holds("b", new)


async def test_a_release_of_which_nobody_expected_the_error_is_given_up(board: UpdateBoard, new: Contents) -> None:
    offered(board, new)
    (board.flash / "a/vending/folder.mpy").unlink()
    (board.flash / "a/vending/folder.py").write_text("raise RuntimeError('broken')\n")
    run = await board.boot()
    assert run.status != RESTARTED
    assert (board.marker["state"], board.marker["reason"]) == ("failed", "RuntimeError('broken',)")
    assert reports(run)[-1].state is FirmwareState.FAILED


@pytest.mark.criterion("8.5")
async def test_an_image_that_does_not_prove_itself_is_gone_at_the_next_boot(board: UpdateBoard) -> None:
    offered(board, {"micropython.bin": IMAGE}, kind=ReleaseKind.IMAGE, version="1.28.0")
    assert (await board.boot()).status == RESTARTED
    assert (await board.boot(cut=(2, 0))).status == CUT
    assert board.choice == {"boots": "ota_1", "state": "pending"}, "the boot loader has tried it once"
    board.offer()
    await board.boot()
    assert board.choice == {"boots": "ota_0", "state": "aborted"}
    assert (board.marker["state"], board.marker["reason"]) == ("failed", "the image did not prove itself")


async def test_what_is_no_image_is_never_booted(board: UpdateBoard) -> None:
    offered(board, {"micropython.bin": b"no image" * 1000}, kind=ReleaseKind.IMAGE, version="1.28.0")
    await board.boot()
    await board.boot()
    assert board.choice["boots"] == "ota_0"
    assert board.marker["state"] == "failed"


@pytest.mark.parametrize(("lacking", "refused"), [(0, False), (1, True)])
def test_a_release_without_room_leaves_the_other_folder_as_it_was(tmp_path: Path, lacking: int, refused: bool) -> None:
    """Each file takes whole blocks; what lies there makes room for it."""
    kept, signed = tmp_path / "b/vending", tmp_path / "offered.json"
    kept.mkdir(parents=True)
    (kept / "old.mpy").write_bytes(bytes(4097))
    (tmp_path / "b/proven").write_text(OLD)
    signed.write_text("signed")
    files = [bytes(32) + size.to_bytes(4, "big") + name for name, size in ((b"one.mpy", 1), (b"two.mpy", 8193))]
    needed = 4 * folder.BLOCK_BYTES + 2 * folder.METADATA_BYTES + folder.RESERVE_BYTES
    free = needed - 2 * folder.BLOCK_BYTES - lacking
    filled = folder.Folder(SimpleNamespace(root=f"{tmp_path}/", idle="b", free_bytes=lambda: free))
    with pytest.raises(Refused, match="no room") if refused else nullcontext():
        filled.begin(str(signed), files)
    assert (kept / "old.mpy").exists() == (tmp_path / "b/proven").exists() == signed.exists() == refused


@pytest.mark.criterion("8.5")
async def test_a_folder_that_is_being_filled_is_never_fallen_back_on(
    board: UpdateBoard, new: Contents, tmp_path: Path
) -> None:
    """It held a program that had proven itself, and now holds half of another."""
    offered(board, new)
    await board.boot()
    assert version_ran(await board.boot()) == NEW
    offered(board, program("0.3.0", tmp_path / "newer"), version="0.3.0")
    assert (await board.boot(cut=(5, 10))).status == CUT
    assert not (board.flash / "a/vending/__init__.mpy").exists()
    (board.flash / "b/vending/boot.mpy").write_bytes(b"damaged")
    assert (await board.boot()).status == RESTARTED
    assert board.marker["valid"] == "b"
    (board.flash / "b/vending/boot.mpy").write_bytes(new["boot.mpy"])
    assert version_ran(await board.boot()) == NEW
