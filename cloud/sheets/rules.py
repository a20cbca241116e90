"""What is typed at a gateway to let it in. Pure."""

import json


def claim_command(cloud_url: str, code: str) -> str:
    """One line for the gateway's terminal (edge/__main__.py)."""
    return f"larder-gateway claim --cloud {cloud_url} {code}"


def gateway_toml(cloud_url: str, code: str) -> str:
    """The same as a settings file (edge/settings.py). Strings of JSON are strings of TOML."""
    return f"cloud_url = {json.dumps(cloud_url)}\nclaim_code = {json.dumps(code)}\n"
