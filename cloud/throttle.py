"""Lets in only as many requests as the limits allow, and tells clients where they stand."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

from quart import Quart, Response, g, has_request_context, request, websocket

from cloud.addresses import Network, client_address, counted_as
from cloud.callers import Operator
from cloud.errors import TooManyRequests
from cloud.limits import Bucket, Decision, Limits
from cloud.live import LiveSettings
from cloud.rates import Rate

SYNC = "/v1/sync/"
"""Gateways ask often, many of them perhaps from one address."""
_FREE = ("/health/", "/assets/")


class Throttle:
    """The limits as requests meet them: first by address, then by who it turns out to be."""

    def __init__(self, limits: Limits, live: LiveSettings, trusted_proxies: Sequence[Network] = ()) -> None:
        self._limits = limits
        self._live = live
        self._trusted_proxies = trusted_proxies

    def install(self, app: Quart) -> None:
        """Before anything else each request and WebSocket takes from its address's bucket."""
        app.before_request(self._of_address)
        app.before_websocket(self._of_address)
        app.after_request(_tell)

    async def operator(self, operator: Operator) -> None:
        """Call it as soon as somebody of a tenant is known. Raises TooManyRequests, Unavailable."""
        live, actor = self._live.now, operator.actor
        await self._take(Bucket(str(actor.kind), str(actor.id), live.rate_actor))
        await self._take(Bucket("tenant", str(operator.tenant_id), live.rate_tenant))

    async def gateway(self, gateway_id: UUID) -> None:
        """Call it as soon as a gateway is known. Raises TooManyRequests, Unavailable."""
        await self._take(Bucket("gateway", str(gateway_id), self._live.now.rate_gateway))

    async def attempt(self, account: str) -> None:
        """Call it before a secret of a person is checked, with the account as it was typed, known or not.

        Counts by account and by address. Raises TooManyRequests, Unavailable.
        """
        live = self._live.now
        await self._take(Bucket("attempts_address", counted_as(self.address()), live.rate_attempts_address))
        hashed = hashlib.sha256(account.strip().casefold().encode(errors="replace")).hexdigest()  # it may be a person's
        await self._take(Bucket("attempts", hashed, live.rate_attempts))

    async def take(self, policy: str, key: str, rate: Rate, cost: int = 1) -> None:
        """Any other bucket, for what is dear. Raises TooManyRequests, Unavailable."""
        await self._take(Bucket(policy, key, rate), cost)

    def address(self) -> str:
        """From where the current request comes."""
        asking = request if has_request_context() else websocket
        client = asking.scope.get("client")  # not asking.remote_addr, which is a header among others
        forwarded_for = ",".join(asking.headers.getlist("X-Forwarded-For"))
        return client_address(client[0] if client else "local", forwarded_for, self._trusted_proxies)

    async def _of_address(self) -> None:
        path, live = (request if has_request_context() else websocket).path, self._live.now
        if path.startswith(_FREE):
            return
        policy, rate = ("address", live.rate_address)
        if path.startswith(SYNC):
            policy, rate = ("gateways_address", live.rate_gateways_address)
        await self._take(Bucket(policy, counted_as(self.address()), rate))

    async def _take(self, bucket: Bucket, cost: int = 1) -> None:
        decision = await self._limits.take(bucket, cost)
        g.setdefault("limits", []).append(decision)
        if not decision.allowed:
            raise TooManyRequests(decision.retry_after_s)


async def _tell(response: Response) -> Response:
    """Where the client stands, in the three plain fields for the tightest bucket and in those of the IETF's draft.

    draft-ietf-httpapi-ratelimit-headers-10: `r` of `q` are left, and it is full again in `t` of `w` seconds.
    """
    met: list[Decision] = g.get("limits", [])
    if met:
        tightest = min(met, key=lambda decision: decision.remaining / decision.limit)
        response.headers["RateLimit-Limit"] = str(tightest.limit)
        response.headers["RateLimit-Remaining"] = str(tightest.remaining)
        response.headers["RateLimit-Reset"] = str(tightest.reset_s)
        response.headers["RateLimit"] = ", ".join(f'"{d.bucket.policy}";r={d.remaining};t={d.reset_s}' for d in met)
        policies = (f'"{d.bucket.policy}";q={d.limit};w={d.bucket.rate.seconds}' for d in met)
        response.headers["RateLimit-Policy"] = ", ".join(policies)
    return response
