"""The first contact: once, safely repeated, refused for good or tried again."""

import asyncio
from pathlib import Path

import pytest

from edge.clock import Clock
from edge.identity import GatewayIdentity
from edge.settings import Settings
from shared.errors import Code
from tests.fakes.cloud import FakeCloud
from tests.fakes.sync_gateway import SyncGateway
from tests.fakes.until import until


async def test_a_gateway_claims_itself_once(gateway: SyncGateway, cloud: FakeCloud) -> None:
    await gateway.agent.claim()
    await gateway.agent.claim()
    assert cloud.requests == ["POST /v1/claim"]
    assert gateway.identity.claim is not None
    assert gateway.identity.claim.gateway_id == cloud.gateway_id
    assert cloud.public_key == gateway.identity.public_key


async def test_a_lost_answer_is_asked_for_again(gateway: SyncGateway, cloud: FakeCloud, settings: Settings) -> None:
    """The cloud registered the key, the gateway never heard: the same code and key give the same answer."""
    cloud.public_key = gateway.identity.public_key
    await gateway.agent.claim()
    assert GatewayIdentity(settings.state_dir, Clock()).claim == gateway.identity.claim


@pytest.mark.parametrize("code", [Code.CLAIM_CODE_EXPIRED, Code.CLAIM_CODE_USED, Code.CLAIM_CODE_UNKNOWN])
async def test_a_refused_code_is_not_tried_again_but_a_new_one_is(
    cloud: FakeCloud, settings: Settings, tmp_path: Path, code: Code
) -> None:
    file = tmp_path / "claim-code"
    file.write_text("an-old-claim-code-0123456789abcdef")
    cloud.refuse_claim = code
    gateway = SyncGateway(settings.model_copy(update={"claim_code_file": file}), Clock())
    await gateway.open()
    claiming = asyncio.create_task(gateway.agent.claim())
    await until(lambda: code in gateway.agent.status.last_error)
    await asyncio.sleep(0.3)
    assert cloud.requests == ["POST /v1/claim"]
    cloud.refuse_claim = None
    file.write_text(cloud.code)
    await claiming
    assert cloud.requests == ["POST /v1/claim"] * 2
    await gateway.close()


async def test_a_gateway_waits_for_a_cloud_that_is_not_there(settings: Settings) -> None:
    gateway = SyncGateway(settings.model_copy(update={"cloud_url": "http://127.0.0.1:9"}), Clock())
    await gateway.open()
    claiming = asyncio.create_task(gateway.agent.claim())
    await until(lambda: "ConnectError" in gateway.agent.status.last_error)
    assert not claiming.done()
    claiming.cancel()
    await asyncio.gather(claiming, return_exceptions=True)
    await gateway.close()
