"""`python -m firmware.diagram settings.json > wiring.svg`: how the board of these settings is wired, on A4."""

import argparse
import sys
from pathlib import Path

from firmware.diagram.plan import draw, read
from firmware.vending.checks import SettingsError


def main() -> int:
    """The exit status: 2 for settings that cannot be wired, the reason on stderr."""
    parser = argparse.ArgumentParser(prog="python -m firmware.diagram", description=__doc__)
    parser.add_argument("settings", type=Path, help="settings.json of the device")
    options = parser.parse_args()
    try:
        drawn = draw(read(options.settings.read_bytes()))
    except (OSError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 2
    sys.stdout.buffer.write(drawn.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
