"""A server on loopback with a certificate of any kind, and what a client needs to trust it."""

import asyncio
import ipaddress
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from shared.site_ca import KeyPair, certificate_pem, common_name, make_ca, private_key_pem

CA = make_ca()


def trusting() -> ssl.SSLContext:
    """A client that trusts `CA` alone."""
    return ssl.create_default_context(cadata=certificate_pem(CA))


def certificate(address: str = "127.0.0.1", ends_in: timedelta = timedelta(days=1)) -> KeyPair:
    """For a server at this address; one that has ended began before that."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    builder = (
        x509.CertificateBuilder()
        .subject_name(common_name("cloud"))
        .issuer_name(CA.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + ends_in)
        .add_extension(name, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(CA.key.public_key()), critical=False)
    )
    return KeyPair(key, builder.sign(CA.key, hashes.SHA256()))


@asynccontextmanager
async def answering(answer: bytes | None, pair: KeyPair | None = None) -> AsyncIterator[int]:
    """The port of a server that gives everybody this answer; with None it takes the connection and says nothing."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is None:
            await over.wait()
        else:
            await reader.read(10_000)
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=None if pair is None else _context(pair))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        over.set()
        server.close()


def _context(pair: KeyPair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(private_key_pem(pair) + certificate_pem(pair))
        file.flush()
        context.load_cert_chain(Path(file.name))
    return context
