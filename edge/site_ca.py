"""The site's own certificate authority: made once by the gateway, pinned by its devices.

Keys are ECDSA P-256. Validity begins in 1970 and its end never depends on a clock that is behind: a gateway or device
may boot in 1970 and must still talk. Devices check the fixed name SERVER_NAME, no address, so the gateway may move.
"""

import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER_NAME = "gateway.larder"
NOT_BEFORE = datetime(1970, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2049, 12, 31, tzinfo=UTC)
EARLIEST_NOW = datetime(2026, 1, 1, tzinfo=UTC)
SERVER_LIFETIME = timedelta(days=3650)
RENEW_BEFORE = timedelta(days=90)


class SiteCaError(Exception):
    """The CA's files are incomplete or damaged. Devices pin this CA: a person must restore it or claim them anew."""


@dataclass(frozen=True, slots=True)
class _Signed:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


class SiteCa:
    """The CA and the gateway's server certificate in one folder, which nobody else may read."""

    def __init__(self, folder: Path, ca: _Signed) -> None:
        self._folder = folder
        self._ca = ca

    @classmethod
    def open(cls, folder: Path) -> "SiteCa":
        """The CA kept in `folder`; made there if the folder holds none. Raises SiteCaError when it is damaged."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (folder / "ca.pem").exists():
            _write(folder / "ca.pem", _make_ca())
        return cls(folder, _read(folder / "ca.pem"))

    @property
    def certificate_pem(self) -> str:
        """What devices pin."""
        return _pem(self._ca.certificate).decode()

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

    def _make_server(self, names: Sequence[str], now: datetime) -> _Signed:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(SERVER_NAME, self._ca.certificate.subject, key.public_key())
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
        return _Signed(key, builder.sign(self._ca.key, hashes.SHA256()))


def _make_ca() -> _Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder("Larder site CA", _name("Larder site CA"), key.public_key())
        .not_valid_after(NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _Signed(key, builder.sign(key, hashes.SHA256()))


def _builder(subject: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(issuer).public_key(key)
    return builder.serial_number(x509.random_serial_number()).not_valid_before(NOT_BEFORE)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, signed: _Signed) -> None:
    """Key and certificate in one file, replaced as a whole and readable by its owner only."""
    key = signed.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - born 0600
        file.write(key + _pem(signed.certificate))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path) -> _Signed:
    """Raises SiteCaError when the file is missing or does not hold a key and its certificate."""
    try:
        data = path.read_bytes()
        key = serialization.load_pem_private_key(data, password=None)
        certificate = x509.load_pem_x509_certificate(data)
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise SiteCaError(f"{path.name} is missing or damaged") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise SiteCaError(f"{path.name}: the key does not belong to the certificate")
    return _Signed(key, certificate)
