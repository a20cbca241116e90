"""A second tenant with one of everything, whose rows nobody else may see or touch."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from cloud.auth.keys import create_key
from cloud.callers import system
from cloud.catalog import service as catalog
from cloud.clock import Clock, new_id
from cloud.database import Transaction
from cloud.devices import service as devices
from cloud.inventory import service as inventory
from cloud.onboarding import service as onboarding
from cloud.permissions import Permission
from shared.catalog import PlanogramSlot
from shared.contract import Rail
from shared.inventory import Reason
from tests.cloud.conftest import World, claim
from tests.fakes.gateway_client import GatewayClient, Slot

COUNTS = {"capacity": 5, "par_level": 1}
RIVALS_CUSTOMER = "+919820012345"
_WEBHOOK = """
    INSERT INTO webhook_endpoints
            (tenant_id, id, url, description, events, state, disabled_because, secret, since, created_at)
        VALUES ($1, uuidv7(), 'https://rival.example/in', 'Rival hook', '{order.placed}', 'disabled', 'asked',
            'test.gAAAA', $2, $2);
    INSERT INTO webhook_events (tenant_id, id, type, body, created_at) VALUES ($1, uuidv7(), 'ping', 'Rival event', $2);
    INSERT INTO webhook_deliveries (tenant_id, id, endpoint_id, event_id, type, state, next_at, created_at)
        SELECT $1, uuidv7(), e.id, v.id, v.type, 'dead', $2, $2 FROM webhook_endpoints e, webhook_events v
"""


@dataclass
class Rival:
    """A second tenant with one of everything."""

    tenant_id: UUID
    headers: dict[str, str]
    gateway: GatewayClient
    slot: Slot
    order_id: UUID


async def _found(world: World, tenant_id: UUID) -> tuple[str, str, Slot]:
    now = Clock().now()

    async def work(transaction: Transaction) -> tuple[str, str, Slot]:
        await onboarding.create_tenant(transaction, system("test"), tenant_id, "Rival")
        site_id = await onboarding.create_site(tenant_id, "Rival Street", "EUR")
        gateway_id = await onboarding.create_gateway(tenant_id, site_id, "Rival gateway")
        code = await onboarding.issue_claim_code(transaction, system("test"), tenant_id, gateway_id, now)
        machine_id = await catalog.create_machine(transaction, tenant_id, site_id, "Rival machine", Rail.FREE)
        device_id, _ = await devices.expect_device(transaction, tenant_id, site_id, machine_id, "Rival board", now)
        product_id = await catalog.create_product(tenant_id, "Rival product")
        content = PlanogramSlot(
            slot="B1", product_id=product_id, device_id=device_id, price_minor=100, capacity=5, par_level=1
        )
        await catalog.publish_planogram(transaction, tenant_id, machine_id, now, [content])
        await inventory.instruct(transaction, tenant_id, site_id, machine_id, [("B1", 5, Reason.OPENING)])
        key = await create_key(
            transaction, tenant_id, system("test"), "rival", sorted(Permission), now, timedelta(days=1)
        )
        for statement in _WEBHOOK.split(";"):
            await transaction.execute(statement, tenant_id, now)
        return code, key.secret, Slot(machine_id, device_id, product_id, "B1", 100)

    return await world.database.unit("test", work, tenant_id=tenant_id)


async def rival_of(world: World) -> Rival:
    """The tenant, with a claimed gateway that has sold one product."""
    tenant_id = new_id()
    code, key, slot = await _found(world, tenant_id)
    gateway = GatewayClient()
    await claim(world.client, gateway, code)
    gateway.move(slot, 5, Reason.OPENING)
    order_id = gateway.sell(slot)
    answer = await world.client.post("/v1/sync/facts", data=gateway.packed(), headers=gateway.headers())
    assert answer.status_code == 200
    headers = {"Authorization": f"Bearer {key}"}
    customer = {"phone": RIVALS_CUSTOMER, "name": "Rival customer"}
    once = {"Idempotency-Key": str(new_id())}
    assert (await world.client.post("/v1/customers", json=customer, headers=headers | once)).status_code == 201
    outline = {"slots": [{"slot": "A1", "device": "x", "product_name": "Rival", "price_minor": 1} | COUNTS]}
    for path, wish in {"/v1/setups": {}, "/v1/machine-templates": {"outline": outline}}.items():
        once = {"Idempotency-Key": str(new_id())}
        answer = await world.client.post(path, json={"name": "Rival one"} | wish, headers=headers | once)
        assert answer.status_code == 201
    return Rival(tenant_id, headers, gateway, slot, order_id)
