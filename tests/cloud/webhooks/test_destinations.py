"""Where webhooks may go, by a table of what people and attackers write."""

from ipaddress import ip_address, ip_network

import pytest

from cloud.webhooks.destinations import Allowed, Destination, Forbidden

ALLOWED = Allowed()

GOOD = {
    "https://erp.example.com": Destination("https", "erp.example.com", 443, "/"),
    "https://ERP.Example.com/in?key=1&b=%20": Destination("https", "erp.example.com", 443, "/in?key=1&b=%20"),
    "https://erp.example.com:8443/a:b@c": Destination("https", "erp.example.com", 8443, "/a:b@c"),
    "https://xn--bcher-kva.example/x": Destination("https", "xn--bcher-kva.example", 443, "/x"),
    "https://8.8.8.8/": Destination("https", "8.8.8.8", 443, "/"),
    "https://[2606:4700:4700::1111]/": Destination("https", "2606:4700:4700::1111", 443, "/"),
}
BAD_URLS = (
    "",
    "erp.example.com",
    "http://erp.example.com/",
    "HTTPS://erp.example.com/",
    "ftp://erp.example.com/",
    "file:///etc/passwd",
    "gopher://erp.example.com/",
    "https:///path",
    "https://",
    "https:erp.example.com",
    "https://user@erp.example.com/",
    "https://user:pass@erp.example.com/",
    "https://@erp.example.com/",
    "https://erp.example.com@10.0.0.1/",
    "https://erp.example.com#@10.0.0.1/",
    "https://erp.example.com/#x",
    "https://erp.example.com\\@10.0.0.1/",
    "https://erp.example.com/ x",
    "https://erp.example.com/\r\nHost: x",
    "https://erp.example.com/\tx",
    "https://erp.example.com/\0",
    "https://bücher.example/",
    "https://erp。example/",
    "https://\uff11\uff12\uff17.0.0.1/",
    "https://erp.example.com:22/",
    "https://erp.example.com:80/",
    "https://erp.example.com:0/",
    "https://erp.example.com:65536/",
    "https://erp.example.com:-1/",
    "https://erp.example.com:4 43/",
    "https://erp.example.com.:443/",
    "https://-erp.example.com/",
    "https://erp..example.com/",
    "https://%31%32%37.0.0.1/",
    "https://erp_x.example.com/",
    "https://localhost/",
    "https://app.localhost/",
    "https://printer.local/",
    "https://metadata.google.internal/",
    "https://intranet/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://0/",
    "https://0x7f.0.0.1/",
    "https://0x7f000001/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[fe80::1%25eth0]/",
    "https://[2606:4700:4700::1111%25eth0]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[::1/",
    "https://[v1.x]/",
    "https://[127.0.0.1]/",
    "https://" + "a" * 64 + ".example/",
    "https://erp.example.com/" + "a" * 2000,
)
BAD_ADDRESSES = (
    *("0.0.0.1", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255"),
    *("127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.1"),
    *("192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1"),
    *("64:ff9b::808:808", "64:ff9b:1::a00:1", "100::1", "2001::7f00:1", "2001:0:7f00:1::", "2001:10::1", "2001:db8::1"),
    *("2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd12::1"),
    *("fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff05::2"),
)
GOOD_ADDRESSES = (
    *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.1.1.1", "128.0.0.1"),
    *("172.15.1.1", "172.32.0.1", "192.167.1.1", "192.169.0.1", "198.17.1.1", "198.20.0.1", "223.255.255.1"),
    *("2606:4700:4700::1111", "2a00:1450:4001::200e", "2001:4860:4860::8888", "2003::1"),
)


def test_what_may_be_written() -> None:
    assert {url: ALLOWED.destination(url) for url in GOOD} == GOOD
    let_by = []
    for url in BAD_URLS:
        try:
            let_by.append((url, ALLOWED.destination(url)))
        except Forbidden:
            continue
    assert let_by == []


def test_what_may_be_reached() -> None:
    for text in GOOD_ADDRESSES:
        ALLOWED.require([ip_address(text)])
    let_by = []
    for text in BAD_ADDRESSES:
        for addresses in ([text], ["8.8.8.8", text], [text, "2606:4700:4700::1111"]):
            try:
                ALLOWED.require([ip_address(address) for address in addresses])
            except Forbidden:
                continue
            let_by.append(addresses)
    assert let_by == []
    with pytest.raises(Forbidden):
        ALLOWED.require([])


def test_networks_behind_our_walls_are_reached_where_a_setting_says_so() -> None:
    inside = Allowed(networks=[ip_network("10.20.0.0/16"), ip_network("fd12::/16")])
    inside.require([ip_address("10.20.3.4"), ip_address("fd12::1"), ip_address("8.8.8.8")])
    assert inside.destination("https://erp.local/").host == "erp.local"
    for text in ("10.21.0.1", "fd13::1", "::ffff:10.20.3.4", "127.0.0.1"):
        with pytest.raises(Forbidden):
            inside.require([ip_address(text)])
    assert Allowed(frozenset({80}), http=True).destination("http://erp.example.com/").scheme == "http"


def test_the_header_host_names_a_port_that_is_not_the_usual_one() -> None:
    assert ALLOWED.destination("https://erp.example.com/").authority == "erp.example.com"
    assert ALLOWED.destination("https://erp.example.com:8443/").authority == "erp.example.com:8443"
    assert ALLOWED.destination("https://[2606:4700::1]:8443/").authority == "[2606:4700::1]:8443"
