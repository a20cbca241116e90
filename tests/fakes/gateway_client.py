"""A gateway cut down to what the cloud sees of it: a key, tokens, fact lines and their hash chain."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.jwk import OKPKey

from cloud.clock import new_id
from shared.contract import ClockQuality, Rail
from shared.inventory import Reason, StockMoved
from shared.onboarding import ClaimGateway, GatewayClaimed
from shared.orders import OrderEnded, OrderPlaced, OrderState, PlacedVend, VendOutcome, VendRequested, VendResolved
from shared.payments import PaymentAttempted, PaymentAuthorised, PaymentCaptured, PaymentGivenBack
from shared.sync import CHAIN_START, BatchHeader, Fact, FactBody, link

PACKED = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}

BOOT_ID = UUID("019a3c5e-8d2f-7b41-a6ce-f30b92d417ea")
"""As a boot makes one: with letters, which tell an id from a number at first sight."""


@dataclass
class Slot:
    """What the stories below sell."""

    machine_id: UUID
    device_id: UUID
    product_id: UUID
    slot: str = "A1"
    price_minor: int = 2500


@dataclass
class GatewayClient:
    """Builds what a gateway would send; sends nothing itself. `claimed` is set by the test after the claim."""

    key: OKPKey = field(default_factory=lambda: OKPKey.generate_key("Ed25519"))
    claimed: GatewayClaimed | None = None
    ca_pem: str | None = None
    epoch: int = 1
    lines: list[bytes] = field(default_factory=list)
    """Of the current epoch; lines[0] has seq 1."""
    hashes: list[bytes] = field(default_factory=lambda: [CHAIN_START])
    """hashes[seq] is the chain at seq."""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def public_key(self) -> str:
        return self.key.public_key.public_bytes_raw().hex()

    def wish(self, code: str) -> ClaimGateway:
        return ClaimGateway(code=code, public_key=self.public_key, software="1.0.0", ca_pem=self.ca_pem)

    def token(self, **other: Any) -> str:
        """A good token, but for the claims (or header fields `alg`, `kid`) named in `other`; None leaves one out."""
        assert self.claimed is not None
        issued = int(datetime.now(UTC).timestamp())
        header = {"alg": "Ed25519", "kid": other.pop("kid", self.key.thumbprint())}
        claims = {
            "iss": str(self.claimed.gateway_id),
            "tenant": str(self.claimed.tenant_id),
            "aud": "larder-cloud",
            "jti": str(new_id()),
            "iat": issued,
            "exp": issued + 300,
        } | other
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(header, kept, self.key, algorithms=["Ed25519"])

    def authorisation(self, **other: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(**other)}"}

    def add(self, *bodies: FactBody) -> None:
        """Commit facts to the ledger."""
        for body in bodies:
            self.now += timedelta(milliseconds=10)
            fact = Fact(
                seq=len(self.lines) + 1,
                at=self.now,
                mono_ms=len(self.lines) * 10,
                boot_id=BOOT_ID,
                clock=ClockQuality.SYNCED,
                body=body,
            )
            self.add_line(fact.to_line())

    def add_line(self, line: bytes) -> None:
        self.lines.append(line)
        self.hashes.append(link(self.hashes[-1], line))

    def begin_epoch(self, epoch: int) -> None:
        self.epoch, self.lines, self.hashes = epoch, [], [CHAIN_START]

    def batch(self, first: int = 1, count: int | None = None) -> bytes:
        """The NDJSON body for facts from seq `first` on."""
        lines = self.lines[first - 1 :][:count]
        header = BatchHeader(epoch=self.epoch, first_seq=first, count=len(lines), previous=self.hashes[first - 1].hex())
        return b"\n".join([header.to_line(), *lines])

    def packed(self, first: int = 1, count: int | None = None) -> bytes:
        return gzip.compress(self.batch(first, count), compresslevel=6)

    def headers(self) -> dict[str, str]:
        """For a packed batch."""
        return self.authorisation() | PACKED

    def sell(
        self, slot: Slot, outcomes: Sequence[VendOutcome] = (VendOutcome.DISPENSED,), rail: Rail = Rail.FREE
    ) -> UUID:
        """All facts of one order with one vend an outcome, from the tap to the end."""
        order_id, payment_id = new_id(), new_id()
        vends = [new_id() for _ in outcomes]
        total = slot.price_minor * len(vends)
        money: dict[str, Any] = {"payment_id": payment_id, "order_id": order_id, "currency": "INR"}
        self.add(
            self.placed(order_id, [(vend_id, slot) for vend_id in vends], rail),
            PaymentAttempted(rail=rail, amount_minor=total, **money),
            PaymentAuthorised(amount_minor=total, **money),
        )
        earned = 0
        for vend_id, outcome in zip(vends, outcomes, strict=True):
            self._vend(slot, order_id, vend_id, outcome)
            amount: dict[str, Any] = {"vend_id": vend_id, "amount_minor": slot.price_minor, **money}
            if outcome is VendOutcome.DISPENSED:
                earned += slot.price_minor
                self.add(PaymentCaptured(**amount))
            else:
                self.add(PaymentGivenBack(**amount))
        self.add(
            OrderEnded(
                order_id=order_id,
                machine_id=slot.machine_id,
                state=OrderState.SETTLED,
                captured_minor=earned,
                given_back_minor=total - earned,
            )
        )
        return order_id

    def placed(self, order_id: UUID, chosen: Sequence[tuple[UUID, Slot]], rail: Rail = Rail.FREE) -> OrderPlaced:
        """An order of these vends, each from its slot."""
        vends = tuple(
            PlacedVend(
                vend_id=vend_id,
                slot=slot.slot,
                product_id=slot.product_id,
                product_name="Salted Peanuts",
                price_minor=slot.price_minor,
            )
            for vend_id, slot in chosen
        )
        return OrderPlaced(
            order_id=order_id,
            machine_id=chosen[0][1].machine_id,
            rail=rail,
            currency="INR",
            total_minor=sum(vend.price_minor for vend in vends),
            planogram_version=1,
            placed_at=self.now,
            vends=vends,
        )

    def _vend(self, slot: Slot, order_id: UUID, vend_id: UUID, outcome: VendOutcome) -> None:
        self.add(
            VendRequested(
                order_id=order_id,
                vend_id=vend_id,
                device_id=slot.device_id,
                slot=slot.slot,
                device_epoch=1,
                device_seq=len(self.lines) + 1,
            ),
            VendResolved(
                order_id=order_id,
                vend_id=vend_id,
                machine_id=slot.machine_id,
                slot=slot.slot,
                outcome=outcome,
                evidence=None,
            ),
        )
        if outcome is VendOutcome.DISPENSED:
            self.move(slot, -1, Reason.VEND, vend_id=vend_id)

    def move(
        self, slot: Slot, delta: int, reason: Reason, *, movement_id: UUID | None = None, vend_id: UUID | None = None
    ) -> None:
        """One stock movement."""
        self.add(
            StockMoved(
                movement_id=movement_id or new_id(),
                machine_id=slot.machine_id,
                slot=slot.slot,
                delta=delta,
                reason=reason,
                vend_id=vend_id,
            )
        )
