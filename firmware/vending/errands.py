"""What is asked of a device beside vends and money: seldom, one at a time, by code that is in RAM only meanwhile."""

import asyncio
import binascii
from collections import namedtuple

from . import TYPE_CHECKING, const, topics
from .borrowed import borrow, give_back
from .log import alarm, warn
from .messages import pack

if TYPE_CHECKING:
    from .messages import Errand
    from .nonces import Nonces

_MAX_WAITING = const(4)
PIECE_BYTES = 1536
_PIECE_WAIT_MS = const(5_000)
"""So long a piece that was asked for may take; then it is asked for again, by who needs it."""

Parts = namedtuple(
    "Parts",
    (
        "settings",
        "board",
        "flash",
        "clock",
        "journal",
        "dispenser",
        "reports",
        "boot_id",
        "errands",
        "till",
    ),
)
"""What an errand may need of the device. All errands run in a task of their own, beside the vends."""


class Errands:
    """`residents` maps a type to a function of its fields that does it at once, as long as it stands there.

    `modules` maps a type to the modules that only it needs; of the first `async perform(parts, fields)` is run.

    `held` counts who needs that no vend begins: somebody turns a motor by hand, or the board is about to restart. Each
    adds one for himself, and takes it away again.
    Until `locked_until_ms` no PIN is looked at (service_pin.py).
    """

    def __init__(self, nonces: "Nonces", residents: dict, modules: dict) -> None:
        self._nonces = nonces
        self.residents = residents
        self._modules = modules
        self._waiting: list = []
        self._offered: "str | None" = None
        self._wake = asyncio.Event()
        self._piece: "tuple | None" = None
        self._arrived = asyncio.Event()
        self.held = 0
        self.locked_until_ms = 0

    def take(self, errand: "Errand") -> None:
        """An authentic errand. One too many, or too late, is dropped: the gateway says it again."""
        fields = errand.fields
        if errand.type == "piece":
            self._piece = (fields["digest"], fields["offset"], fields["data"])
            self._arrived.set()
            return
        if not self._nonces.is_fresh(fields.get("nonce")):
            warn("errand_refused", type=errand.type, reason="stale nonce")
        elif errand.type in self.residents:
            self.residents[errand.type](fields)
        elif errand.type == "offer" and self._is_seen_to(fields["digest"]):
            return
        elif errand.type not in self._modules or len(self._waiting) >= _MAX_WAITING:
            warn("errand_refused", type=errand.type, reason="busy")
        else:
            self._waiting.append(errand)
            self._wake.set()

    async def run(self, parts: Parts) -> None:
        """For ever. An errand that fails is over; what it was part of is not."""
        while True:
            self._wake.clear()
            while self._waiting:
                errand = self._waiting.pop(0)
                names = self._modules[errand.type]
                if not self._nonces.is_fresh(errand.fields["nonce"]):
                    warn("errand_refused", type=errand.type, reason="waited too long")
                    continue
                self._offered = errand.fields.get("digest")
                try:
                    await borrow(names[0]).perform(parts, errand.fields)
                except Exception as error:  # noqa: BLE001 - an errand may die of anything; vends must not
                    alarm("errand_failed", type=errand.type, error=repr(error))
                self._offered = None
                give_back(*names)
            await self._wake.wait()

    def _is_seen_to(self, digest: str) -> bool:
        """Whether the same is offered again: repeating is how the gateway goes on."""
        return digest == self._offered or any(digest == errand.fields.get("digest") for errand in self._waiting)

    def others_wait(self) -> bool:
        """Whether something else is asked for than what is done now."""
        return bool(self._waiting)

    async def fetch(self, parts: Parts, digest: str, offset: int, size: int) -> "bytes | None":
        """So many bytes of a file of the gateway, PIECE_BYTES at most; empty: it has none; None: no answer (yet)."""
        self._arrived.clear()
        ask = {"boot_id": parts.boot_id, "digest": digest, "offset": offset, "size": size}
        parts.reports.tell(topics.ASK, pack(ask))
        deadline = parts.clock.ms() + _PIECE_WAIT_MS
        while parts.clock.ms() < deadline:
            try:
                await asyncio.wait_for(self._arrived.wait(), (deadline - parts.clock.ms()) / 1000)
            except asyncio.TimeoutError:
                return None
            self._arrived.clear()
            if self._piece is not None and self._piece[:2] == (digest, offset):
                return _decoded(self._piece[2])
        return None


def _decoded(data: str) -> "bytes | None":
    try:
        return binascii.a2b_base64(data.encode())
    except ValueError:
        return None
