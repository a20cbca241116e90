"""HTTPS without a proxy: real handshakes, and a certificate renewed under way."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from quart import Quart

from cloud.certificates import Certificate
from cloud.errors import SettingsError
from tests.fakes.served import on_a_port


def make(folder: Path, serial: int) -> Path:
    """A certificate for localhost and its key, in place of what was there."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), serial)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    return folder / "cert.pem"


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(make(tmp_path, 1), tmp_path / "key.pem")


@asynccontextmanager
async def serving(certificate: Certificate) -> AsyncIterator[int]:
    app = Quart("secured")

    @app.get("/")
    async def scheme() -> str:
        from quart import request

        return f"{request.scheme} {request.http_version}"

    async with on_a_port(app, certificate=certificate) as port:
        yield port


def client(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


async def asked(port: int, context: ssl.SSLContext) -> tuple[int, str, bytes]:
    """The serial number of the certificate, the protocol agreed on, and the answer."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
        secured = writer.get_extra_info("ssl_object")
        shown = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True))
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return shown.serial_number, secured.version(), answer


@pytest.mark.criterion("3.3")
async def test_it_speaks_https_with_its_own_certificate(certificate: Certificate) -> None:
    async with serving(certificate) as port:
        serial, version, answer = await asked(port, client(certificate.certificate))
    assert (serial, version) == (1, "TLSv1.3")
    assert answer.endswith(b"https 1.1")


@pytest.mark.criterion("3.3")
async def test_old_versions_of_tls_are_refused(certificate: Certificate) -> None:
    async with serving(certificate) as port:
        context = client(certificate.certificate)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert (await asked(port, context))[1] == "TLSv1.2"
        with pytest.warns(DeprecationWarning, match="TLS"):
            context.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLS"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")  # else it would not even ask
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asked(port, context)


@pytest.mark.criterion("3.3")
async def test_a_renewed_certificate_is_shown_without_a_restart(certificate: Certificate, tmp_path: Path) -> None:
    async with serving(certificate) as port:
        make(tmp_path, 2)
        certificate.renew()
        assert (await asked(port, client(certificate.certificate)))[0] == 2


async def test_a_wrong_certificate_changes_nothing(certificate: Certificate, tmp_path: Path) -> None:
    old = client(certificate.certificate)
    key = (tmp_path / "key.pem").read_bytes()
    async with serving(certificate) as port:
        make(tmp_path, 2)
        (tmp_path / "key.pem").write_bytes(key)  # half of a renewal
        certificate.renew()
        assert (await asked(port, old))[0] == 1
        (tmp_path / "cert.pem").unlink()
        certificate.renew()
        assert (await asked(port, old))[0] == 1


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    make(tmp_path, 1)
    (tmp_path / "other").mkdir()
    make(tmp_path / "other", 2)
    for certificate, key in (("cert.pem", "other/key.pem"), ("key.pem", "key.pem"), ("none.pem", "key.pem")):
        with pytest.raises(SettingsError, match="LARDER_CLOUD_TLS_CERTIFICATE_FILE"):
            Certificate(tmp_path / certificate, tmp_path / key)
