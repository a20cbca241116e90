"""The gateway's key, its claim, and the tokens it signs."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from structlog.testing import capture_logs

from edge.clock import Clock, new_id
from edge.identity import GatewayIdentity, NotClaimed
from shared.onboarding import GatewayClaimed


class HeldClock(Clock):
    """A clock that moves when told."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


def a_claim(clock: Clock) -> GatewayClaimed:
    return GatewayClaimed(
        gateway_id=new_id(),
        tenant_id=new_id(),
        site_id=new_id(),
        site_name="Hall",
        currency="INR",
        server_time=clock.now(),
    )


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    first = GatewayIdentity(tmp_path, Clock())
    again = GatewayIdentity(tmp_path, Clock())
    assert first.public_key == again.public_key
    assert len(bytes.fromhex(first.public_key)) == 32
    assert (tmp_path / "gateway.key").stat().st_mode & 0o777 == 0o600


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    GatewayIdentity(tmp_path / "identity", Clock())
    assert (tmp_path / "identity").stat().st_mode & 0o777 == 0o700


def test_a_lost_key_is_told(tmp_path: Path) -> None:
    """A claimed gateway with a fresh key is refused by the cloud: whoever wonders why must find it in the log."""
    with capture_logs() as first:
        before = GatewayIdentity(tmp_path, Clock())
    before.keep(a_claim(Clock()))
    (tmp_path / "gateway.key").unlink()
    with capture_logs() as later:
        after = GatewayIdentity(tmp_path, Clock())
    assert after.public_key != before.public_key
    assert [entry["event"] for entry in first + later] == ["gateway_key_missing"]


def test_the_claim_survives_a_lost_ledger(tmp_path: Path) -> None:
    clock = Clock()
    claim = a_claim(clock)
    GatewayIdentity(tmp_path, clock).keep(claim)
    (tmp_path / "ledger.db").unlink(missing_ok=True)
    assert GatewayIdentity(tmp_path, clock).claim == claim
    assert (tmp_path / "identity.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 300, b'{"gateway_id": 1}'])
def test_damaged_files_are_put_aside(tmp_path: Path, content: bytes) -> None:
    before = GatewayIdentity(tmp_path, Clock()).public_key
    for name in ("gateway.key", "identity.json"):
        (tmp_path / name).write_bytes(content)
    after = GatewayIdentity(tmp_path, Clock())
    assert after.claim is None
    assert after.public_key != before
    assert len(list(tmp_path.glob("*.damaged-*"))) == 2


def test_a_key_of_another_kind_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "gateway.key").write_bytes(OKPKey.generate_key("X25519").as_pem(private=True))
    GatewayIdentity(tmp_path, Clock())
    assert len(list(tmp_path.glob("gateway.key.damaged-*"))) == 1


def test_tokens_say_who_for_whom_and_how_long(tmp_path: Path) -> None:
    clock = Clock()
    identity = GatewayIdentity(tmp_path, clock)
    claim = a_claim(clock)
    identity.keep(claim)
    key = OKPKey.import_key((tmp_path / "gateway.key").read_bytes())
    token = jwt.decode(identity.token(), key, algorithms=["Ed25519"])
    assert token.header["kid"] == key.thumbprint()
    assert token.claims["iss"] == str(claim.gateway_id)
    assert token.claims["tenant"] == str(claim.tenant_id)
    assert token.claims["aud"] == "larder-cloud"
    assert 0 < token.claims["exp"] - token.claims["iat"] <= 300
    assert UUID(token.claims["jti"]).version == 7


def test_a_token_is_used_again_until_its_last_minute(tmp_path: Path) -> None:
    clock = HeldClock()
    identity = GatewayIdentity(tmp_path, clock)
    identity.keep(a_claim(clock))
    first = identity.token()
    clock.seconds += 239
    assert identity.token() == first
    clock.seconds += 2
    assert identity.token() != first


def test_a_token_follows_what_the_cloud_said_of_the_time(tmp_path: Path) -> None:
    clock = Clock()
    identity = GatewayIdentity(tmp_path, clock)
    identity.keep(a_claim(clock))
    clock.learn(clock.now() + timedelta(days=3650), 0)
    identity.forget_token()
    key = OKPKey.import_key((tmp_path / "gateway.key").read_bytes())
    issued = jwt.decode(identity.token(), key, algorithms=["Ed25519"]).claims["iat"]
    assert abs(issued - clock.now().timestamp()) < 5


def test_nothing_is_signed_before_the_claim(tmp_path: Path) -> None:
    with pytest.raises(NotClaimed):
        GatewayIdentity(tmp_path, Clock()).token()
