"""Messages between a gateway and its devices, over MQTT (topics.py says where, DESIGN section 5 says why).

A command (commands.py has them all) is never retained and carries a MAC under the device's own command key.
A device reports until it is acknowledged; the acknowledgement follows the gateway's commit.
"""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.contract import (
    CentiCelsius,
    ClockQuality,
    Currency,
    Digest,
    Epoch,
    Instant,
    Message,
    Name,
    Nonce,
    Seq,
    SlotCode,
    Version,
    Watermark,
    Zone,
)

NONCE_LIFE_S = 20
"""A device accepts its current and its previous nonce; it renews them at least this often (every 10 s)."""

HEARTBEAT_S = 10

MAX_AT_ONCE = 4
"""More motors of one device never turn together, whatever its power supply bears."""

MONEY_LEASE_S = 25
"""So long after it was last allowed to, a device takes coins and notes; the gateway allows it anew every 10 s."""

MAX_MESSAGE_BYTES = 4096

Measure = Annotated[int, Field(ge=0, le=2**53 - 1)]
"""Seconds or bytes that a device tells; a figure that JSON carries exactly and a database holds."""

Milliamperes = Annotated[int, Field(ge=0, le=100_000)]

Rssi = Annotated[int, Field(ge=-127, le=0)]
"""Strength of a radio signal in dBm."""


class DeviceMessage(Message):
    """The base of everything on the device link."""

    v: Literal[1] = 1


class Dispense(DeviceMessage):
    """Run `slot` once, for this vend. A device starts at most one motor for a (epoch, seq)."""

    type: Literal["dispense"] = "dispense"
    epoch: Epoch
    seq: Seq
    vend_id: UUID
    slot: SlotCode
    nonce: Nonce
    mac: Digest


class Cancel(DeviceMessage):
    """Burn this seq if its motor has not started. Safe however late it comes: it can only prevent."""

    type: Literal["cancel"] = "cancel"
    epoch: Epoch
    seq: Seq
    vend_id: UUID
    mac: Digest


class Query(DeviceMessage):
    """Tell what the journal holds on this vend."""

    type: Literal["query"] = "query"
    epoch: Epoch
    seq: Seq
    vend_id: UUID
    mac: Digest


class Acknowledge(DeviceMessage):
    """The outcome is committed; the device may forget the vend."""

    type: Literal["acknowledge"] = "acknowledge"
    epoch: Epoch
    seq: Seq
    vend_id: UUID
    mac: Digest


class AcknowledgeCredit(DeviceMessage):
    """The credit is committed; the device may forget it."""

    type: Literal["acknowledge_credit"] = "acknowledge_credit"
    credit_id: UUID
    mac: Digest


class AcceptMoney(DeviceMessage):
    """Take coins and notes for MONEY_LEASE_S from now, as long as the link stands: a credit finds its gateway there.

    A device whose acceptors count another currency than the machine's takes nothing: its credit would be refused.
    """

    type: Literal["accept_money"] = "accept_money"
    currency: Currency
    nonce: Nonce
    mac: Digest


class RefuseMoney(DeviceMessage):
    """Take no coin and no note any more. Safe however late it comes: it can only prevent."""

    type: Literal["refuse_money"] = "refuse_money"
    mac: Digest


class Claimed(DeviceMessage):
    """The device's token and command key are registered: connect again with the token."""

    type: Literal["claimed"] = "claimed"
    mac: Digest


class VendState(StrEnum):
    """What a device's journal says of a vend it was asked about."""

    UNSEEN = "unseen"
    """No record, and the seq is above the highest ever seen: it may still come."""
    FORGOTTEN = "forgotten"
    """No record, but the seq is not above the highest: it will never start; what became of it is not known here."""
    ACCEPTED = "accepted"
    STARTED = "started"
    REFUSED = "refused"
    """This copy of the command was refused and left no trace; `reason` says why."""


class Refusal(StrEnum):
    """Why a device refused one copy of a command."""

    STALE_NONCE = "stale_nonce"
    UNKNOWN_SLOT = "unknown_slot"
    ZONE_LOCKED = "zone_locked"
    """What lies in the slot was too warm for too long (climate.py)."""
    BUSY = "busy"
    JOURNAL_FULL = "journal_full"


LASTING_REFUSALS = frozenset({Refusal.UNKNOWN_SLOT, Refusal.ZONE_LOCKED})
"""A repeat is refused as well, until a person has done something."""


class VendAnswer(DeviceMessage):
    """Channel `state`: the answer to a dispense, cancel or query of a vend that has no result yet. Not acknowledged."""

    boot_id: UUID
    epoch: Epoch
    seq: Seq
    vend_id: UUID
    state: VendState
    reason: Refusal | None = None
    nonce: Nonce


class Evidence(Message):
    """What a device saw of a motion. None means "no such sensor" or "not known"."""

    drop: bool | None
    """The drop sensor saw a product fall."""
    left_home: bool | None
    """The home switch opened after the motor started (journalled when it happened)."""
    home_before: bool | None
    home_after: bool | None
    motor_ms: Annotated[int, Field(ge=0, le=600_000)] | None


