"""DNS on a board's own network: every name leads to it, and nothing that is sent there upsets it."""

import asyncio
import random
import socket

import pytest

from firmware.vending import setup_names
from firmware.vending.setup_names import answer

A, AAAA, ANY = 1, 28, 255
OWN = "192.168.4.1"


def query(name: str, kind: int = A, flags: int = 0x0100) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = labels + b"\0" + kind.to_bytes(2, "big") + b"\0\1"
    return b"\xbe\xef" + flags.to_bytes(2, "big") + b"\0\1" + bytes(6) + question


@pytest.mark.parametrize("name", ["captive.apple.com", "connectivitycheck.gstatic.com", "x"])
@pytest.mark.parametrize("kind", [A, ANY])
def test_every_name_is_this_board(name: str, kind: int) -> None:
    asked = query(name, kind)
    told = answer(asked, OWN)
    assert told is not None
    assert told[:12] == b"\xbe\xef\x85\x80\0\1\0\1\0\0\0\0"
    assert told[12 : len(asked)] == asked[12:]
    assert told[len(asked) :] == b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + bytes([192, 168, 4, 1])


def test_there_is_no_address_of_another_kind() -> None:
    asked = query("captive.apple.com", AAAA)
    assert answer(asked, OWN) == b"\xbe\xef\x85\x80\0\1\0\0\0\0\0\0" + asked[12:]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        query("a.b")[:11],
        query("a.b")[:-3],
        query("a.b", flags=0x8180),
        query("a.b", flags=0x2800),
        query("a.b")[:4] + b"\0\2" + query("a.b")[6:],
        query("a.b")[:12] + b"\xc0\x0c\0\1\0\1",
        query("a.b")[:12] + b"\x3f",
    ],
)
def test_what_is_no_single_question_is_not_answered(data: bytes) -> None:
    assert answer(data, OWN) is None


def test_no_bytes_upset_it() -> None:
    chance = random.Random(7)
    for _ in range(3000):
        data = bytearray(query("some.name.example"))
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        told = answer(bytes(data[: chance.randrange(len(data) + 1)]), OWN)
        assert told is None or len(told) <= len(data) + 16


async def test_it_answers_over_the_wire() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone,
    ):
        for one in (wire, phone):
            one.setblocking(False)
            one.bind(("127.0.0.1", 0))
        serving = asyncio.create_task(setup_names.run(wire, OWN))
        phone.sendto(b"no question", wire.getsockname())
        phone.sendto(query("captive.apple.com"), wire.getsockname())
        async with asyncio.timeout(5):
            told = await asyncio.get_running_loop().sock_recv(phone, 512)
        assert told.endswith(bytes([192, 168, 4, 1]))
        serving.cancel()
