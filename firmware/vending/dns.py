"""The little of DNS that multicast service discovery needs, as bytes (RFC 1035 section 4, RFC 6763)."""

from . import TYPE_CHECKING, const

if TYPE_CHECKING:
    import socket

DEVICES = "_larder-dev._tcp.local"
GROUP = "224.0.0.251"
A = 1
PTR = 12
SRV = 33
_ANY = const(255)
_UNICAST_QUESTION = const(0x8001)
_FLUSH = const(0x8001)
_ANSWER_FLAGS = const(0x8400)
_TTL_S = const(120)
_MAX_NAME = const(255)
_MAX_RECORDS = const(64)


class Malformed(Exception):
    """The bytes are no DNS message."""


def query(name: str) -> bytes:
    """A question for the PTR records of `name`, to be answered by unicast."""
    return _header(0, 1, 0) + _name(name) + _number(PTR) + _number(_UNICAST_QUESTION)


def announce(wire: "socket.socket", question: "bytes | None", device_id: str, address: str, port: int) -> None:
    """Tell the network that this device is there; to a question only if it asks for devices. Raises OSError."""
    try:
        wanted = question is None or asks_for(question, DEVICES)
    except Malformed:
        return
    if wanted:
        host = "larder-" + device_id + ".local"
        wire.sendto(announcement(DEVICES, device_id + "." + DEVICES, host, address, port), (GROUP, port))


def announcement(service: str, instance: str, host: str, address: str, port: int) -> bytes:
    """An unasked answer: `instance` of `service` runs on `host` at `address`."""
    records = [
        _record(service, PTR, 1, _name(instance)),
        _record(instance, SRV, _FLUSH, bytes(4) + _number(port) + _name(host)),
        _record(host, A, _FLUSH, bytes([int(part) for part in address.split(".")])),
    ]
    return _header(_ANSWER_FLAGS, 0, len(records)) + b"".join(records)


def asks_for(data: bytes, service: str) -> bool:
    """Whether the message is a question for `service`. Raises Malformed."""
    if _at(data, 2) & 0x8000:
        return False
    position = 12
    for _ in range(min(_at(data, 4), _MAX_RECORDS)):
        name, position = _read_name(data, position)
        if name == service and _at(data, position) in (PTR, _ANY):
            return True
        position += 4
    return False


def services(data: bytes, service: str) -> list:
    """The (address, port) pairs that an answer tells for `service`. Raises Malformed."""
    instances, places, addresses = [], {}, {}
    for name, kind, start, size in _records(data):
        if kind == PTR and name == service:
            instances.append(_read_name(data, start)[0])
        elif kind == SRV:
            places[name] = (_read_name(data, start + 6)[0], _at(data, start + 4))
        elif kind == A and size == 4:
            addresses[name] = ".".join([str(part) for part in data[start : start + 4]])
    found = [places[instance] for instance in instances if instance in places]
    return [(addresses[host], port) for host, port in found if host in addresses]


def _records(data: bytes) -> list:
    position = 12
    for _ in range(min(_at(data, 4), _MAX_RECORDS)):
        position = _read_name(data, position)[1] + 4
    records = []
    for _ in range(min(_at(data, 6) + _at(data, 8) + _at(data, 10), _MAX_RECORDS)):
        name, position = _read_name(data, position)
        size = _at(data, position + 8)
        if position + 10 + size > len(data):
            raise Malformed("record is cut")
        records.append((name, _at(data, position), position + 10, size))
        position += 10 + size
    return records


def _header(flags: int, questions: int, answers: int) -> bytes:
    return _number(0) + _number(flags) + _number(questions) + _number(answers) + bytes(4)


def _record(name: str, kind: int, record_class: int, data: bytes) -> bytes:
    return _name(name) + _number(kind) + _number(record_class) + _TTL_S.to_bytes(4, "big") + _number(len(data)) + data


def _number(value: int) -> bytes:
    return value.to_bytes(2, "big")


def _name(name: str) -> bytes:
    labels = [label.encode() for label in name.split(".")]
    return b"".join([bytes([len(label)]) + label for label in labels]) + b"\x00"


def _at(data: bytes, position: int) -> int:
    if position + 2 > len(data):
        raise Malformed("message is cut")
    return int.from_bytes(data[position : position + 2], "big")


def _read_name(data: bytes, position: int) -> tuple:
    """(lower-case name, position behind it). A pointer must lead backwards, so that there is an end."""
    labels: list = []
    behind, limit, total = None, position, 0
    while True:
        if position >= len(data):
            raise Malformed("name is cut")
        size = data[position]
        if size >= 0xC0:
            behind = position + 2 if behind is None else behind
            position = _at(data, position) & 0x3FFF
            if position >= limit:
                raise Malformed("pointer leads forward")
            limit = position
        elif size == 0:
            return (".".join(labels).lower(), position + 1 if behind is None else behind)
        else:
            total += size + 1
            if size > 63 or total > _MAX_NAME:
                raise Malformed("name is too long")
            labels.append(_label(data[position + 1 : position + 1 + size]))
            position += 1 + size


def _label(data: bytes) -> str:
    try:
        return str(data, "utf-8")
    except ValueError:
        raise Malformed("name is not UTF-8") from None
