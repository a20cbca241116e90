"""Claims that must not be accepted: forged, replayed, expired, superseded, revoked, foreign, damaged; by the thousand.

python -m tests.lab.claims [--attempts N | --full] [--seed S]

Each is sent to the real cloud, in process, on a real Postgres. After every hundred a right claim must be accepted, so
that a cloud that refuses everything is found out, and what has claimed before must still be the one that is trusted.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from quart.typing import TestAppProtocol, TestClientProtocol

from cloud import demo, schema
from cloud.auth.rules import sha256_hex
from cloud.callers import system
from cloud.clock import Clock, new_id
from cloud.database import Database, Transaction
from cloud.failpoints import Failpoints
from cloud.live import LiveSettings
from cloud.onboarding import service as onboarding
from cloud.onboarding.rules import new_claim_code
from cloud.postgres import EmbeddedPostgres
from cloud.rates import Rate
from cloud.settings import Live
from shared.onboarding import GatewayClaimed
from tests.fakes.gateway_client import GatewayClient
from tests.fakes.postgres_cloud import cloud_app

BRACKETED, FULL = 500, 10_000
BATCH = 100
"""After so many, a right claim."""
JSON = {"Content-Type": "application/json"}
REFUSED = {400, 403, 422}
UNHEEDED = Rate(100_000, 1)


@dataclass
class Report:
    """What became of a run: attempts by kind, answers by status, and every fault."""

    seed: int
    attempts: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    right: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """None was accepted, and every right one was."""
        return not self.faults and self.right > 0

    def __str__(self) -> str:
        kinds = "".join(f"\n  {count:5} {kind}" for kind, count in sorted(self.attempts.items()))
        answers = dict(sorted(self.answers.items()))
        head = f"seed {self.seed}: {self.attempts.total()} attempts, {len(self.faults)} faults, {self.right} right ones"
        return "\n".join([f"{head}, answers {answers}{kinds}", *self.faults])


@dataclass
class Place:
    """A gateway's place of a tenant of its own, with the gateway that holds it."""

    tenant_id: UUID
    gateway_id: UUID
    holder: GatewayClient
    used_code: str


