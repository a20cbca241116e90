"""From where a request comes: whom to believe about it, and what is counted as one address. Pure."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
_WITH_PORT = re.compile(r"\[([0-9a-fA-F:.]+)\](?::\d+)?|([0-9.]+):\d+")
_HOUSEHOLD_BITS = 64
"""A customer of a provider has at least so wide a network of IPv6 addresses, and may use any of them."""


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """The peer's address, or when that is a trusted proxy the last hop that is none in its X-Forwarded-For.

    What stands further left was written by strangers. A hop that is no address ends the search.
    """
    found = _read(peer)
    if found is None:
        return peer
    for hop in reversed(forwarded_for.split(",")):
        if not any(found in network for network in trusted):
            break
        if (earlier := _read(hop.strip())) is None:
            break
        found = earlier
    return str(found)


def counted_as(address: str) -> str:
    """One address of IPv4, one /64 of IPv6."""
    found = _read(address)
    if isinstance(found, IPv6Address):
        return str(ip_network((found, _HOUSEHOLD_BITS), strict=False))
    return address if found is None else str(found)


def _read(text: str) -> IPv4Address | IPv6Address | None:
    with_port = _WITH_PORT.fullmatch(text)
    try:
        found = ip_address(with_port[1] or with_port[2] if with_port else text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
