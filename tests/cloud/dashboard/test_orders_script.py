"""The script of the orders page in a real browser, against a server that refuses its stream at first."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from quart import Quart, Response

from cloud.dashboard import wording
from tests.fakes.browser import Browser, chromium
from tests.fakes.served import on_a_port

SCRIPT = Path(wording.__file__).parent / "static" / "orders.js"


class FakePage:
    """Counts how often it was looked at; its stream is refused once."""

    def __init__(self) -> None:
        self.looks = 0
        self.streams = 0

    def app(self) -> Quart:
        app = Quart("page")
        app.add_url_rule("/", view_func=self.page)
        app.add_url_rule("/events", view_func=self.events)
        app.add_url_rule("/orders.js", view_func=self.script)
        return app

    async def page(self) -> Response:
        self.looks += 1
        live = f'<div id="live" data-stream="/events"><p>look {self.looks}</p></div>'
        return Response(f'<!doctype html>{live}<script src="/orders.js" defer></script>', mimetype="text/html")

    async def script(self) -> Response:
        return Response(SCRIPT.read_text(), mimetype="text/javascript")

    async def events(self) -> Response:
        self.streams += 1
        if self.streams == 1:
            return Response("", status=503)
        return Response(self.lines(), mimetype="text/event-stream")

    async def lines(self) -> AsyncIterator[bytes]:
        yield b"event: orders\ndata: moved\n\n"
        await asyncio.sleep(60)


async def test_a_refused_stream_is_opened_again() -> None:
    fake = FakePage()
    async with on_a_port(fake.app()) as port, chromium() as browser:
        await browser.open(f"http://127.0.0.1:{port}")
        await seen(browser, fake)


async def seen(browser: Browser, fake: FakePage) -> None:
    await browser.see("look 2")  # for the refusal
    await browser.wait(5)
    await browser.see("look 3")  # for the stream that was opened again
    assert fake.streams == 2
