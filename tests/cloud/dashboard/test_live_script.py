"""The script of live pages in a real browser, against a server that refuses its stream at first."""

import asyncio
from collections.abc import AsyncIterator

from quart import Quart, Response

from cloud.dashboard.assets import Assets
from tests.fakes.browser import Browser, chromium
from tests.fakes.served import on_a_port


class FakePage:
    """Counts how often it was looked at; its stream is refused once."""

    def __init__(self) -> None:
        self.looks = 0
        self.streams = 0
        self.assets = Assets()

    def app(self) -> Quart:
        app = Quart("page", static_folder=None)
        app.add_url_rule("/", view_func=self.page)
        app.add_url_rule("/events", view_func=self.events)
        app.add_url_rule("/assets/<path:filename>", view_func=self.assets.serve)
        return app

    async def page(self) -> Response:
        self.looks += 1
        live = f'<div id="live" data-stream="/events" data-event="orders"><p>look {self.looks}</p></div>'
        told = '<p data-liveness="live" hidden></p>'
        script = f'<script type="module" src="{self.assets.url("src/live.ts")}"></script>'
        return Response(f"<!doctype html><html lang=en>{live}{told}{script}", mimetype="text/html")

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
    await browser.see("Reconnecting…")
    await browser.wait(5)
    await browser.see("Live")
    await browser.see("/look [34]/")  # for the stream that was opened again, and for what it told
    assert fake.streams == 2
