"""The site's own certificate authority: made once, by the gateway or with its bundle, and pinned by its devices.

Keys are ECDSA P-256. Validity begins in 1970 and its end never depends on a clock that is behind. Devices check the
fixed name SERVER_NAME, no address, so the gateway may move.
"""

import ipaddress
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge import private_file
from shared.site_ca import NOT_AFTER, KeyPair, certificate_builder, certificate_pem, make_ca, private_key_pem

SERVER_NAME = "gateway.larder"
EARLIEST_NOW = datetime(2026, 1, 1, tzinfo=UTC)
SERVER_LIFETIME = timedelta(days=3650)
RENEW_BEFORE = timedelta(days=90)


class SiteCaError(Exception):
    """The CA's files are incomplete or damaged. Devices pin this CA: a person must restore it or claim them anew."""


class SiteCa:
    """The CA and the gateway's server certificate in one folder, which nobody else may read."""

    def __init__(self, folder: Path, ca: KeyPair) -> None:
        self._folder = folder
        self._ca = ca

    @classmethod
    def open(cls, folder: Path) -> "SiteCa":
        """The CA kept in `folder`; made there if the folder holds none. Raises SiteCaError when it is damaged."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (folder / "ca.pem").exists():
            _write(folder / "ca.pem", make_ca())
        return cls(folder, _read(folder / "ca.pem"))

    @classmethod
    def adopt(cls, folder: Path, key_pem: str, ca_pem: str) -> None:
        """Have `folder` hold this CA from now on; one that was there is put aside. Raises SiteCaError, OSError."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        given = _parsed((key_pem + ca_pem).encode(), "the given CA")
        path = folder / "ca.pem"
        if path.exists():
            if certificate_pem(given) in path.read_text():
                return
            path.replace(path.with_name(f"ca.pem.before-{given.certificate.fingerprint(hashes.SHA256()).hex()[:16]}"))
        _write(path, given)

    @property
    def certificate_pem(self) -> str:
        """What devices pin."""
        return certificate_pem(self._ca)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the CA's certificate (DER), as hex digits."""
        return self._ca.certificate.fingerprint(hashes.SHA256()).hex()

    def server_context(self, now: datetime, names: Sequence[str] = ()) -> ssl.SSLContext:
        """A context for TLS 1.2 and above that serves SERVER_NAME and `names` (DNS names or IP addresses).

        Makes a new server certificate when there is none, when `names` are not covered, or when the present one ends
        within RENEW_BEFORE of `now`. Call it again to renew; devices notice nothing, as they trust the CA.
        """
        path = self._folder / "server.pem"
        if not self._serves(path, {SERVER_NAME, *names}, now):
            _write(path, self._make_server([SERVER_NAME, *names], now))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.load_cert_chain(path)
        return context

    def needs_renewal(self, now: datetime) -> bool:
        """Whether `server_context` would make a new server certificate because of its age."""
        return not self._serves(self._folder / "server.pem", {SERVER_NAME}, now)

    def _serves(self, path: Path, names: set[str], now: datetime) -> bool:
        """Whether the server certificate in `path` is ours, good for a while, and covers `names`.

        A damaged or foreign one is simply replaced: nobody pins it.
        """
        try:
            certificate = _read(path).certificate
            certificate.verify_directly_issued_by(self._ca.certificate)
            covered = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (SiteCaError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return False
        end = certificate.not_valid_after_utc
        return names <= {str(name.value) for name in covered} and (end == NOT_AFTER or now + RENEW_BEFORE < end)

    def _make_server(self, names: Sequence[str], now: datetime) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            certificate_builder(SERVER_NAME, self._ca.certificate.subject, key.public_key())
            .not_valid_after(min(max(now, EARLIEST_NOW) + SERVER_LIFETIME, NOT_AFTER))
            .add_extension(
                x509.SubjectAlternativeName([_general_name(name) for name in dict.fromkeys(names)]), critical=False
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._ca.key.public_key()), critical=False
            )
        )
        return KeyPair(key, builder.sign(self._ca.key, hashes.SHA256()))


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _write(path: Path, pair: KeyPair) -> None:
    """Key and certificate in one file."""
    private_file.write(path, (private_key_pem(pair) + certificate_pem(pair)).encode())


def _read(path: Path) -> KeyPair:
    """Raises SiteCaError when the file is missing or does not hold a key and its certificate."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SiteCaError(f"{path.name} is missing or damaged") from error
    return _parsed(data, path.name)


def _parsed(data: bytes, name: str) -> KeyPair:
    """Raises SiteCaError."""
    try:
        key = serialization.load_pem_private_key(data, password=None)
        certificate = x509.load_pem_x509_certificate(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SiteCaError(f"{name} is missing or damaged") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise SiteCaError(f"{name}: the key does not belong to the certificate")
    return KeyPair(key, certificate)