class VendResult(StrEnum):
    """How a vend ended, as the device tells it. What it means for money is judged by the gateway."""

    DONE = "done"
    INTERRUPTED = "interrupted"
    """The device lost power between start and end, or its journal of that is damaged."""
    NOT_STARTED = "not_started"
    CANCELLED = "cancelled"


class VendReport(DeviceMessage):
    """Channel `outcome`: the end of a vend, repeated until acknowledged."""

    boot_id: UUID
    epoch: Epoch
    seq: Seq
    vend_id: UUID
    slot: SlotCode | None
    """None on a tombstone for a seq whose dispense never arrived."""
    result: VendResult
    evidence: Evidence | None
    """None exactly when no motor ever started."""


class Drop(DeviceMessage):
    """Channel `drop`: the sensor saw a product fall during this vend, told at once and once."""

    boot_id: UUID
    epoch: Epoch
    seq: Seq
    vend_id: UUID


class OpenVend(DeviceMessage):
    """One unacknowledged vend in a hello."""

    epoch: Epoch
    seq: Seq
    vend_id: UUID
    state: Literal["accepted", "started", "ended"]


class Hello(DeviceMessage):
    """Channel `hello`: sent once the command subscription stands; opens reconciliation."""

    boot_id: UUID
    firmware: Version
    journal_id: UUID
    """Made when the journal was begun: another board, or a wiped flash, has another."""
    epoch: Annotated[int, Field(ge=0, le=2**31 - 1)]
    """Highest (epoch, seq) in the journal; (0, 0) when it is empty."""
    seq: Watermark
    nonce: Nonce
    at_once: Annotated[int, Field(ge=1, le=MAX_AT_ONCE)] = 1
    """So many motors its power supply and its chutes let turn together at most."""
    open: Annotated[tuple[OpenVend, ...], Field(max_length=16)]


class ResetCause(StrEnum):
    """Why a device has booted."""

    POWER_ON = "power_on"
    WATCHDOG = "watchdog"
    BROWNOUT = "brownout"
    SOFTWARE = "software"
    DEEP_SLEEP = "deep_sleep"
    OTHER = "other"


class Vitals(Message):
    """How a device is. None is "no such sensor" or "not known", of a temperature also "its sensor is silent".

    Which firmware runs is told when it changes, not here (releases.FirmwareReport).
    """

    uptime_s: Measure
    reset_cause: ResetCause | None = None
    free_bytes: Measure | None = None
    rssi_dbm: Rssi | None = None
    journal_bytes: Measure | None = None
    journal_limit_bytes: Measure | None = None
    centi_celsius: Annotated[dict[Zone, CentiCelsius | None], Field(max_length=8)] = {}
    door_open: bool | None = None
    """It was open at some moment since the sample before."""
    peak_ma: Annotated[dict[SlotCode, Milliamperes], Field(max_length=60)] = {}
    """The most a slot's motor has drawn since the sample before; only of those that turned."""
    clock: ClockQuality = ClockQuality.UNSYNCED


class Heartbeat(DeviceMessage, Vitals):
    """Channel `heartbeat`, every 10 s: the fresh nonce, and the device's health."""

    boot_id: UUID
    nonce: Nonce


class Claim(DeviceMessage):
    """Channel `claim`: the credentials the device has made. The token itself never leaves it but at login."""

    token_sha256: Digest
    command_key: Digest


class Credit(DeviceMessage):
    """Channel `credit`: a coin or note; journalled, then told until acknowledged, counted once by id."""

    boot_id: UUID
    credit_id: UUID
    amount_minor: Annotated[int, Field(ge=1, le=10**8)]
    currency: Currency


class StockSensed(DeviceMessage):
    """Channel `stock`: the slot's own sensor changed its mind."""

    boot_id: UUID
    slot: SlotCode
    empty: bool


class ExpectedDevice(Message):
    """Change from the cloud: a device that may claim itself at this gateway with a code of this SHA-256."""

    kind: Literal["expected_device"] = "expected_device"
    device_id: UUID
    machine_id: UUID
    name: Name
    claim_code_sha256: Digest
    claim_expires_at: Instant


class DeviceClaimed(Message):
    """Fact: the device registered its credentials at the gateway."""

    event: Literal["device_claimed"] = "device_claimed"
    device_id: UUID
    machine_id: UUID


class DeviceLinkChanged(Message):
    """Fact: the device came or went."""

    event: Literal["device_link_changed"] = "device_link_changed"
    device_id: UUID
    machine_id: UUID
    online: bool
    reason: Annotated[str, StringConstraints(max_length=60)]


class DeviceHealth(Vitals):
    """Telemetry sample: all heartbeats of a device within a minute. Of what is measured it tells the worst."""

    device_id: UUID
    machine_id: UUID
    at: Instant
    firmware: Version | None
