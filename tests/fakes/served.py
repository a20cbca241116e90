"""An app of the cloud's kind on a free port of loopback, as the cloud itself is served."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quart import Quart

from cloud.certificates import Certificate
from cloud.listener import Listener
from cloud.server import HEAD_SECONDS, configure, listen


@asynccontextmanager
async def on_a_port(
    app: Quart, head_seconds: float = HEAD_SECONDS, certificate: Certificate | None = None, wanted: int = 0
) -> AsyncIterator[int]:
    """The port (a free one, unless one is `wanted`), for as long as the context lasts."""
    bound = listen("127.0.0.1", wanted)
    port: int = bound.getsockname()[1]
    closing = asyncio.Event()
    running = asyncio.create_task(Listener(app, bound, configure(head_seconds), certificate).serve(closing, 1.0))
    try:
        yield port
    finally:
        closing.set()
        await running
