"""The guard's packet codec: what it reads, what it refuses, and that nothing makes it fail in another way."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import packets
from edge.packets import (
    MAX_PACKET,
    Connect,
    Disconnect,
    MalformedPacket,
    PacketDecoder,
    PacketTooLarge,
    Pingreq,
    Publish,
    Subscribe,
    Unsubscribe,
    UnsupportedProtocol,
    Will,
)
from tests.fakes import raw_mqtt
from tests.fakes.raw_mqtt import packet, text


def decode(data: bytes) -> packets.ClientPacket | None:
    decoder = PacketDecoder()
    decoder.feed(data)
    return decoder.next_packet()


def test_connect_with_everything() -> None:
    data = raw_mqtt.connect_packet("me", "user", b"\x00pass", keep_alive=77, clean=False, will=("a/b", b"gone"))
    assert decode(data) == Connect("me", "user", b"\x00pass", 77, False, Will("a/b", b"gone", 0, False))


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(decode(raw_mqtt.connect_packet("me", "user", b"secret")))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (raw_mqtt.publish_packet("a/b", b"x"), Publish("a/b", b"x")),
        (raw_mqtt.publish_packet("a", b"", qos=1, packet_id=9), Publish("a", b"", 1, False, False, 9)),
        (packet(0x3B, text("a") + b"\0\7x"), Publish("a", b"x", 1, True, True, 7)),
        (raw_mqtt.subscribe_packet(3, "a/+", "#", qos=1), Subscribe(3, (("a/+", 1), ("#", 1)))),
        (raw_mqtt.unsubscribe_packet(4, "a", "b/#"), Unsubscribe(4, ("a", "b/#"))),
        (raw_mqtt.PINGREQ, Pingreq()),
        (raw_mqtt.DISCONNECT, Disconnect()),
    ],
)
def test_each_packet_is_read_whole_and_byte_by_byte(data: bytes, expected: packets.ClientPacket) -> None:
    assert decode(data) == expected
    decoder = PacketDecoder()
    for byte in data[:-1]:
        decoder.feed(bytes([byte]))
        assert decoder.next_packet() is None
    decoder.feed(data[-1:])
    assert decoder.next_packet() == expected
    assert decoder.next_packet() is None


CONNECT_HEAD = text("MQTT") + b"\x04"
MALFORMED = {
    "type 0": b"\x00\x00",
    "type 15": b"\xf0\x00",
    "a server's packet": b"\x20\x02\x00\x00",
    "an acknowledgement of nothing": b"\x40\x02\x00\x01",
    "reserved flags of PINGREQ": b"\xc1\x00",
    "reserved flags of SUBSCRIBE": packet(0x80, b"\0\1" + text("a") + b"\0"),
    "five bytes of length": b"\x30\x80\x80\x80\x80\x01",
    "length not in its shortest form": b"\xc0\x80\x00",
    "PINGREQ with a body": packet(0xC0, b"x"),
    "QoS 3": packet(0x36, text("a") + b"\0\1"),
    "DUP on QoS 0": packet(0x38, text("a")),
    "empty topic": packet(0x30, text("")),
    "wildcard + in a topic": packet(0x30, text("a/+")),
    "wildcard # in a topic": packet(0x30, text("#")),
    "NUL in a topic": packet(0x30, text("a\0b")),
    "surrogate in a topic": packet(0x30, text(b"\xed\xa0\x80")),
    "overlong UTF-8 in a topic": packet(0x30, text(b"\xc0\xaf")),
    "topic longer than the packet": packet(0x30, b"\0\x09abc"),
    "packet id 0 in PUBLISH": packet(0x32, text("a") + b"\0\0"),
    "packet id 0 in SUBSCRIBE": packet(0x82, b"\0\0" + text("a") + b"\0"),
    "SUBSCRIBE without filters": packet(0x82, b"\0\1"),
    "SUBSCRIBE with QoS 3": packet(0x82, b"\0\1" + text("a") + b"\3"),
    "SUBSCRIBE with a reserved bit": packet(0x82, b"\0\1" + text("a") + b"\x80"),
    "SUBSCRIBE to an empty filter": packet(0x82, b"\0\1" + text("") + b"\0"),
    "# before the end": packet(0x82, b"\0\1" + text("a/#/b") + b"\0"),
    "# inside a level": packet(0x82, b"\0\1" + text("a#") + b"\0"),
    "+ inside a level": packet(0x82, b"\0\1" + text("a/b+") + b"\0"),
    "UNSUBSCRIBE without filters": packet(0xA2, b"\0\1"),
    "another protocol": packet(0x10, text("MQIsdp") + b"\x03\x02\0\0" + text("x")),
    "reserved CONNECT flag": packet(0x10, CONNECT_HEAD + b"\x03\0\0" + text("x")),
    "will QoS without a will": packet(0x10, CONNECT_HEAD + b"\x0a\0\0" + text("x")),
    "will retain without a will": packet(0x10, CONNECT_HEAD + b"\x22\0\0" + text("x")),
    "will QoS 3": packet(0x10, CONNECT_HEAD + b"\x1e\0\0" + text("x") + text("w") + text("")),
    "password without a name": packet(0x10, CONNECT_HEAD + b"\x42\0\0" + text("x") + text("p")),
    "user name missing": packet(0x10, CONNECT_HEAD + b"\x82\0\0" + text("x")),
    "bytes after CONNECT": packet(0x10, CONNECT_HEAD + b"\x02\0\0" + text("x") + b"!"),
    "empty CONNECT": packet(0x10),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(data: bytes) -> None:
    with pytest.raises(MalformedPacket):
        decode(data)


@pytest.mark.parametrize("level", [3, 5, 132])
def test_other_protocol_levels_are_told_apart(level: int) -> None:
    with pytest.raises(UnsupportedProtocol):
        decode(raw_mqtt.connect_packet("x", level=level))


def test_the_largest_packet_passes_and_one_byte_more_does_not() -> None:
    overhead = len(raw_mqtt.publish_packet("a", b"x" * 1000)) - 1000
    whole = raw_mqtt.publish_packet("a", b"x" * (MAX_PACKET - overhead))
    assert len(whole) == MAX_PACKET
    assert decode(whole) is not None
    with pytest.raises(PacketTooLarge):
        decode(raw_mqtt.publish_packet("a", b"x" * (MAX_PACKET - overhead + 1)))


def test_a_giant_is_refused_by_its_header_alone() -> None:
    with pytest.raises(PacketTooLarge):
        decode(b"\x30\xff\xff\xff\x7f")


def test_what_the_guard_builds_an_independent_client_reads() -> None:
    assert packets.connack(packets.ConnectCode.NOT_AUTHORISED) == b"\x20\x02\x00\x05"
    assert packets.puback(258) == b"\x40\x02\x01\x02"
    assert packets.suback(1, (0, 0x80)) == b"\x90\x04\x00\x01\x00\x80"
    assert packets.unsuback(2) == b"\xb0\x02\x00\x02"
    assert packets.publish("a", b"x" * 200) == raw_mqtt.publish_packet("a", b"x" * 200)
    assert packets.subscribe(7, ["a", "b"]) == raw_mqtt.subscribe_packet(7, "a", "b")
    assert packets.unsubscribe(7, ["a", "b"]) == raw_mqtt.unsubscribe_packet(7, "a", "b")
    assert packets.connect("me") == raw_mqtt.connect_packet("me", keep_alive=0)


@given(
    st.text(alphabet=st.characters(exclude_characters="+#\0", exclude_categories=["Cs"]), min_size=1, max_size=50),
    st.binary(max_size=300),
)
def test_publish_there_and_back(topic: str, payload: bytes) -> None:
    data = packets.publish(topic, payload)
    assert decode(data) == Publish(topic, payload) == packets.decode_publish(data)


@given(st.binary(max_size=64))
def test_decode_publish_refuses_everything_else(data: bytes) -> None:
    try:
        packets.decode_publish(data)
    except MalformedPacket:
        return
    assert isinstance(decode(data), Publish)


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_in_any_pieces_give_packets_or_malformed(pieces: list[bytes]) -> None:
    whole, cut = PacketDecoder(), PacketDecoder()
    whole.feed(b"".join(pieces))
    seen_whole, seen_cut = drain(whole), []
    for piece in pieces:
        cut.feed(piece)
        seen_cut += drain(cut)
        if seen_cut and seen_cut[-1] == "malformed":
            break
    assert seen_cut == seen_whole


def drain(decoder: PacketDecoder) -> list[object]:
    seen: list[object] = []
    try:
        while (found := decoder.next_packet()) is not None:
            seen.append(found)
    except MalformedPacket:
        seen.append("malformed")
    return seen


@pytest.mark.parametrize(
    ("text_", "good"),
    [
        ("#", True),
        ("+", True),
        ("a/+/b/#", True),
        ("/", True),
        ("", False),
        ("a+", False),
        ("#/a", False),
        ("##", False),
    ],
)
def test_topic_filters(text_: str, good: bool) -> None:
    assert packets.is_filter(text_) is good


def test_random_garbage_seeded() -> None:
    seed = 20_261_122
    print(f"seed {seed}")
    source = random.Random(seed)
    for _ in range(2_000):
        try:
            decode(source.randbytes(source.randrange(1, 60)))
        except MalformedPacket:
            continue
