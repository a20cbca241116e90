"""Makes pictures anew: upright, still, without a word about where and by whom they were taken, in four sizes.

It runs as a process of its own (`python -m cloud.image_encoder MEDIA_TYPE PIXELS`, image_encoding.py), with little
memory and time and no secret in its environment: decoders of images are where crafted bytes bite. The picture comes on
its standard input; the answer is a line of JSON, and the sizes one behind the other.
"""

import io
import json
import resource
import sys
import warnings
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

from cloud.private_memory import give_up_capabilities

FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
SIZES = {"full": 2048, "1024": 1024, "320": 320, "96": 96}
"""The longer edge in pixels; nothing is made larger than it was."""
QUALITY = 82
CPU_SECONDS = 15
_BYTES_PER_PIXEL = 4
_COPIES = 5
"""Of the whole picture: the decoder's, converted, upright, and what these leave behind."""
_GROUND_BYTES = 384 * 1024 * 1024
"""Python, Pillow and its libraries, as address space."""


class Unreadable(Exception):
    """It is no picture that is taken; the text ends a sentence that begins with "The body"."""


@dataclass(frozen=True)
class Size:
    """A picture in one size, as WebP."""

    name: str
    width: int
    height: int
    content: bytes


@dataclass(frozen=True)
class Encoded:
    """A picture that was made anew, and how large it was."""

    width: int
    height: int
    sizes: tuple[Size, ...]


def encode(source: BinaryIO, media_type: str, most_pixels: int) -> Encoded:
    """All sizes, the largest first. Raises Unreadable."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken metadata, which goes anyway; pixels are counted below
            with Image.open(source, formats=[FORMATS[media_type]]) as image:
                return _encode(image, most_pixels)
    except Unreadable:
        raise
    except Image.DecompressionBombError:
        raise Unreadable(f"has more than {most_pixels} pixels") from None
    except MemoryError:
        raise Unreadable("takes more memory than a picture may") from None
    except UnidentifiedImageError:
        raise Unreadable(f"cannot be read as {media_type}") from None
    except Exception as error:
        raise Unreadable("is damaged, or cut off") from error


def _encode(image: Image.Image, most_pixels: int) -> Encoded:
    if image.width * image.height > most_pixels:
        raise Unreadable(f"has {image.width} × {image.height} pixels: at most {most_pixels} are taken")
    # Cameras put a second, smaller picture behind the first (MPO): that moves nothing.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise Unreadable("moves: send a picture of one frame")
    width, height = image.size
    image.draft("RGB", (SIZES["full"], SIZES["full"]))  # of a large JPEG fewer pixels are computed
    image.load()
    upright = ImageOps.exif_transpose(image)
    if (upright.width > upright.height) != (image.width > image.height):
        width, height = height, width
    bare = _bare(upright)
    sizes = []
    for name, edge in SIZES.items():
        bare.thumbnail((edge, edge), Image.Resampling.LANCZOS)
        sizes.append(Size(name, bare.width, bare.height, _webp(bare)))
    return Encoded(width, height, tuple(sizes))


def _bare(image: Image.Image) -> Image.Image:
    """Its pixels and nothing else."""
    is_deep = image.mode.startswith(("I", "F"))
    plain = image.point(lambda value: value / 256).convert("L") if is_deep else image
    bare = plain.convert("RGBA" if plain.has_transparency_data else "RGB")
    bare.info = {}
    return bare


def _webp(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", quality=QUALITY, exif=b"", xmp=b"", icc_profile=b"")
    return out.getvalue()


def confine(sent_bytes: int, most_pixels: int) -> None:
    """No more memory and time than that takes, no file, and nothing of the process that started this one."""
    give_up_capabilities()
    memory = _GROUND_BYTES + 2 * sent_bytes + _COPIES * _BYTES_PER_PIXEL * most_pixels
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def main(arguments: list[str]) -> None:
    """One picture from standard input to standard output."""
    media_type, most_pixels = arguments[0], int(arguments[1])
    sent = sys.stdin.buffer.read()
    confine(len(sent), most_pixels)
    try:
        encoded = encode(io.BytesIO(sent), media_type, most_pixels)
    except Unreadable as error:
        sys.stdout.buffer.write(json.dumps({"unreadable": str(error)}).encode() + b"\n")
        return
    sizes = [{"name": s.name, "width": s.width, "height": s.height, "bytes": len(s.content)} for s in encoded.sizes]
    told = {"width": encoded.width, "height": encoded.height, "sizes": sizes}
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n")
    for size in encoded.sizes:
        sys.stdout.buffer.write(size.content)


if __name__ == "__main__":
    main(sys.argv[1:])
