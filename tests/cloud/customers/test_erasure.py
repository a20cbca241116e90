"""How people are forgotten: on request, by the clock, once more after a backup; and how the index gets another key."""

import argparse
import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from cloud import sources
from cloud.callers import Actor, ActorKind, Operator
from cloud.clock import Clock
from cloud.commands import vault
from cloud.commands.erasures import COMMANDS
from cloud.customers.service import CustomerService, PhoneSearch
from cloud.database import Transaction, credentials
from cloud.encryption.rotation import INDEXING, Rotation
from cloud.erasure.service import Eraser
from cloud.errors import SettingsError, Unproven
from cloud.jobs import Keeper
from cloud.permissions import Permission
from cloud.settings import Settings
from tests.cloud.auth.conftest import admin, office  # noqa: F401  fixtures
from tests.cloud.conftest import Server
from tests.cloud.customers.conftest import NOTE, PERSONAL, PHONE, Desk
from tests.cloud.customers.test_customers import everywhere
from tests.fakes.cloud_people import Office, PersonAtCloud
from tests.fakes.encryption_keys import keyring, settings


class ClockAhead(Clock):
    """So many days."""

    def __init__(self, days: float) -> None:
        self._ahead = timedelta(days=days)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead


async def emptied(desk: Desk, customer_id: UUID, because: str) -> None:
    told = await desk.told("GET", f"/{customer_id}")
    assert (told["name"], told["phone"], told["upi_address"], told["erased_because"]) == (None, None, None, because)
    assert await desk.world.rows("SELECT 1 FROM customer_notes WHERE customer_id = $1", customer_id) == []
    assert await desk.world.rows("SELECT 1 FROM customer_orders WHERE customer_id = $1", customer_id) == []


@pytest.mark.criterion("1.3")
async def test_on_request_a_person_goes_and_the_money_stays(desk: Desk, server: Server) -> None:
    customer_id, order_id = await desk.customer(), await desk.order()
    await desk.ask("POST", f"/{customer_id}/notes", 201, json={"text": NOTE, "order_id": str(order_id)})
    orders = await desk.world.rows("SELECT * FROM orders")
    await desk.ask("DELETE", f"/{customer_id}", 204)
    await emptied(desk, customer_id, "request")
    assert await desk.world.rows("SELECT * FROM orders") == orders
    (told, *_) = before = await desk.audited(customer_id)
    assert (told["action"], told["before"], told["after"]) == ("customer_erased", None, {"because": "request"})
    await desk.ask("DELETE", f"/{customer_id}", 204)
    assert await desk.audited(customer_id) == before, "a second time there is nothing to erase"
    await desk.ask("POST", f"/{customer_id}/notes", 409, json={"text": "again"})
    (line,) = (await desk.told("GET", "?erased=true"))["customers"]
    assert line["customer_id"] == str(customer_id)
    kept = await everywhere(server, desk.world.url)
    assert [(table, word) for table, text in kept.items() for word in PERSONAL if word in text] == []
    assert await desk.found(PHONE) == []
    assert await desk.customer() != customer_id


@pytest.mark.criterion("1.3")
async def test_whom_nobody_has_heard_of_for_long_goes_by_itself(desk: Desk) -> None:
    first, second = await desk.customer(), await desk.customer("98200 54321")
    await desk.world.rows("UPDATE customers SET last_contact_at = now() - interval '20 days' WHERE id = $1", first)
    assert await Eraser(desk.world.database, ClockAhead(344)).erase_outlived() == 0
    assert await Eraser(desk.world.database, ClockAhead(346)).erase_outlived() == 1
    await emptied(desk, first, "retention")
    (told, *_) = [row for row in await desk.audited(first) if row["action"] == "customer_erased"]
    assert told["actor"]["name"] == "retention"
    await desk.ask("PUT", "/settings", 200, json={"keep_days": 10})
    assert await Eraser(desk.world.database, ClockAhead(9)).erase_outlived() == 0
    assert await Eraser(desk.world.database, ClockAhead(11)).erase_outlived() == 1
    await emptied(desk, second, "retention")
    assert await Eraser(desk.world.database, ClockAhead(11)).erase_outlived() == 0


