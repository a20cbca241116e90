"""Bundles as the cloud makes them, of whatever a test has in mind."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge.clock import Clock, new_id
from shared.bundles import FILE_ENDING, BundlePlace, SignedBundle, SiteBundle, sealed
from shared.contract import Message
from shared.signed import signed_bytes
from shared.site_ca import certificate_pem, make_ca, private_key_pem
from tests.fakes.cloud import CODE

PASSPHRASE = "0000-1111-2222-3333-4444"


class BundleMaker:
    """With a key of its own."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public_key = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    def bundle(self, changes: Sequence[dict[str, Any]] = (), **others: Any) -> SiteBundle:
        """For a gateway that nobody knows, unless a test says which."""
        ca, now = make_ca(), Clock().now()
        ids = {name: new_id() for name in ("gateway_id", "tenant_id", "site_id")}
        known: dict[str, Any] = {
            "bundle_id": new_id(),
            "made_at": now,
            "cloud_url": "http://127.0.0.1:9",
            "place": BundlePlace(**ids, site_name="Pune Station", currency="INR"),
            "claim_code": CODE,
            "claim_expires_at": now + timedelta(days=30),
            "ca_key_pem": private_key_pem(ca),
            "ca_pem": certificate_pem(ca),
            "changes": tuple(changes),
        }
        return SiteBundle(**(known | others))

    def signed(self, bundle: SiteBundle, purpose: Literal["report", "bundle"] = "bundle") -> SignedBundle:
        text = bundle.to_line().decode()
        signature = self._key.sign(signed_bytes(purpose, text)).hex()
        return SignedBundle(text=text, public_key=self.public_key, signature=signature)

    def file(self, bundle: SiteBundle, passphrase: str = PASSPHRASE) -> bytes:
        return sealed(self.signed(bundle), passphrase)

    def on_stick(self, folder: Path, bundle: SiteBundle) -> Path:
        """Where it lies on the stick that is mounted at this folder."""
        folder.mkdir(exist_ok=True)
        path = folder / f"site{FILE_ENDING}"
        path.write_bytes(self.file(bundle))
        return path


def as_changes(messages: Sequence[Message]) -> tuple[dict[str, Any], ...]:
    return tuple(message.model_dump(mode="json") for message in messages)
