"""The site's certificate authority, seen through real TLS handshakes in memory."""

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.site_ca import SERVER_LIFETIME, SERVER_NAME, SiteCa, SiteCaError

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def pinning(ca: SiteCa) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=ca.certificate_pem)


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str = SERVER_NAME) -> str | None:
    """The TLS version agreed on. Raises ssl.SSLError when one side refuses."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    near, far = client.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True)
    done: set[ssl.SSLObject] = set()
    while len(done) < 2:
        for side in (near, far):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
    return near.version()


def test_a_device_that_pins_the_ca_gets_through_under_the_fixed_name(tmp_path: Path) -> None:
    ca = SiteCa.open(tmp_path)
    assert shake_hands(ca.server_context(NOW), pinning(ca)) == "TLSv1.3"


@pytest.mark.parametrize("name", ["pi.local", "192.168.7.9"])
def test_further_names_and_addresses(tmp_path: Path, name: str) -> None:
    ca = SiteCa.open(tmp_path)
    shake_hands(ca.server_context(NOW, ["pi.local", "192.168.7.9"]), pinning(ca), name)


def test_another_sites_ca_is_refused(tmp_path: Path) -> None:
    ours, other = SiteCa.open(tmp_path / "a"), SiteCa.open(tmp_path / "b")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(ours.server_context(NOW), pinning(other))


def test_another_name_is_refused(tmp_path: Path) -> None:
    ca = SiteCa.open(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(ca.server_context(NOW), pinning(ca), "elsewhere.larder")


def test_tls_1_2_is_the_least(tmp_path: Path) -> None:
    ca = SiteCa.open(tmp_path)
    old = pinning(ca)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert shake_hands(ca.server_context(NOW), old) == "TLSv1.2"
    assert ca.server_context(NOW).minimum_version == ssl.TLSVersion.TLSv1_2


def test_the_same_ca_is_loaded_again(tmp_path: Path) -> None:
    first = SiteCa.open(tmp_path)
    first.server_context(NOW)
    server = (tmp_path / "server.pem").read_bytes()
    second = SiteCa.open(tmp_path)
    second.server_context(NOW)
    assert second.fingerprint == first.fingerprint
    assert (tmp_path / "server.pem").read_bytes() == server


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    SiteCa.open(tmp_path).server_context(NOW)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["ca.pem", "server.pem"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_the_server_certificate_is_renewed_near_its_end_and_old_pins_still_hold(tmp_path: Path) -> None:
    ca = SiteCa.open(tmp_path)
    ca.server_context(NOW)
    before = (tmp_path / "server.pem").read_bytes()
    later = NOW + SERVER_LIFETIME - timedelta(days=89)
    assert not ca.needs_renewal(NOW)
    assert ca.needs_renewal(later)
    context = ca.server_context(later)
    assert (tmp_path / "server.pem").read_bytes() != before
    assert not ca.needs_renewal(later)
    shake_hands(context, pinning(ca))


@pytest.mark.parametrize("year", [1970, 2026, 2200])
def test_whatever_the_clock_says_the_certificate_is_usable_and_stays(tmp_path: Path, year: int) -> None:
    ca = SiteCa.open(tmp_path)
    now = datetime(year, 1, 1, tzinfo=UTC)
    shake_hands(ca.server_context(now), pinning(ca))
    assert not ca.needs_renewal(now)


def test_a_new_name_makes_a_new_server_certificate(tmp_path: Path) -> None:
    ca = SiteCa.open(tmp_path)
    ca.server_context(NOW)
    shake_hands(ca.server_context(NOW, ["pi.local"]), pinning(ca), "pi.local")


def test_a_damaged_server_certificate_is_replaced(tmp_path: Path) -> None:
    ca = SiteCa.open(tmp_path)
    (tmp_path / "server.pem").write_bytes(b"torn")
    shake_hands(ca.server_context(NOW), pinning(ca))


def test_a_server_certificate_of_another_ca_is_replaced(tmp_path: Path) -> None:
    ca, other = SiteCa.open(tmp_path / "a"), SiteCa.open(tmp_path / "b")
    other.server_context(NOW)
    (tmp_path / "a" / "server.pem").write_bytes((tmp_path / "b" / "server.pem").read_bytes())
    shake_hands(ca.server_context(NOW), pinning(ca))


@pytest.mark.parametrize("keep", [0, 100, 400])
def test_a_damaged_ca_is_an_error_and_is_never_made_anew(tmp_path: Path, keep: int) -> None:
    SiteCa.open(tmp_path)
    whole = (tmp_path / "ca.pem").read_bytes()
    (tmp_path / "ca.pem").write_bytes(whole[:keep])
    with pytest.raises(SiteCaError):
        SiteCa.open(tmp_path)
    assert (tmp_path / "ca.pem").read_bytes() == whole[:keep]
