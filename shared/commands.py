"""All that a gateway may say to a device, and the MAC it says it under."""

import hashlib
import hmac
from typing import Annotated
from uuid import UUID

from pydantic import Field, TypeAdapter

from shared.devices import (
    AcceptMoney,
    Acknowledge,
    AcknowledgeCredit,
    Cancel,
    Claimed,
    Dispense,
    Query,
    RefuseMoney,
)
from shared.parcels import Offer, Piece
from shared.releases import Leave
from shared.upkeep import Jog, ReleaseZone, Restart, SetTime

Command = Annotated[
    Dispense
    | Cancel
    | Query
    | Acknowledge
    | AcknowledgeCredit
    | AcceptMoney
    | RefuseMoney
    | Claimed
    | Offer
    | Piece
    | Leave
    | Restart
    | Jog
    | ReleaseZone
    | SetTime,
    Field(discriminator="type"),
]
COMMAND: TypeAdapter[Command] = TypeAdapter(Command)


def mac_of(key: bytes, machine_id: UUID, device_id: UUID, command: Command) -> str:
    """HMAC-SHA256 (RFC 2104) in hex over these, one a line:

    type, machine id, device id, then the command's own fields in the order in which they are declared, without `mac`.
    """
    names = [name for name in type(command).model_fields if name not in ("v", "type", "mac")]
    lines = [command.type, str(machine_id), str(device_id), *(str(getattr(command, name)) for name in names)]
    return hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).hexdigest()
