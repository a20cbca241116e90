"""Whom to believe about where a request comes from."""

from ipaddress import ip_network

import pytest

from cloud.addresses import client_address, counted_as

PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "believed"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.9, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.9, 198.51.100.1, 10.2.3.4", "198.51.100.1"),
        ("10.0.0.1", "10.9.9.9, 10.2.3.4", "10.9.9.9"),
        ("10.0.0.1", "192.0.2.9, nonsense", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.9,", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::9]:4711", "2001:db8::9"),
        ("2001:db8:1::1", "2001:db8::9", "2001:db8::9"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("local", "198.51.100.1", "local"),
    ],
)
def test_only_what_trusted_proxies_added_is_believed(peer: str, forwarded_for: str, believed: str) -> None:
    assert client_address(peer, forwarded_for, PROXIES) == believed


def test_with_no_proxy_no_header_is_believed() -> None:
    assert client_address("127.0.0.1", "198.51.100.1", ()) == "127.0.0.1"


def test_a_household_of_ipv6_is_one_address() -> None:
    assert counted_as("2001:db8:1:2:3:4:5:6") == counted_as("2001:db8:1:2::1") != counted_as("2001:db8:1:3::1")
    assert counted_as("203.0.113.7") != counted_as("203.0.113.8")
    assert counted_as("::ffff:203.0.113.7") == counted_as("203.0.113.7")
    assert counted_as("local") == "local"
