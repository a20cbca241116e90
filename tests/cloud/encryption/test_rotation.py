"""Going over to a new key, with the service at work, killed in the middle, and with keys that are missing."""

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from cloud.auth.invitations import create_user
from cloud.clock import new_id
from cloud.database import Database, Transaction, credentials
from cloud.encryption import progress
from cloud.encryption.columns import ENCRYPTED, INSTRUCTION_PIN, TOTP_SEED
from cloud.encryption.rotation import NOT_ENCRYPTED, Rotated, Rotation
from cloud.errors import Undecipherable
from tests.cloud.conftest import World
from tests.fakes.encryption_keys import keyring, settings

ADD = """
    INSERT INTO device_instructions
        (tenant_id, id, device_id, idempotency_key, action, slot, pin, asked_by, asked_at, expires_at)
    SELECT d.tenant_id, $1, d.id, $1, 'jog', 'A1', $2, k.id, now(), now() + interval '1 hour'
    FROM devices d, api_keys k LIMIT 1
"""


def told(_: Rotated) -> None:
    pass


async def pins(world: World, *names: str, count: int = 10) -> dict[UUID, str]:
    """Instructions whose PINs are encrypted with the first of these keys."""
    made = {new_id(): f"{1000 + number}" for number in range(count)}

    async def work(transaction: Transaction) -> None:
        for row, pin in made.items():
            kept = INSTRUCTION_PIN.seal(keyring(*names), (world.tenant_id, row), pin)
            await transaction.execute(ADD, row, kept)

    await world.do(work)
    return made


async def read(world: World, *names: str) -> dict[UUID, str]:
    rows = await world.rows("SELECT id, pin FROM device_instructions WHERE pin IS NOT NULL")
    return {row["id"]: INSTRUCTION_PIN.open(keyring(*names), (world.tenant_id, row["id"]), row["pin"]) for row in rows}


async def counts(world: World, *names: str) -> dict[str, int]:
    return {use.key: use.values for use in await Rotation(world.database, keyring(*names)).counts()}


@pytest.mark.criterion("10.3")
async def test_all_values_have_the_newest_key_afterwards(world: World) -> None:
    made = await pins(world, "old")
    seen: list[int] = []
    rotated = await Rotation(world.database, keyring("new", "old")).rotate(3, lambda done: seen.append(done.seen))
    assert (rotated.changed, rotated.unreadable, seen) == (10, 0, [3, 6, 9, 10])
    assert await counts(world, "new", "old") == {"new": 10}
    assert await read(world, "new") == made


@pytest.mark.criterion("10.3")
async def test_what_is_read_and_written_meanwhile_is_not_lost(world: World) -> None:
    made = await pins(world, "old", count=60)
    both = keyring("new", "old")
    done = asyncio.Event()

    async def write() -> None:
        """Others give some rows another PIN, take it from others, and add new ones, with either key."""
        ids = list(made)
        for number, row in enumerate(ids[:40]):
            if number % 2:
                made[row] = f"{2000 + number}"
                kept = INSTRUCTION_PIN.seal(both, (world.tenant_id, row), made[row])
                await world.rows("UPDATE device_instructions SET pin = $2 WHERE id = $1", row, kept)
            else:
                del made[row]
                await world.rows("UPDATE device_instructions SET pin = NULL WHERE id = $1", row)
            made.update(await pins(world, "new" if number % 3 else "old", count=1))

    async def keep_reading() -> None:
        while not done.is_set():
            await read(world, "new", "old")  # raises if any cannot be read

    reading = asyncio.create_task(keep_reading(), name="reading")
    rotation = Rotation(world.database, both)
    await asyncio.gather(write(), rotation.rotate(1, told))
    done.set()
    await reading
    assert await read(world, "new", "old") == made
    await rotation.rotate(7, told)
    assert await read(world, "new") == made


async def test_a_row_written_between_reading_and_writing_stands(world: World) -> None:
    made = await pins(world, "old", count=20)

    async def replace_all() -> None:
        for row in made:
            made[row] = "7777"
            kept = INSTRUCTION_PIN.seal(keyring("new"), (world.tenant_id, row), "7777")
            await world.rows("UPDATE device_instructions SET pin = $2 WHERE id = $1", row, kept)

    _, rotated = await asyncio.gather(replace_all(), Rotation(world.database, keyring("new", "old")).rotate(20, told))
    assert rotated.unreadable == 0
    assert await read(world, "new") == made


