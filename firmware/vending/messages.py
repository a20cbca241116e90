"""Messages of the device link: commands parsed and checked, reports built. The contract is shared/devices.py."""

import binascii
import hashlib
import json
from collections import namedtuple

from . import const, rules

_VERSION = const(1)
MAX_BYTES = 4096


class MessageError(Exception):
    """The payload is no command of this contract; the text says why."""


Errand = namedtuple("Errand", ("type", "fields", "mac"))
"""A parsed command that is not about a vend or money: what it carries by name. errands.py runs it."""


def parse(payload: bytes) -> "rules.Command | Errand":
    """The command in `payload`, its MAC not yet checked. Raises MessageError."""
    fields = _flat_object(payload)
    if type(fields.get("v")) is not int or fields["v"] != _VERSION:
        raise MessageError("unknown version")
    kind = str(fields.get("type"))
    layout = _LAYOUTS.get(kind, _ERRANDS.get(kind))
    if layout is None:
        raise MessageError("unknown type")
    if len(fields) != len(layout) + 3:
        raise MessageError("missing or unknown fields")
    for name in layout + _MAC:
        if name not in fields or not _fits(name, fields[name]):
            raise MessageError("bad " + name)
    if kind in _ERRANDS:
        return Errand(kind, fields, fields["mac"])
    return rules.Command(*[fields.get(name) for name in _COMMAND_FIELDS])


def _flat_object(payload: bytes) -> dict:
    if len(payload) > MAX_BYTES:
        raise MessageError("too large")
    # Commands are flat: one brace, no bracket. That also keeps a deep nest away from the JSON parser's stack.
    if payload.count(b"{") != 1 or payload.count(b"[") != 0:
        raise MessageError("not a flat JSON object")
    try:
        fields = json.loads(str(payload, "utf-8"))
    except ValueError:
        raise MessageError("malformed JSON") from None
    if not isinstance(fields, dict):
        raise MessageError("not a flat JSON object")
    return fields


_COMMAND_FIELDS = ("type", "epoch", "seq", "vend_id", "slot", "nonce", "credit_id", "currency", "mac")
_MAC = ("mac",)
_VEND = ("epoch", "seq", "vend_id")
_LAYOUTS = {
    "dispense": ("epoch", "seq", "vend_id", "slot", "nonce"),
    "cancel": _VEND,
    "query": _VEND,
    "acknowledge": _VEND,
    "acknowledge_credit": ("credit_id",),
    "accept_money": ("currency", "nonce"),
    "refuse_money": (),
    "claimed": (),
}
_ERRANDS = {
    "offer": ("purpose", "digest", "size", "nonce"),
    "piece": ("digest", "offset", "data"),
    "leave": ("digest", "nonce"),
    "restart": ("request_id", "nonce"),
    "jog": ("request_id", "slot", "pin", "nonce"),
    "release_zone": ("request_id", "zone", "nonce"),
    "set_time": ("now", "nonce"),
}


def is_uuid(value: object) -> bool:
    """Whether `value` is a UUID in canonical text: lower case, hyphens."""
    if not isinstance(value, str) or len(value) != 36:
        return False
    groups = value.split("-")
    return [len(group) for group in groups] == [8, 4, 4, 4, 12] and is_hex("".join(groups), 32)


def is_hex(value: object, digits: int) -> bool:
    return isinstance(value, str) and len(value) == digits and all(digit in "0123456789abcdef" for digit in value)


def is_slot(value: object) -> bool:
    """Whether `value` is a slot code: one capital, one or two digits."""
    if not isinstance(value, str) or not 2 <= len(value) <= 3:
        return False
    return "A" <= value[0] <= "Z" and all(digit in "0123456789" for digit in value[1:])


def is_zone(value: object) -> bool:
    """Whether `value` names a zone of temperature: 1 to 16 of a-z, 0-9, - and _."""
    if not isinstance(value, str) or not 1 <= len(value) <= 16:
        return False
    return all("a" <= letter <= "z" or letter in "0123456789-_" for letter in value)


def _is_pin(value: object) -> bool:
    return isinstance(value, str) and 4 <= len(value) <= 8 and all(digit in "0123456789" for digit in value)


_WHOLE = {
    "epoch": (1, 2**31 - 1),
    "seq": (1, 2**53 - 1),
    "size": (1, 32_768),
    "offset": (0, 0x180000),
    "now": (0, 2**53 - 1),
}
_HEX = {"nonce": 16, "mac": 64, "digest": 64}


