"""R13: whatever a client can send, the API answers with a declared status and a body that fits, and never with a 5xx.

python -m tests.lab.api_fuzz [--full] [--seed S]

Schemathesis reads the API's own document and makes up requests from it, right and wrong, alone and in sequences that
follow one another's answers. The real application answers on loopback, on the real Postgres.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from click.testing import CliRunner
from schemathesis.cli import schemathesis as command

from shared.onboarding import GatewayClaimed
from tests.fakes.gateway_client import GatewayClient
from tests.fakes.postgres_cloud import PostgresCloud, running_cloud

BRACKETED, FULL = 3, 640
"""Cases an operation and phase, beside those that the document alone gives: about 4,000 and 50,000 in all."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)


@dataclass
class Report:
    """How often which status came, and what Schemathesis says."""

    seed: int
    statuses: Counter[int] = field(default_factory=Counter)
    exit_code: int = -1
    text: str = ""

    @property
    def cases(self) -> int:
        """Requests that were answered."""
        return sum(self.statuses.values())

    @property
    def good(self) -> bool:
        """No answer that was not declared, none that said that we failed."""
        return self.exit_code == 0 and max(self.statuses, default=500) < 500

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.cases:,} cases, statuses {dict(sorted(self.statuses.items()))}"


class Credentials:
    """What proves who asks: the gateway's own token where gateways speak, else the API key."""

    def __init__(self, api_key: str, gateway: GatewayClient) -> None:
        self._api_key = api_key
        self._gateway = gateway

    def get(self, _case: object, context: Any) -> str:
        """For the operation at hand."""
        return self._gateway.token() if context.operation.path.startswith("/v1/sync/") else self._api_key

    def set(self, case: Any, data: str, _context: object) -> None:
        """As a header."""
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


async def run(cases: int, seed: int) -> Report:
    """So many cases an operation and phase."""
    with tempfile.TemporaryDirectory(prefix="larder-lab-") as folder:
        async with running_cloud(Path(folder)) as cloud:
            gateway = await _claimed(cloud)
            return await asyncio.to_thread(_fuzz, cloud, gateway, cases, seed)


async def _claimed(cloud: PostgresCloud) -> GatewayClient:
    gateway = GatewayClient()
    wish = gateway.wish(cloud.seeded.gateway_claim_code).to_line()
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{cloud.url}/v1/claim", content=wish, headers={"Content-Type": "application/json"})
    gateway.claimed = GatewayClaimed.model_validate_json(answer.content)
    return gateway


def _fuzz(cloud: PostgresCloud, gateway: GatewayClient, cases: int, seed: int) -> Report:
    report = Report(seed)
    proof = Credentials(cloud.seeded.api_key, gateway)

    class Proof(Credentials):
        """Schemathesis makes it itself."""

        def __init__(self) -> None:
            vars(self).update(vars(proof))

    schemathesis.auth(refresh_interval=None)(Proof)

    @schemathesis.hook
    def after_call(_context: object, _case: object, response: Any) -> None:
        report.statuses[response.status_code] += 1

    @schemathesis.serializer("application/x-ndjson", "image/jpeg", "image/png", "image/webp")
    def as_it_is(_context: object, value: object) -> bytes:
        return value if isinstance(value, bytes) else str(value).encode()

    told = CliRunner().invoke(
        command,
        [
            "run",
            f"{cloud.url}/openapi.json",
            f"--checks={','.join(CHECKS)}",
            f"--max-examples={cases}",
            f"--seed={seed}",
            "--phases=examples,coverage,fuzzing,stateful",
            "--generation-database=none",
            "--suppress-health-check=all",
            "--continue-on-failure",
            "--request-timeout=20",
            "--warnings=off",
            "--workers=2",
            "--no-color",
        ],
    )
    report.exit_code, report.text = told.exit_code, told.output
    if told.exception is not None and not isinstance(told.exception, SystemExit):
        report.text += "".join(traceback.format_exception(told.exception))
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="50,000 cases")
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    parser.add_argument("--cases", type=int, default=BRACKETED, help="an operation and phase")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    report = asyncio.run(run(FULL if options.full else options.cases, options.seed))
    print(report.text if not report.good else "", report, sep="\n")
    sys.exit(0 if report.good else 1)
