"""TLS in front of a server on loopback that speaks without, by a certificate of any age."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """Signs certificates for `localhost`."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        start = datetime(1970, 1, 1, tzinfo=UTC)
        return cls(key, _signed(key, "An authority", key.public_key(), "An authority", start, is_ca=True))

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def trusting(self) -> ssl.SSLContext:
        """A client's context that trusts nobody else."""
        return ssl.create_default_context(cadata=self.pem)

    def server(self, folder: Path, begins: timedelta, life: timedelta = 90 * DAY) -> ssl.SSLContext:
        """A server's context, whose certificate begins so long from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        start = datetime.now(UTC) + begins
        certificate = _signed(self.key, "An authority", key.public_key(), "localhost", start, start + life)
        file = folder / "server.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _signed(
    by: ec.EllipticCurvePrivateKey,
    issuer: str,
    key: ec.EllipticCurvePublicKey,
    subject: str,
    start: datetime,
    end: datetime = datetime(2049, 12, 31, tzinfo=UTC),
    *,
    is_ca: bool = False,
) -> x509.Certificate:
    builder = x509.CertificateBuilder(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]),
        key,
        x509.random_serial_number(),
        start,
        end,
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName(subject.replace(" ", "-"))]), critical=False
    )
    return builder.sign(by, hashes.SHA256())


@asynccontextmanager
async def tls_front(behind: str, context: ssl.SSLContext) -> AsyncIterator[str]:
    """The https address of a front of the http address `behind`. Its connections end with it."""
    front = _Front(behind, context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        accepting = asyncio.create_task(front.accept(listener), name="tls-front")
        try:
            yield f"https://localhost:{listener.getsockname()[1]}"
        finally:
            tasks = {accepting, *front.serving}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class _Front:
    """Owns each connection from before its handshake: asyncio's servers leave behind what has not shaken hands."""

    def __init__(self, behind: str, context: ssl.SSLContext) -> None:
        self._target = urlsplit(behind)
        self._context = context
        self.serving: set[asyncio.Task[None]] = set()

    async def accept(self, listener: socket.socket) -> None:
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            self.serving.add(asyncio.create_task(self._serve(connection), name="tls-front-connection"))

    async def _serve(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        with suppress(OSError):
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=self._context)
            async with _aborting(asyncio.StreamWriter(transport, protocol, reader, loop)) as writer:
                inner = await asyncio.open_connection(self._target.hostname, self._target.port)
                async with _aborting(inner[1]):
                    await asyncio.gather(_pour(reader, inner[1]), _pour(inner[0], writer))


@asynccontextmanager
async def _aborting(writer: asyncio.StreamWriter) -> AsyncIterator[asyncio.StreamWriter]:
    try:
        yield writer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await source.read(65536):
            sink.write(piece)
            await sink.drain()
    sink.close()