def _fits(name: str, value: object) -> bool:
    if name in _WHOLE:
        least, most = _WHOLE[name]
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
    if name in _HEX:
        return is_hex(value, _HEX[name])
    if name == "slot":
        return is_slot(value)
    if name == "zone":
        return is_zone(value)
    if name == "pin":
        return _is_pin(value)
    if name == "currency":
        return isinstance(value, str) and len(value) == 3 and all("A" <= letter <= "Z" for letter in value)
    if name == "purpose":
        return value in ("settings", "release")
    if name == "data":
        # Whether it is base64 shows when it is decoded.
        return isinstance(value, str) and len(value) <= 2048
    return is_uuid(value)


def mac_of(key: bytes, machine_id: str, device_id: str, command: "rules.Command | Errand") -> str:
    """HMAC-SHA256 in hex over the command's fields, one a line (shared/commands.py)."""
    lines = [command.type, machine_id, device_id]
    if isinstance(command, Errand):
        lines += [str(command.fields[name]) for name in _ERRANDS[command.type]]
    else:
        lines += [str(getattr(command, name)) for name in _LAYOUTS[command.type]]
    return hmac_sha256(key, "\n".join(lines).encode())


def hmac_sha256(key: bytes, text: bytes) -> str:
    """RFC 2104 with SHA-256, in hex; MicroPython has no hmac module."""
    if len(key) > 64:
        key = hashlib.sha256(key).digest()
    key = key + bytes(64 - len(key))
    inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in key]) + text).digest()
    return to_hex(hashlib.sha256(bytes([byte ^ 0x5C for byte in key]) + inner).digest())


def is_authentic(key: bytes, machine_id: str, device_id: str, command: "rules.Command | Errand") -> bool:
    """Whether the command's MAC is right, compared in constant time."""
    expected = mac_of(key, machine_id, device_id, command)
    difference = 0
    for place in range(len(expected)):
        difference |= ord(expected[place]) ^ ord(command.mac[place])
    return difference == 0


def to_hex(data: bytes) -> str:
    return binascii.hexlify(data).decode()


def pack(message: dict) -> bytes:
    """A message to the gateway: its fields, and the version of the contract."""
    message["v"] = _VERSION
    return json.dumps(message).encode()


def heartbeat(boot_id: str, nonce: str, health: dict) -> bytes:
    """shared.devices.Heartbeat; `health` is of Health.take."""
    health.update({"boot_id": boot_id, "nonce": nonce})
    return pack(health)


def answer(boot_id: str, nonce: str, told: rules.Answer) -> bytes:
    """shared.devices.VendAnswer."""
    message = _vend(boot_id, told)
    message.update({"state": told.state, "reason": told.reason, "nonce": nonce})
    return pack(message)


def report(boot_id: str, vend: rules.Vend) -> bytes:
    """shared.devices.VendReport of an ended vend."""
    message = _vend(boot_id, vend)
    message.update({"slot": vend.slot, "result": vend.result, "evidence": evidence_fields(vend.evidence)})
    return pack(message)


def drop(boot_id: str, vend: rules.Vend) -> bytes:
    """shared.devices.Drop."""
    return pack(_vend(boot_id, vend))


def credit(boot_id: str, credit_id: str, amount_minor: int, currency: str) -> bytes:
    """shared.devices.Credit."""
    return pack({"boot_id": boot_id, "credit_id": credit_id, "amount_minor": amount_minor, "currency": currency})


def stock(boot_id: str, slot: str, empty: bool) -> bytes:
    """shared.devices.StockSensed."""
    return pack({"boot_id": boot_id, "slot": slot, "empty": empty})


UNKNOWN_ZONE = "unknown_zone"
"""Why nothing is released: the settings name no such zone."""


def request_answer(boot_id: str, request_id: str, state: str, reason: "str | None", evidence=None) -> bytes:
    """shared.upkeep.RequestAnswer; `evidence` is of evidence_fields."""
    told = {"boot_id": boot_id, "request_id": request_id, "state": state, "reason": reason}
    told["evidence"] = evidence
    return pack(told)


def _vend(boot_id: str, vend: "rules.Vend | rules.Answer") -> dict:
    return {"boot_id": boot_id, "epoch": vend.epoch, "seq": vend.seq, "vend_id": vend.vend_id}


def evidence_fields(evidence: "rules.Evidence | None") -> "dict | None":
    """shared.devices.Evidence."""
    if evidence is None:
        return None
    return {
        "drop": evidence.drop,
        "left_home": evidence.left_home,
        "home_before": evidence.home_before,
        "home_after": evidence.home_after,
        "motor_ms": evidence.motor_ms,
    }
