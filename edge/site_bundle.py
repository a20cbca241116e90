"""First boot without any cloud: the place, the CA and the site's state that a bundle brings (shared/bundles.py).

Once it is opened it lies beside the ledger, and the stick is needed no more. A gateway takes one bundle, once: devices
trust its CA from then on, so another one would lock them out; `claim` takes a new code without another bundle.

Who vouches for it? With `bundle_keys` set, the cloud's signature, whatever else somebody may know. Without, whoever has
the passphrase, which travels on paper while the file travels on the stick: who has both, or a shell here, is believed.
"""

from pathlib import Path

import structlog
from pydantic import SecretStr, ValidationError

from edge import private_file
from edge.errors import SettingsError
from edge.settings import PREFIX, Settings
from edge.site_ca import SiteCa
from shared.bundles import FILE_ENDING, MAX_FILE_BYTES, BundleRefused, SignedBundle, SiteBundle, opened, read
from shared.onboarding import GatewayClaimed

KEPT = "bundle.json"
_FOR_KEYS = f"set {PREFIX}BUNDLE_KEYS to what your cloud's sheet says, or to nothing"

log = structlog.get_logger()


def at_start(settings: Settings, claim: GatewayClaimed | None) -> SiteBundle | None:
    """The bundle this gateway runs on, or None; one that lies where `bundle_file` says is taken if there is none yet.

    A site that sells already is stopped neither by a stick, which is not looked at any more, nor by what became of the
    bundle: its ledger knows all that it sells. Raises SettingsError for the first stick.
    """
    bundle = _kept(settings.state_dir)
    if bundle is None and claim is None and settings.bundle_file is not None:
        bundle = _from_stick(settings, settings.bundle_file)
    if bundle is None or (claim is not None and claim.gateway_id != bundle.place.gateway_id):
        return None
    folder = settings.state_dir / "site-ca"
    if claim is None or not (folder / "ca.pem").exists():
        SiteCa.adopt(folder, bundle.ca_key_pem, bundle.ca_pem)
    return bundle


def with_bundle(settings: Settings, bundle: SiteBundle) -> Settings:
    """The settings as the bundle completes them: its cloud if they name none, its claim code if there is no other.

    Who names another cloud after the bundle was taken has moved it.
    """
    url = settings.cloud_url if "cloud_url" in settings.model_fields_set else bundle.cloud_url.rstrip("/")
    code = settings.claim_code or SecretStr(bundle.claim_code)
    return settings.model_copy(update={"cloud_url": url, "claim_code": code})


def take(settings: Settings, file: Path, passphrase: SecretStr, *, claimed: bool) -> SiteBundle:
    """Open the file and keep what is in it for the next start. The same one again does nothing.

    Raises BundleRefused, SettingsError, OSError.
    """
    bundle = _opened(settings, file, passphrase)
    known = _kept(settings.state_dir)
    if known is not None and known.bundle_id == bundle.bundle_id:
        return bundle
    if claimed or known is not None:
        raise BundleRefused("this gateway has its place already; a new code is enough: larder-gateway claim CODE")
    _assert_same_cloud(settings, bundle)
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    private_file.write(settings.state_dir / KEPT, bundle.to_line())
    log.info("bundle_taken", gateway_id=str(bundle.place.gateway_id), signature_known=bool(settings.bundle_keys))
    return bundle


def kept_in(state_dir: Path) -> SiteBundle | None:
    """The bundle that was taken here, or None. Raises BundleRefused when it is damaged."""
    try:
        return SiteBundle.model_validate_json((state_dir / KEPT).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise BundleRefused(f"{state_dir / KEPT} is damaged") from error


def _kept(state_dir: Path) -> SiteBundle | None:
    """As `kept_in`; None, too, for one that is damaged."""
    try:
        return kept_in(state_dir)
    except BundleRefused as error:
        log.error("bundle_damaged", reason=str(error))
        return None


def _from_stick(settings: Settings, place: Path) -> SiteBundle | None:
    """What lies in `place`, a file or a folder that holds one; None while there is nothing, as before it is mounted."""
    files = sorted(place.glob(f"*{FILE_ENDING}")) if place.is_dir() else [place] if place.is_file() else []
    if not files:
        log.info("no_bundle", place=str(place))
        return None
    name = f"{PREFIX}BUNDLE_FILE"
    if len(files) > 1:
        raise SettingsError(f"{name}: {place} holds {len(files)} bundles; leave the one of this site there")
    if settings.bundle_passphrase is None:
        raise SettingsError(f"{PREFIX}BUNDLE_PASSPHRASE is missing: it stands on the sheet of {files[0]}")
    try:
        return take(settings, files[0], settings.bundle_passphrase, claimed=False)
    except BundleRefused as error:
        raise SettingsError(f"{name}: {files[0]} cannot be used: {error}") from error
    except OSError as error:
        raise SettingsError(f"{name}: {files[0]}: {error.strerror}") from error


def _opened(settings: Settings, file: Path, passphrase: SecretStr) -> SiteBundle:
    if file.stat().st_size > MAX_FILE_BYTES:
        raise BundleRefused("it is too large")
    signed = opened(file.read_bytes(), passphrase.get_secret_value())
    _assert_trusted(settings, signed)
    return read(signed)


def _assert_trusted(settings: Settings, signed: SignedBundle) -> None:
    if settings.bundle_keys and signed.public_key not in settings.bundle_keys:
        raise BundleRefused(
            f"it is signed by {signed.public_key}, whom this gateway was not told to believe; {_FOR_KEYS}"
        )


def _assert_same_cloud(settings: Settings, bundle: SiteBundle) -> None:
    if "cloud_url" in settings.model_fields_set and settings.cloud_url != bundle.cloud_url.rstrip("/"):
        raise SettingsError(f"cloud_url is {settings.cloud_url}, and the bundle is of {bundle.cloud_url}: take it out")