@pytest.mark.criterion("1.3")
async def test_in_a_restored_backup_they_go_once_more(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (erasures,) = COMMANDS
    configured = Settings(database_url=desk.world.url)
    file = tmp_path / "erased"

    async def run(what: str) -> str:
        capsys.readouterr()
        await erasures.run(configured, argparse.Namespace(of_erasures=what, file=file))
        return capsys.readouterr().out

    gone, here = await desk.customer(), await desk.customer("98200 54321")
    (backup,) = await desk.world.rows("SELECT name, phone, phone_index FROM customers WHERE id = $1", gone)
    await desk.ask("DELETE", f"/{gone}", 204)
    line = await run("list")
    restore = """
        UPDATE customers SET erased_at = NULL, erased_because = NULL, name = $2, phone = $3, phone_index = $4
        WHERE id = $1
    """
    await desk.world.rows(restore, gone, *backup.values())
    assert len(await desk.found(PHONE)) == 1
    file.write_text(line + line.replace(str(gone), str(uuid4())))
    assert await run("apply") == "1 of 2 were there again, and are erased\n"
    await emptied(desk, gone, "request")
    assert (await desk.told("GET", f"/{here}"))["erased_at"] is None
    file.write_text(line + "{}\n")
    with pytest.raises(Unproven, match="line 2"):
        await run("apply")


@pytest.mark.criterion("10.3")
async def test_people_are_found_while_the_index_gets_another_key(desk: Desk) -> None:
    """And nobody is made twice; a key that rows still need may not be taken away."""
    phones = [f"+9198200{number:05}" for number in range(12)]
    for phone in phones:
        await desk.customer(phone)
    both = keyring(indexes=("new", "blind index"))
    operator = Operator(desk.world.tenant_id, Actor(ActorKind.SYSTEM, uuid4(), "x"), frozenset(Permission))
    done, looks = asyncio.Event(), 0

    async def search(keys: tuple[str, ...], phone: str) -> int:
        async def work(transaction: Transaction) -> int:
            customers = CustomerService(keyring(indexes=keys), Clock())
            return len((await customers.search(transaction, operator, PhoneSearch(phone=phone))).customers)

        return await desk.world.do(work)

    async def keep_searching() -> None:
        nonlocal looks
        while not done.is_set() or looks < len(phones):
            assert await search(("new", "blind index"), phones[looks % len(phones)]) == 1
            looks += 1

    await Rotation(desk.world.database, keyring(), INDEXING).begin()
    reading = asyncio.create_task(keep_searching(), name="searching")
    rotation = Rotation(desk.world.database, both, INDEXING)
    await rotation.begin()
    with pytest.raises(SettingsError, match="BLIND_INDEX_KEY lacks blind-index, which 12 values"):
        await Rotation(desk.world.database, keyring(indexes=("new",)), INDEXING).begin()
    rotated = await rotation.rotate(1, lambda _: None)
    done.set()
    await reading
    assert (rotated.changed, rotated.unreadable) == (12, 0)
    assert [(use.key, use.values) for use in await rotation.counts()] == [("new", 12)]
    await Rotation(desk.world.database, keyring(indexes=("new",)), INDEXING).begin()
    assert [await search(("new",), phone) for phone in phones] == [1] * 12


@pytest.mark.criterion("10.3")
async def test_the_command_rotates_index_keys_with_the_others(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    await desk.customer()
    given = settings("test", indexes=("new", "blind index")) | {"LARDER_CLOUD_DATABASE_URL": desk.world.url}
    (keys,) = [command for command in vault.COMMANDS if command.name == "keys"]
    capsys.readouterr()
    await keys.run(sources.load(given).settings, argparse.Namespace(of_keys="rotate", batch=500))
    told = capsys.readouterr().out.splitlines()
    assert "1 of 1 values, 100 %" in told
    assert told[-2:] == [
        "customers.phone_index: new: 1 values",
        "100 % have the newest index key new: any other index key may be removed",
    ]
    assert len(await desk.found(PHONE)) == 0, "an instance that was not restarted has not heard of the new key"


@pytest.mark.criterion("1.3")
async def test_who_belongs_to_nobody_any_more_goes_after_thirty_days(
    desk: Desk,
    office: Office,  # noqa: F811
    admin: PersonAtCloud,  # noqa: F811
    owner_url: str,
) -> None:
    world = desk.world
    gone = await office.with_second_factor(await office.invited(admin, "gus@staff.example", "viewer"))
    invited = await admin.ask("POST", "/v1/invitations", json={"email": "ivy@staff.example", "role": "viewer"})
    (user,) = await world.rows("SELECT id FROM users WHERE email = $1", gone.email)
    keeper = Keeper(world.database, Clock())
    assert await keeper.forget_former_people() == 0
    assert (await admin.ask("DELETE", f"/v1/users/{user['id']}")).status_code == 200
    assert await keeper.forget_former_people() == 1
    owner = await asyncpg.connect(**credentials(owner_url))
    async with owner.transaction():
        await owner.execute("SELECT begin_keeping()")
        await owner.execute("UPDATE users SET alone_since = now() - interval '31 days' WHERE alone_since IS NOT NULL")
    assert await keeper.forget_former_people() == 1
    assert (await gone.sign_in()).status_code == 401
    await world.rows("UPDATE invitations SET expires_at = now() - interval '31 days' WHERE accepted_at IS NULL")
    assert invited.status_code == 201
    assert await keeper.forget_former_people() == 1
    left = await world.rows("SELECT email FROM invitations")
    assert [row["email"] for row in left] == [gone.email], "accepted a moment ago"
    assert await keeper.forget_former_people() == 0
    await owner.close()
