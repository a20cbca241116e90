"""Where webhooks may go: no address inside our own walls, whatever a URL or the DNS says. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_URL = 2000
_PORTS = {"https": 443, "http": 80}
_URL = re.compile(r"https?://[!-~]+", re.ASCII)
"""Visible ASCII alone: names in other scripts are written as `xn--…`, all else in percents."""
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}$)(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?|localhost")
"""A last label of digits would be read as an address, in forms that we do not know."""
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".home.arpa", ".onion", ".test", ".invalid")

_NOT_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "168.63.129.16/32",  # answers inside of Azure alone, as the host of a machine
        "169.254.0.0/16",  # link-local: clouds tell their machines secrets there
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation, as are two more below
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_V6 = IPv6Network("2000::/3")
"""All that is handed out for the internet. Outside lie loopback, ::ffff:0:0/96 (mapped), 64:ff9b::/96 (NAT64),
fc00::/7, fe80::/10, ff00::/8 and what has no use yet."""
_NOT_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo and others that hold addresses of version 4, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: holds an address of version 4
        "2620:4f:8000::/48",
        "3fff::/20",  # documentation
    )
)


class Forbidden(Exception):
    """Nothing may be sent there. The text says why, in words for whoever wrote the URL."""


@dataclass(frozen=True)
class Destination:
    """A URL in its parts. `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """As the header Host says it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True)
class Allowed:
    """What is let by. `networks` are those behind our own walls that webhooks may reach all the same."""

    ports: frozenset[int] = frozenset({443, 8443})
    networks: Sequence[Network] = ()
    http: bool = False
    """Without TLS, too: in development only."""

    def destination(self, url: str) -> Destination:
        """The parts of a URL. Raises Forbidden for what can be told without asking the DNS."""
        if len(url) > LONGEST_URL or not _URL.fullmatch(url) or "\\" in url:
            raise Forbidden("must be an https:// URL of at most 2000 visible ASCII characters")
        try:
            parts = urlsplit(url)
            port = parts.port if parts.port is not None else _PORTS[parts.scheme]
        except ValueError:
            raise Forbidden("has no good host or port") from None
        if parts.scheme != "https" and not self.http:
            raise Forbidden("must begin with https://")
        if "@" in parts.netloc:
            raise Forbidden("must hold no user or password: what is sent is signed")
        if "#" in url:
            raise Forbidden("must have no fragment")
        if port not in self.ports:
            raise Forbidden(f"names port {port}; allowed are {', '.join(map(str, sorted(self.ports)))}")
        host = self._host(parts.hostname or "", is_v6="[" in parts.netloc)
        return Destination(parts.scheme, host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))

    def _host(self, host: str, *, is_v6: bool) -> str:
        try:
            address = ip_address(host)
        except ValueError:
            if is_v6 or not _NAME.fullmatch(host):
                raise Forbidden("names no host of the internet") from None
            if not self.networks and (host == "localhost" or host.endswith(_LOCAL_NAMES)):
                raise Forbidden("names a host that is not on the internet") from None
            return host
        self.require([address])
        return str(address)

    def require(self, addresses: Sequence[Address]) -> None:
        """Raises Forbidden unless there are some and each may be reached: a name with one that may not is none."""
        if not addresses:
            raise Forbidden("has no address")
        for address in addresses:
            if not self._may_reach(address):
                raise Forbidden("leads to an address that is not on the internet")

    def _may_reach(self, address: Address) -> bool:
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            return False
        if any(address.version == network.version and address in network for network in self.networks):
            return True
        if isinstance(address, IPv4Address):
            return not any(address in network for network in _NOT_V4)
        return address in _V6 and not any(address in network for network in _NOT_V6)
