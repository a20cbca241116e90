"""What is typed at a gateway to let it in. Pure."""

import json
import re

from shared.bundles import FILE_ENDING


def claim_command(cloud_url: str, code: str) -> str:
    """One line for the gateway's terminal (edge/__main__.py)."""
    return f"larder-gateway claim --cloud {cloud_url} {code}"


def gateway_toml(cloud_url: str, code: str) -> str:
    """The same as a settings file (edge/settings.py). Strings of JSON are strings of TOML."""
    return f"cloud_url = {json.dumps(cloud_url)}\nclaim_code = {json.dumps(code)}\n"


def bundle_name(site_name: str) -> str:
    """The name of a site's bundle as a file, wherever it is saved."""
    plain = re.sub(r"[^a-z0-9]+", "-", site_name.lower()).strip("-")
    return f"{plain[:40] or 'site'}{FILE_ENDING}"
