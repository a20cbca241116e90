"""A tenant to show and to test with: one site, a free and a cash machine, all slots filled."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from cloud.auth import service as auth
from cloud.auth.invitations import create_user
from cloud.auth.keys import create_key
from cloud.auth.members import Standing, join
from cloud.auth.passwords import Passwords
from cloud.auth.rules import new_secret
from cloud.callers import system
from cloud.catalog import service as catalog
from cloud.clock import Clock, new_id
from cloud.database import Database, Row, Transaction
from cloud.devices import service as devices
from cloud.inventory import service as inventory
from cloud.onboarding import service as onboarding
from cloud.permissions import Permission, Role
from shared.catalog import PlanogramSlot
from shared.contract import Rail
from shared.inventory import Reason

TENANT_ID = UUID("0190a000-0000-7000-8000-00000000de10")
EMAIL = "admin@larder.example"
ACTOR = system("seed-demo")
OPENING, CAPACITY, PAR_LEVEL = 10, 12, 4
API_KEY_LIFE = timedelta(days=365)

SNACKS = (
    ("Salted Peanuts 50 g", 2500),
    ("Masala Cashews 40 g", 6000),
    ("Potato Chips Classic 52 g", 2000),
    ("Oat Biscuits 75 g", 3000),
    ("Dark Chocolate 40 g", 8500),
    ("Date & Nut Bar 35 g", 4500),
)
DRINKS = (
    ("Still Water 500 ml", 2000),
    ("Sparkling Water 330 ml", 3500),
    ("Mango Drink 200 ml", 2500),
    ("Lemon Iced Tea 250 ml", 4000),
    ("Cold Coffee 200 ml", 5500),
    ("Tender Coconut Water 200 ml", 6000),
)

_DEVICES = """
    SELECT m.site_id, m.id AS machine_id, m.name, m.rail, d.id AS device_id
    FROM machines m JOIN devices d ON d.tenant_id = m.tenant_id AND d.machine_id = m.id ORDER BY m.id
"""


@dataclass(frozen=True)
class SeededMachine:
    """A machine with its one device; the code is for the device's first contact."""

    name: str
    rail: str
    machine_id: str
    device_id: str
    device_claim_code: str


@dataclass(frozen=True)
class Seeded:
    """What the demo has to know. Holds secrets that are shown this once."""

    tenant_id: str
    site_id: str
    gateway_id: str
    gateway_claim_code: str
    api_key: str
    email: str
    password: str
    """Of somebody who may do all but what asks for a second factor."""
    machines: tuple[SeededMachine, ...]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


async def seed(database: Database, clock: Clock, *, renew: bool = False) -> Seeded | None:
    """Make the demo's tenant. When it stands already: None, or with `renew` fresh codes and a fresh API key for it."""
    now, password = clock.now(), new_secret()
    hashed = await Passwords().hash(password)

    async def work(transaction: Transaction) -> Seeded | None:
        await transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", str(TENANT_ID))
        if not await transaction.fetch_one("SELECT 1 FROM tenants"):
            machines = await _make(transaction, now)
        elif renew:
            rows = await transaction.fetch(_DEVICES)
            machines = [await _renewed_machine(transaction, row, now) for row in rows]
        else:
            return None
        await _let_in(transaction, hashed, now)
        return await _seeded(transaction, machines, password, now)

    return await database.unit("demo.seed", work, tenant_id=TENANT_ID)


async def _let_in(transaction: Transaction, password_hash: str, now: datetime) -> None:
    """The demo's user, with a new password."""
    await transaction.show_address(EMAIL)
    found = await transaction.fetch_one("SELECT id FROM users WHERE email_key = $1", EMAIL)
    if found is None:
        user_id = new_id()
        await create_user(transaction, user_id, EMAIL, "Demo Admin", password_hash, now)
        await join(transaction, TENANT_ID, user_id, "Demo Admin", Standing(Role.ADMIN, (), ()), now)
        return
    await transaction.become_person(found["id"])
    await transaction.execute("UPDATE user_secrets SET password_hash = $1, changed_at = $2", password_hash, now)


async def _seeded(transaction: Transaction, machines: Sequence[SeededMachine], password: str, now: datetime) -> Seeded:
    (gateway,) = await auth.positions(transaction)
    code = await onboarding.issue_claim_code(transaction, ACTOR, TENANT_ID, gateway.gateway_id, now)
    key = await create_key(transaction, TENANT_ID, ACTOR, "demo", sorted(Permission), now, API_KEY_LIFE)
    return Seeded(
        tenant_id=str(TENANT_ID),
        site_id=str(gateway.site_id),
        gateway_id=str(gateway.gateway_id),
        gateway_claim_code=code,
        api_key=key.secret,
        email=EMAIL,
        password=password,
        machines=tuple(machines),
    )


async def _renewed_machine(transaction: Transaction, row: Row, now: datetime) -> SeededMachine:
    code = await devices.renew_claim_code(transaction, row["site_id"], row["device_id"], now)
    return SeededMachine(row["name"], row["rail"], str(row["machine_id"]), str(row["device_id"]), code)


async def _make(transaction: Transaction, now: datetime) -> list[SeededMachine]:
    await onboarding.create_tenant(transaction, ACTOR, TENANT_ID, "Demo Vending")
    site_id = await onboarding.create_site(TENANT_ID, "Demo Street", "INR")
    await onboarding.create_gateway(TENANT_ID, site_id, "Demo Street gateway")
    return [
        await _machine(transaction, site_id, "Snacks", Rail.FREE, SNACKS, now),
        await _machine(transaction, site_id, "Drinks", Rail.CASH, DRINKS, now),
    ]


async def _machine(
    transaction: Transaction, site_id: UUID, name: str, rail: Rail, goods: tuple[tuple[str, int], ...], now: datetime
) -> SeededMachine:
    machine_id = await catalog.create_machine(transaction, TENANT_ID, site_id, name, rail)
    device_id, code = await devices.expect_device(transaction, TENANT_ID, site_id, machine_id, f"{name} board", now)
    slots = [
        PlanogramSlot(
            slot=f"A{number}",
            product_id=await catalog.create_product(TENANT_ID, product),
            device_id=device_id,
            price_minor=price,
            capacity=CAPACITY,
            par_level=PAR_LEVEL,
        )
        for number, (product, price) in enumerate(goods, 1)
    ]
    await catalog.publish_planogram(transaction, TENANT_ID, machine_id, now, slots)
    opening = [(slot.slot, OPENING, Reason.OPENING) for slot in slots]
    await inventory.instruct(transaction, TENANT_ID, site_id, machine_id, opening)
    return SeededMachine(name, rail.value, str(machine_id), str(device_id), code)
