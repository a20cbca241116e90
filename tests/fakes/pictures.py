"""Pictures as people would send them, made anew for each test."""

import io
import struct
import zlib

from PIL import Image

MARK = b"Taken by Olga"


def picture(
    form: str = "JPEG", size: tuple[int, int] = (400, 300), mode: str = "RGB", *, turned: bool = False
) -> bytes:
    """A gradient, with who took it in its metadata; `turned`: lying on its side, and saying so."""
    image = Image.linear_gradient("L").resize(size).convert(mode)
    if image.has_transparency_data:
        image.putalpha(128)
    exif = Image.Exif()
    exif[0x013B] = MARK.decode()  # artist
    if turned:
        exif[0x0112] = 6  # turn it by 90°
    out = io.BytesIO()
    image.save(out, form, exif=exif)
    return out.getvalue()


def moving(form: str) -> bytes:
    """Two frames."""
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, form, save_all=True, append_images=frames[1:])
    return out.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it has so many pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + _chunk(b"IEND", b"")
    )


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
