"""A phone's camera: reads the QR codes of what a page shows, from its pixels."""

from pathlib import Path

import zxingcpp
from PIL import Image

from tests.fakes.browser import Browser


async def read_codes(browser: Browser, folder: Path) -> list[str]:
    """The texts of all QR codes on the page, from top to bottom."""
    file = folder / "page.png"
    await browser.call("screenshot", {"path": str(file), "fullPage": True})
    with Image.open(file) as picture:
        found = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    return [code.text for code in sorted(found, key=lambda code: code.position.top_left.y)]
