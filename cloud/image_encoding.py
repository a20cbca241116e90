"""Has pictures made anew by a process of its own for each, a few at once."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import structlog

from cloud.errors import Unavailable
from cloud.image_encoder import Encoded, Size, Unreadable

log = structlog.get_logger()

AT_ONCE = 2
QUEUE_SECONDS = 30.0
"""For a place."""
ENCODE_SECONDS = 30.0
"""From the first byte to the last size; the process ends itself after less of the processor's time."""
_LINE_BYTES = 64 * 1024


class Encoding:
    """`most_pixels` is what a picture may have: some 20 bytes of memory each, in its process."""

    def __init__(self, most_pixels: int) -> None:
        self._most_pixels = most_pixels
        self._places = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, media_type: str, sent: AsyncGenerator[bytes, None]) -> Encoded:
        """All sizes of the picture that is sent. Raises Unreadable; Unavailable when too many want the same."""
        async with aclosing(sent):
            try:
                async with asyncio.timeout(QUEUE_SECONDS):
                    await self._places.acquire()
            except TimeoutError:
                raise Unavailable from None
            try:
                async with asyncio.timeout(ENCODE_SECONDS):
                    return await self._encode(media_type, sent)
            except TimeoutError:
                raise Unreadable("takes too long to be read") from None
            finally:
                self._places.release()

    async def _encode(self, media_type: str, sent: AsyncGenerator[bytes, None]) -> Encoded:
        # No environment: nothing of ours is there to be found by whoever takes the decoder over.
        arguments = ("-I", "-m", "cloud.image_encoder", media_type, str(self._most_pixels))
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, env={}, limit=_LINE_BYTES
        )
        try:
            return await _answer(process, sent)
        finally:
            if process.returncode is None:
                process.kill()
            with suppress(BrokenPipeError, ConnectionResetError):
                await process.communicate()  # what is left, so that its pipes are closed


async def _answer(process: Process, sent: AsyncGenerator[bytes, None]) -> Encoded:
    """What the process makes of it. Raises Unreadable."""
    taking, giving = process.stdin, process.stdout
    assert taking is not None  # noqa: S101  they are pipes
    assert giving is not None  # noqa: S101
    with suppress(BrokenPipeError, ConnectionResetError):  # it has died; its end says of what
        async for piece in sent:
            taking.write(piece)
            await taking.drain()
        taking.close()
    line = await giving.readline()
    if not line.endswith(b"\n"):
        await _died(process)
    told = json.loads(line)
    if "unreadable" in told:
        raise Unreadable(told["unreadable"])
    sizes = [
        Size(size["name"], size["width"], size["height"], await giving.readexactly(size["bytes"]))
        for size in told["sizes"]
    ]
    return Encoded(told["width"], told["height"], tuple(sizes))


async def _died(process: Process) -> None:
    """Raises Unreadable when it was the picture that killed it, RuntimeError when it is our fault."""
    _, said = await process.communicate()
    log.warning("picture_encoder_died", status=process.returncode, said=said.decode(errors="replace")[-500:])
    if process.returncode is not None and process.returncode < 0:
        raise Unreadable("cannot be read within the memory and time that a picture may take")
    raise RuntimeError("the process that makes pictures cannot run")