class Claims:
    """Makes attempts, and sends them."""

    def __init__(
        self,
        client: TestClientProtocol,
        database: Database,
        device_code: str,
        chance: random.Random,
        told: Report,
    ) -> None:
        self._client = client
        self._device_code = device_code
        self._database = database
        self._chance = chance
        self._told = told
        self._places: list[Place] = []
        self._kinds: dict[str, Callable[[], Awaitable[tuple[str, GatewayClient]]]] = {
            "forged": self._forged,
            "near a right one": self._near,
            "replayed by a stranger": self._replayed,
            "expired": self._expired,
            "of a sheet before": self._superseded,
            "of a revoked gateway": self._revoked,
            "a device's code": self._of_device,
            "the hash of a right one": self._hash,
        }

    async def prepare(self) -> None:
        """Two tenants, each with a gateway that has come in."""
        for name in ("One", "Other"):
            tenant_id, gateway_id = new_id(), new_id()

            async def work(transaction: Transaction, tenant_id: UUID = tenant_id, name: str = name) -> UUID:
                await onboarding.create_tenant(transaction, system("lab"), tenant_id, name)
                site_id = await onboarding.create_site(tenant_id, name, "INR")
                return await onboarding.create_gateway(tenant_id, site_id, name)

            gateway_id = await self._database.unit("lab", work, tenant_id=tenant_id)
            place = Place(tenant_id, gateway_id, GatewayClient(), "")
            await self._come_in(place)
            self._places.append(place)

    async def right(self) -> None:
        """A place is claimed anew, and its new holder alone is trusted."""
        place = self._chance.choice(self._places)
        before = place.holder
        place.holder = GatewayClient()
        await self._come_in(place)
        self._told.right += 1
        for gateway, wanted in ((place.holder, 200), (before, 401)):
            answer = await self._client.get("/v1/sync/changes", headers=gateway.authorisation())
            if answer.status_code != wanted:
                self._told.faults.append(f"a holder is answered {answer.status_code}, not {wanted}")

    async def attempt(self) -> None:
        """One that must be refused, and change nothing."""
        kind = self._chance.choice(list(self._kinds))
        code, stranger = await self._kinds[kind]()
        body = stranger.wish(code if 26 <= len(code) <= 128 else code.ljust(26, "A")[:128]).to_line()
        answer = await self._client.post("/v1/claim", data=body, headers=JSON)
        self._told.attempts[kind] += 1
        self._told.answers[str(answer.status_code)] += 1
        if answer.status_code not in REFUSED:
            self._told.faults.append(f"{kind}: {answer.status_code} {await answer.get_data(as_text=True)}")

    async def still_trusted(self) -> None:
        """All holders are, after all that."""
        for place in self._places:
            answer = await self._client.get("/v1/sync/changes", headers=place.holder.authorisation())
            if answer.status_code != 200:
                self._told.faults.append(f"a gateway that has claimed is answered {answer.status_code}")

    async def _come_in(self, place: Place) -> None:
        place.used_code = await self._issue(place)
        body = place.holder.wish(place.used_code).to_line()
        answer = await self._client.post("/v1/claim", data=body, headers=JSON)
        if answer.status_code != 200:
            self._told.faults.append(f"a right claim was refused: {answer.status_code}")
            return
        place.holder.claimed = GatewayClaimed.model_validate_json(await answer.get_data())

    async def _issue(self, place: Place) -> str:
        async def work(transaction: Transaction) -> str:
            actor, now = system("lab"), Clock().now()
            return await onboarding.issue_claim_code(transaction, actor, place.tenant_id, place.gateway_id, now)

        return await self._database.unit("lab", work, tenant_id=place.tenant_id)

    async def _do(self, place: Place, statement: str, *values: object) -> None:
        async def work(transaction: Transaction) -> None:
            await transaction.execute(statement, *values)

        await self._database.unit("lab", work, tenant_id=place.tenant_id)

    async def _forged(self) -> tuple[str, GatewayClient]:
        return new_claim_code(), GatewayClient()

    async def _near(self) -> tuple[str, GatewayClient]:
        """One sign of an open code changed; the code itself is ended after, for the next ones."""
        place = self._chance.choice(self._places)
        code = await self._issue(place)
        at = self._chance.randrange(len(code))
        await self._do(place, "UPDATE claim_codes SET expires_at = created_at WHERE used_by IS NULL")
        return code[:at] + ("A" if code[at] != "A" else "B") + code[at + 1 :], GatewayClient()

    async def _replayed(self) -> tuple[str, GatewayClient]:
        return self._chance.choice(self._places).used_code, GatewayClient()

    async def _expired(self) -> tuple[str, GatewayClient]:
        place = self._chance.choice(self._places)
        code = await self._issue(place)
        await self._do(
            place, "UPDATE claim_codes SET expires_at = created_at WHERE secret_sha256 = $1", sha256_hex(code)
        )
        return code, GatewayClient()

    async def _superseded(self) -> tuple[str, GatewayClient]:
        place = self._chance.choice(self._places)
        code = await self._issue(place)

        async def work(_: Transaction) -> None:
            await onboarding.end_claim_codes(place.gateway_id, Clock().now())

        await self._database.unit("lab", work, tenant_id=place.tenant_id)
        return code, GatewayClient()

    async def _revoked(self) -> tuple[str, GatewayClient]:
        """Revoked with a code still open: the code goes with the gateway. Its holder comes in again after."""
        place = self._chance.choice(self._places)
        code = await self._issue(place)

        async def work(transaction: Transaction) -> None:
            actor, now = system("lab"), Clock().now()
            await onboarding.revoke_gateway(transaction, actor, place.tenant_id, place.gateway_id, now)

        await self._database.unit("lab", work, tenant_id=place.tenant_id)
        place.holder = GatewayClient()
        await self._come_in(place)
        return code, GatewayClient()

    async def _of_device(self) -> tuple[str, GatewayClient]:
        """Codes of devices are for their gateway: the cloud lets nobody in by one."""
        return self._device_code, GatewayClient()

    async def _hash(self) -> tuple[str, GatewayClient]:
        """What a thief of the database would have."""
        return sha256_hex(self._chance.choice(self._places).used_code), GatewayClient()


@asynccontextmanager
async def _cloud(folder: Path) -> AsyncIterator[tuple[TestAppProtocol, Database, str]]:
    """The cloud's application without limits of rates, a database of its own, and the code of a device in it."""
    postgres = EmbeddedPostgres(folder / "pg", durable=False)
    try:
        await schema.migrate(await postgres.start())
        database = Database(postgres.app_url, Failpoints(), pool_size=2)
        await database.open()
        seeded = await demo.seed(database, Clock())
        assert seeded is not None
        live = LiveSettings(Live(rate_address=UNHEEDED))
        async with cloud_app(postgres.app_url, asyncio.Event(), live=live).test_app() as app:
            yield app, database, seeded.machines[0].device_claim_code
        await database.close()
    finally:
        await postgres.stop()


async def run(attempts: int, seed: int, folder: Path) -> Report:
    """So many attempts."""
    told, chance = Report(seed), random.Random(seed)
    async with _cloud(folder) as (app, database, device_code):
        claims = Claims(app.test_client(), database, device_code, chance, told)
        await claims.prepare()
        for number in range(1, attempts + 1):
            await claims.attempt()
            if number % BATCH == 0:
                await claims.right()
                await claims.still_trusted()
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attempts", type=int, default=BRACKETED)
    parser.add_argument("--full", action="store_true", help=f"{FULL:,} attempts")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="larder-claims-") as folder:
        told = asyncio.run(run(FULL if options.full else options.attempts, options.seed, Path(folder)))
    print(told)
    return 0 if told.good else 1


if __name__ == "__main__":
    sys.exit(main())
