"""Releases: published when somebody trusted has signed them, fetched by gateways, from any byte on."""

import hashlib
import random
from base64 import b64encode
from typing import Any

import pytest
from pydantic import ValidationError
from quart import Response

from cloud.rollouts.rules import ReleaseRefused, keys_by_id, read_release
from shared.releases import ReleaseBundle
from shared.signed import Purpose
from tests.cloud.conftest import JSON, World
from tests.fakes.release_key import FILES, KEY, PUBLIC, STRANGER, signed_release


async def publish(world: World, bundle: ReleaseBundle) -> Response:
    return await world.client.post("/v1/releases", data=bundle.to_line(), headers=world.operator | JSON)


async def published(world: World, bundle: ReleaseBundle) -> str:
    answer = await publish(world, bundle)
    assert answer.status_code == 201, await answer.get_data()
    return str((await answer.get_json())["digest"])


async def fetch(world: World, sha256: str, wanted: str | None = None) -> Response:
    headers = world.gateway.authorisation() | ({"Range": wanted} if wanted else {})
    return await world.client.get(f"/v1/sync/files/{sha256}", headers=headers)


@pytest.mark.criterion("8.5")
async def test_a_signed_release_is_published_once_and_listed(world: World) -> None:
    bundle = signed_release("1.4.0")
    digest = await published(world, bundle)
    assert digest == hashlib.sha256(bundle.signed.to_line()).hexdigest()
    again = await publish(world, bundle)
    assert (again.status_code, (await again.get_json())["digest"]) == (200, digest)
    newer = await published(world, signed_release("1.10.0"))
    page: dict[str, Any] = await (await world.client.get("/v1/releases?limit=1", headers=world.operator)).get_json()
    assert [(row["digest"], row["version"], row["board"]) for row in page["releases"]] == [(newer, "1.10.0", "esp32")]
    rest = await world.client.get(f"/v1/releases?cursor={page['next_cursor']}", headers=world.operator)
    assert [row["digest"] for row in (await rest.get_json())["releases"]] == [digest]


def touched(bundle: ReleaseBundle, **fields: Any) -> ReleaseBundle:
    return bundle.model_copy(update={"signed": bundle.signed.model_copy(update=fields)})


GOOD = signed_release()
OTHER_PURPOSE = KEY.sign(f"larder-{Purpose.SETTINGS}\n{GOOD.signed.text}".encode()).hex()
BAD = {
    "an unknown key": signed_release(key=STRANGER),
    "a known key's name, another's signature": touched(signed_release(key=STRANGER), key=GOOD.signed.key),
    "a changed text": touched(GOOD, text=GOOD.signed.text.replace("1.0.0", "1.0.1")),
    "a signature for settings": touched(GOOD, signature=OTHER_PURPOSE),
    "a changed file": GOOD.model_copy(update={"files": {**GOOD.files, "boot.mpy": b64encode(b"tuub" * 100).decode()}}),
    "a file too few": GOOD.model_copy(update={"files": {"boot.mpy": GOOD.files["boot.mpy"]}}),
    "a file too many": GOOD.model_copy(update={"files": {**GOOD.files, "more.mpy": "AAAA"}}),
    "no base64": GOOD.model_copy(update={"files": {**GOOD.files, "boot.mpy": "?" * 400}}),
}


@pytest.mark.criterion("8.5")
@pytest.mark.parametrize("what", BAD)
async def test_what_nobody_vouches_for_is_refused(world: World, what: str) -> None:
    answer = await publish(world, BAD[what])
    told = await answer.get_json()
    assert (answer.status_code, told["code"], told["errors"][0]["path"]) == (422, "validation_failed", "signed")
    assert await world.rows("SELECT 1 FROM releases UNION ALL SELECT 1 FROM release_files") == []


@pytest.mark.criterion("8.5")
def test_no_touched_byte_and_no_cut_passes() -> None:
    """R16 where a release comes to the cloud: a random bit of each byte, and each shorter text."""
    bundle, dice = signed_release(files={"app.mpy": b"app", "boot.mpy": b"boot"}).to_line(), random.Random(16)
    keys = keys_by_id([PUBLIC])
    for place in range(len(bundle)):
        touched = bytearray(bundle)
        touched[place] ^= 1 << dice.randrange(8)
        for mutant in (bytes(touched), bundle[:place]):
            with pytest.raises((ValidationError, ReleaseRefused)):
                read_release(ReleaseBundle.model_validate_json(mutant), keys)


async def test_a_text_that_is_no_manifest_is_refused(world: World) -> None:
    text = '{"v":1,"kind":"app"}'
    signature = KEY.sign(f"larder-{Purpose.RELEASE}\n{text}".encode()).hex()
    answer = await publish(world, touched(GOOD, text=text, signature=signature))
    assert "no manifest" in (await answer.get_json())["errors"][0]["message"]


async def test_a_body_that_is_no_release_is_refused(world: World) -> None:
    for body, status in ((b"{", 400), (b"{}", 422), (b"x" * (3 * 1024 * 1024 + 1), 413)):
        answer = await world.client.post("/v1/releases", data=body, headers=world.operator | JSON)
        assert answer.status_code == status
    answer = await world.client.post("/v1/releases", data=GOOD.to_line(), headers=world.operator)
    assert answer.status_code == 415
    assert (await world.client.post("/v1/releases", data=GOOD.to_line(), headers=JSON)).status_code == 401


@pytest.mark.criterion("8.5")
async def test_a_version_has_one_content(world: World) -> None:
    await published(world, signed_release("1.0.0"))
    other = await publish(world, signed_release("1.0.0", files={"app.mpy": b"another"}))
    assert other.status_code == 422
    assert "other content" in (await other.get_json())["errors"][0]["message"]
    await published(world, signed_release("1.0.1", files={"app.mpy": b"another"}))
    await published(world, signed_release("1.0.0", board="esp32-s3"))


@pytest.mark.criterion("8.5")
async def test_gateways_fetch_the_text_and_its_files_from_any_byte(world: World) -> None:
    bundle = signed_release()
    digest = await published(world, bundle)
    whole = await fetch(world, digest)
    assert (whole.status_code, await whole.get_data()) == (200, bundle.signed.to_line())
    content = FILES["app.mpy"]
    sha256 = hashlib.sha256(content).hexdigest()
    rest = await fetch(world, sha256, "bytes=5000-")
    assert (rest.status_code, await rest.get_data()) == (206, content[5000:])
    assert rest.headers["Content-Range"] == f"bytes 5000-{len(content) - 1}/{len(content)}"
    assert (await fetch(world, sha256, "bytes=0-")).status_code == 206


async def test_what_gateways_may_not_fetch(world: World) -> None:
    await published(world, signed_release())
    sha256 = hashlib.sha256(FILES["app.mpy"]).hexdigest()
    for path, wanted, status in (
        ("00" * 32, None, 404),
        ("..", None, 404),
        (sha256.upper(), None, 404),
        (sha256, "bytes=999999-", 416),
        (sha256, "bytes=-5", 416),
        (sha256, "bytes=0-9", 416),
    ):
        assert (await fetch(world, path, wanted)).status_code == status, (path, wanted)
    assert (await world.client.get(f"/v1/sync/files/{sha256}", headers=world.operator)).status_code == 401
    assert (await world.client.get(f"/v1/sync/files/{sha256}")).status_code == 401
