"""How the CA of a site is made: once, by its gateway, or with the bundle that a gateway starts from (bundles.py).

Its key is ECDSA P-256. It is valid from 1970 on, since a gateway or device may boot in 1970 and must still talk.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOT_BEFORE = datetime(1970, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2049, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key and the certificate over its public half."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def make_ca() -> KeyPair:
    """A new CA that can sign the certificates of one site's servers, and no other CA."""
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
        certificate_builder("Larder site CA", common_name("Larder site CA"), key.public_key())
        .not_valid_after(NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return KeyPair(key, builder.sign(key, hashes.SHA256()))


def certificate_builder(subject: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    """A certificate as all of a site begin."""
    builder = x509.CertificateBuilder().subject_name(common_name(subject)).issuer_name(issuer).public_key(key)
    return builder.serial_number(x509.random_serial_number()).not_valid_before(NOT_BEFORE)


def common_name(text: str) -> x509.Name:
    """A name that has nothing but this."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate_pem(pair: KeyPair) -> str:
    """What devices pin."""
    return pair.certificate.public_bytes(serialization.Encoding.PEM).decode()


def private_key_pem(pair: KeyPair) -> str:
    """PKCS #8, not encrypted."""
    plain = serialization.NoEncryption()
    return pair.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()
