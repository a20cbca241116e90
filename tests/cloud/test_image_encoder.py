"""Whatever comes is made anew, or refused with the reason."""

import hashlib
import io
from collections.abc import AsyncGenerator

import pytest
from PIL import Image

from cloud.image_encoder import SIZES, Encoded, Unreadable, encode
from cloud.image_encoding import Encoding
from cloud.pictures.rules import announced_digest, media_type_of
from tests.fakes.pictures import MARK, bomb, moving, picture

MOST_PIXELS = 4_000_000
TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


def made(content: bytes, form: str = "JPEG") -> Encoded:
    return encode(io.BytesIO(content), TYPES[form], MOST_PIXELS)


@pytest.mark.criterion("6.4")
@pytest.mark.parametrize(
    ("form", "mode"),
    [("JPEG", "RGB"), ("JPEG", "CMYK"), ("JPEG", "L"), ("PNG", "P"), ("PNG", "LA"), ("PNG", "I;16"), ("WEBP", "RGBA")],
)
def test_every_kind_of_picture_becomes_webp_without_a_word_about_its_maker(form: str, mode: str) -> None:
    sent = picture(form, (1100, 550), mode)
    assert MARK in sent
    encoded = made(sent, form)
    assert (encoded.width, encoded.height) == (1100, 550)
    assert {size.name: (size.width, size.height) for size in encoded.sizes} == {
        "full": (1100, 550),
        "1024": (1024, 512),
        "320": (320, 160),
        "96": (96, 48),
    }
    for size in encoded.sizes:
        assert media_type_of(size.content[:12]) == "image/webp"
        assert not [word for word in (MARK, b"EXIF", b"ICCP", b"XMP ") if word in size.content]
        with Image.open(io.BytesIO(size.content)) as shown:
            assert shown.size == (size.width, size.height)
            assert (shown.mode == "RGBA") is (mode in {"LA", "RGBA"})


def test_deep_pixels_keep_their_brightness() -> None:
    deep = Image.new("I;16", (64, 64), 0x8000)
    out = io.BytesIO()
    deep.save(out, "PNG")
    with Image.open(io.BytesIO(made(out.getvalue(), "PNG").sizes[0].content)) as shown:
        assert abs(shown.convert("L").getpixel((9, 9)) - 0x80) <= 2  # type: ignore[operator]


def test_a_picture_that_lies_on_its_side_is_put_upright() -> None:
    encoded = made(picture(turned=True))
    assert (encoded.width, encoded.height) == (300, 400)
    assert [(size.width, size.height) for size in encoded.sizes][-1] == (72, 96)


@pytest.mark.criterion("6.4")
def test_what_is_no_still_picture_is_refused_with_the_reason() -> None:
    jpeg, png = picture(), picture("PNG")
    junk = b"RIFF\x10\0\0\0WEBPVP8 " + b"\xff" * 99
    damaged = [(jpeg[: len(jpeg) // 2], "JPEG"), (png[:-200], "PNG"), (png[:20], "PNG"), (bomb(100, 100), "PNG")]
    wrong = {
        "has 9000 × 9000 pixels: at most 4000000 are taken": [(bomb(9_000, 9_000), "PNG")],
        "has more than 4000000 pixels": [(bomb(2**30, 2**30), "PNG")],
        "moves: send a picture of one frame": [(moving("PNG"), "PNG"), (moving("WEBP"), "WEBP")],
        "is damaged, or cut off": [*damaged, (junk, "WEBP")],
        "cannot be read as image/png": [(b"", "PNG"), (jpeg, "PNG")],
    }
    for reason, contents in wrong.items():
        for content, form in contents:
            with pytest.raises(Unreadable) as refused:
                made(content, form)
            assert str(refused.value) == reason


def test_nothing_is_left_of_what_is_hidden_behind_a_picture() -> None:
    encoded = made(picture() + b"<script>alert(1)</script>PK\x03\x04")
    assert not [size for size in encoded.sizes if b"script" in size.content]


async def told(content: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(content), 4096):
        yield content[start : start + 4096]


@pytest.mark.criterion("6.4")
async def test_a_process_of_its_own_makes_them_within_bounds_on_its_memory() -> None:
    encoding = Encoding(MOST_PIXELS)
    encoded = await encoding("image/png", told(picture("PNG")))
    assert [size.name for size in encoded.sizes] == list(SIZES)
    assert encoded == made(picture("PNG"), "PNG")
    canvas = bytearray(moving("WEBP"))
    canvas[24:30] = 2 * (16382).to_bytes(3, "little")  # 2 GB, which its decoder wants before it tells of any pixel
    with pytest.raises(Unreadable):
        await encoding("image/webp", told(bytes(canvas)))


async def test_a_process_that_cannot_run_is_no_fault_of_the_picture() -> None:
    with pytest.raises(RuntimeError, match="cannot run"):
        await Encoding(10**30)("image/png", told(picture("PNG")))


EMPTY = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"


@pytest.mark.parametrize(
    ("header", "digest"),
    [
        ("", None),
        ("sha-512=:AAAA:", None),
        (EMPTY, hashlib.sha256().hexdigest()),
        (f"sha-512=:AAAA:, {EMPTY}", hashlib.sha256().hexdigest()),
    ],
)
def test_a_content_digest_is_read(header: str, digest: str | None) -> None:
    assert announced_digest(header) == digest


@pytest.mark.parametrize("header", ["sha-256=:AAAA:", "sha-256=abc", "sha-256=", 'sha-256="e3b0"'])
def test_a_content_digest_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match="names no SHA-256"):
        announced_digest(header)
