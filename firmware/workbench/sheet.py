"""The sheet for whoever sets a machine up by phone: one code to join the board's network, one with its settings."""

from pathlib import Path

import segno
from segno import helpers

from shared.signed import setup_address


class TooLarge(Exception):
    """The settings do not fit a code that a phone can read; the text says what to do."""


def network_code(name: str, password: str) -> segno.QRCode:
    """The code by which a phone joins the board's network."""
    return helpers.make_wifi(ssid=name, password=password, security="WPA")


def settings_code(signed: bytes) -> segno.QRCode:
    """The code that opens the page with the settings. Raises TooLarge."""
    try:
        return segno.make_qr(setup_address(signed), error="l", boost_error=False)
    except segno.DataOverflowError:
        raise TooLarge("These settings do not fit a code: use the cable, or paste the file into the page.") from None


def write(folder: Path, name: str, password: str, signed: bytes) -> list[Path]:
    """Both codes as SVG files in `folder`, to be printed as large as the paper allows. Raises TooLarge, OSError."""
    paths = [folder / "1-join-the-network.svg", folder / "2-settings.svg"]
    for path, code in zip(paths, (network_code(name, password), settings_code(signed)), strict=True):
        code.save(str(path), scale=8, border=4)
    return paths