async def command(world: World, *words: str, names: Sequence[str], **more: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cloud", *words),
        env=os.environ | settings(*names) | {"LARDER_CLOUD_DATABASE_URL": world.url} | more,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    written, errors = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, written.decode(), errors.decode()


@pytest.mark.criterion("10.3")
async def test_killed_in_the_middle_it_goes_on_where_it_was(world: World) -> None:
    both = ("new", "old")
    await Rotation(world.database, keyring("old")).begin()
    made = await pins(world, "old")
    killed = await command(
        world, "keys", "rotate", "--batch", "2", names=both, LARDER_FAILPOINT="keys.rotate.after_commit#2"
    )
    assert killed[0] == 137
    assert await counts(world, *both) == {"new": 4, "old": 6}
    assert await read(world, *both) == made
    status, written, _ = await command(world, "keys", "status", names=both)
    assert status == 0
    assert "40 % have the newest key new: 6 values need other keys" in written
    status, written, _ = await command(world, "keys", "rotate", "--batch", "4", names=both)
    assert status == 0
    assert written.splitlines() == [
        "4 of 6 values, 66 %",
        "6 of 6 values, 100 %",
        "device_instructions.pin: new: 10 values",
        "100 % have the newest key new: any other key may be removed",
    ]
    assert await read(world, "new") == made


@pytest.mark.criterion("10.3")
@pytest.mark.criterion("10.4")
async def test_a_key_that_is_still_needed_may_not_be_removed(world: World) -> None:
    await Rotation(world.database, keyring("old")).begin()
    made = await pins(world, "old", count=3)
    status, _, errors = await command(world, "serve", names=("new",), LARDER_CLOUD_PORT="0")
    assert (status, errors.count("\n")) == (78, 1)
    assert "lacks old, which 3 values still need" in errors
    both = Rotation(world.database, keyring("new", "old"))
    await both.begin()
    await both.rotate(500, told)
    await Rotation(world.database, keyring("new")).begin()
    assert await read(world, "new") == made
    assert await world.rows("SELECT name FROM encryption_keys") == [{"name": "new"}]


async def test_what_stood_there_in_plain_is_encrypted_at_the_next_start(world: World, owner_url: str) -> None:
    row = new_id()
    owner = await asyncpg.connect(**credentials(owner_url))
    await owner.execute("ALTER TABLE device_instructions DROP CONSTRAINT device_instructions_pin_encrypted")
    await owner.close()
    await world.rows(ADD, row, "48151623")
    assert await counts(world) == {NOT_ENCRYPTED: 1}
    await Rotation(world.database, keyring()).begin()
    assert await read(world) == {row: "48151623"}
    assert await counts(world) == {"test": 1}


async def test_nothing_is_written_in_plain(world: World) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await world.rows(ADD, new_id(), "48151623")


async def test_what_cannot_be_read_is_left_and_stops_nothing(world: World) -> None:
    made = await pins(world, "old", count=4)
    first, second, *_ = made
    await world.rows(
        "UPDATE device_instructions SET pin = (SELECT pin FROM device_instructions WHERE id = $2) WHERE id = $1",
        first,
        second,
    )
    status, written, errors = await command(world, "keys", "rotate", names=("new", "old"))
    assert (status, errors) == (1, "larder cloud: 1 values cannot be read: the log says where they stand\n")
    assert f"{world.tenant_id}/{first}" in written
    assert await counts(world, "new", "old") == {"new": 3, "old": 1}
    with pytest.raises(Undecipherable, match="belongs somewhere else"):
        await read(world, "new", "old")


async def test_a_moved_pin_goes_down_as_none_and_stops_no_other(world: World) -> None:
    slot = await world.slot()
    for pin in ("1111", "2222"):
        answer = await world.client.post(
            f"/v1/devices/{slot.device_id}/instructions",
            json={"action": "jog", "slot": "A1", "pin": pin},
            headers=world.operator | {"Idempotency-Key": str(uuid4())},
        )
        assert answer.status_code == 201
    await world.rows("UPDATE device_instructions SET pin = (SELECT pin FROM device_instructions ORDER BY id LIMIT 1)")
    for query in ("", "?cursor=0"):
        changes = await world.client.get(f"/v1/sync/changes{query}", headers=world.gateway.authorisation())
        told_: list[dict[str, Any]] = (await changes.get_json())["changes"]
        assert [body["pin"] for body in told_ if body["kind"] == "device_instruction"] == ["1111", None]


async def test_it_also_works_for_people_who_stand_outside_tenants(database: Database) -> None:
    now, people = datetime.now(UTC), [new_id() for _ in range(3)]
    for person in people:

        async def add(transaction: Transaction, person: UUID = person) -> None:
            await create_user(transaction, person, f"{person}@larder.example", "Somebody", None, now)
            kept = TOTP_SEED.seal(keyring("old"), (person,), f"seed of {person}")
            await transaction.execute("UPDATE user_secrets SET totp_seed = $1", kept)

        await database.unit("test", add)
    rotation = Rotation(database, keyring("new", "old"))
    assert (await rotation.rotate(500, told)).changed == 3
    assert [(use.key, use.values) for use in await rotation.counts()] == [("new", 3)]


async def test_every_encrypted_column_is_one(database: Database) -> None:
    """And has a check in the database that nothing stands there in plain."""

    async def work(transaction: Transaction) -> None:
        for column in ENCRYPTED:
            row = await transaction.fetch_one(
                "SELECT data_type FROM information_schema.columns WHERE table_name = $1 AND column_name = $2",
                column.table,
                column.column,
            )
            assert row is not None
            assert row["data_type"] == "text"
            checks = await transaction.fetch(
                "SELECT pg_get_constraintdef(oid) AS said FROM pg_constraint WHERE conrelid = $1::text::regclass",
                column.table,
            )
            assert any(f"encryption_key_of({column.column}) <> ''" in check["said"] for check in checks), column

    await database.unit("test", work)


def test_progress_is_a_bar_where_a_terminal_is() -> None:
    class Terminal:
        """As much of one as is written to."""

        def __init__(self) -> None:
            self.text = ""

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            self.text += text
            return len(text)

        def flush(self) -> None:
            pass

    terminal = Terminal()
    bar = progress.Progress(terminal, 4)
    for changed in (1, 4):
        bar(Rotated(changed=changed))
    bar.end()
    half = "[##########------------------------------]"
    assert terminal.text == f"\r{half}  25 % (1 of 4)\r[{'#' * 40}] 100 % (4 of 4)\n"
