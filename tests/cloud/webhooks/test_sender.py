"""What leaves, and to which address: over real connections on loopback."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from cloud.clock import Clock
from cloud.webhooks.destinations import Address, Allowed
from cloud.webhooks.rules import Answer
from cloud.webhooks.sender import ANSWER_BYTES, Sender, SystemResolver
from tests.cloud.test_certificates import make
from tests.fakes.webhook_receiver import SILENCE, WebhookReceiver, answer, webhook_receiver

BODY = b'{"type":"ping"}'
HERE = "127.0.0.1"


@dataclass
class RebindingResolver:
    """Another answer each time, as a name server of an attacker gives; the last one again and again."""

    answers: list[list[str]]
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str) -> Sequence[Address]:
        self.asked.append(host)
        told = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not told:
            raise OSError("no such name")
        return [ip_address(text) for text in told]


def sender(
    receiver: WebhookReceiver, resolver: RebindingResolver, *, networks: str = f"{HERE}/32", total_seconds: float = 15.0
) -> Sender:
    allowed = Allowed(frozenset({receiver.port}), [ip_network(text) for text in networks.split()], http=True)
    return Sender(allowed, Clock(), resolver=resolver, total_seconds=total_seconds)


async def post(receiver: WebhookReceiver, resolver: RebindingResolver, host: str = "erp.example.com") -> Answer:
    url = f"http://{host}:{receiver.port}/in?key=1"
    return await sender(receiver, resolver).post(url, {"webhook-id": "1"}, BODY)


async def test_a_name_is_looked_up_once_and_the_checked_address_is_the_one_connected_to() -> None:
    resolver = RebindingResolver([[HERE], ["127.0.0.2"]])
    async with webhook_receiver() as receiver:
        told = await post(receiver, resolver)
    assert (told.status, told.problem) == (204, None)
    assert resolver.asked == ["erp.example.com"]
    (received,) = receiver.received
    assert received.line == "POST /in?key=1 HTTP/1.1"
    assert received.headers["host"] == f"erp.example.com:{receiver.port}"
    assert received.body == BODY


@pytest.mark.parametrize(
    "answers", [["127.0.0.2"], ["10.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], [HERE, "169.254.169.254"], ["fe80::1%lo"]]
)
async def test_a_name_that_leads_inside_is_not_connected_to(answers: list[str]) -> None:
    async with webhook_receiver() as receiver:
        told = await post(receiver, RebindingResolver([answers]))
    assert told.status is None
    assert told.problem == "not sent: the URL leads to an address that is not on the internet"
    assert receiver.received == []


async def test_the_systems_resolver_knows_loopback_however_many_ask_at_once() -> None:
    resolver = SystemResolver()
    for found in await asyncio.gather(*(resolver("localhost") for _ in range(3))):
        assert all(address.is_loopback for address in found)
        assert found


async def test_each_message_is_checked_anew() -> None:
    resolver = RebindingResolver([[HERE], ["127.0.0.2"]])
    async with webhook_receiver() as receiver:
        assert (await post(receiver, resolver)).is_success
        assert not (await post(receiver, resolver)).is_success
    assert len(receiver.received) == 1


async def test_a_redirect_is_told_and_not_followed() -> None:
    resolver = RebindingResolver([[HERE]])
    async with webhook_receiver() as receiver:
        receiver.answers.append(answer(302, Location=f"http://127.0.0.1:{receiver.port}/elsewhere"))
        told = await post(receiver, resolver)
    assert (told.status, told.is_success) == (302, False)
    assert len(receiver.received) == 1


async def test_of_a_long_answer_the_first_kilobyte_is_kept() -> None:
    async with webhook_receiver() as receiver:
        receiver.answers += [answer(200, b"\0" + b"a" * 5_000_000), answer(500, b"4111 1111 1111 1111 \xff")]
        long = await post(receiver, RebindingResolver([[HERE]]))
        odd = await post(receiver, RebindingResolver([[HERE]]))
    assert (long.status, len(long.text), long.text[:2]) == (200, ANSWER_BYTES, "\ufffda")
    assert (odd.problem, odd.text) == ("status 500", "*** \ufffd")


async def test_what_goes_wrong_is_an_answer() -> None:
    resolver = RebindingResolver([[HERE]])
    async with webhook_receiver() as receiver:
        receiver.answers += [SILENCE, b"no http\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: " + b"a" * 300_000]
        hurried = sender(receiver, resolver, total_seconds=0.05)
        url = f"http://erp.example.com:{receiver.port}/"
        told = [await hurried.post(url, {}, BODY), await post(receiver, resolver), await post(receiver, resolver)]
        told.append(await post(receiver, RebindingResolver([[]])))
        told.append(await hurried.post("http://user@erp.example.com/", {}, BODY))
    told.append(await post(receiver, resolver))
    assert [answer.status for answer in told] == [None] * 6
    silent, gibberish, endless, nameless, userinfo, away = [answer.problem or "" for answer in told]
    assert silent == "no answer in time"
    assert gibberish.startswith("no answer: ")
    assert endless.startswith("no answer: ")
    assert nameless == "no answer: its name was not found"
    assert userinfo.startswith("not sent: the URL must hold no user")
    assert away.startswith("no answer: ")


async def test_an_answer_that_breaks_off_counts_by_its_status() -> None:
    async with webhook_receiver() as receiver:
        receiver.answers += [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", answer(503, Retry_After="120")]
        half = await post(receiver, RebindingResolver([[HERE]]))
        busy = await post(receiver, RebindingResolver([[HERE]]))
    assert (half.is_success, half.text) == (True, "half")
    assert busy.retry_after is not None
    assert busy.retry_after.total_seconds() == 120


async def test_tls_checks_the_name_though_an_address_is_connected_to(tmp_path: Path) -> None:
    certificate = make(tmp_path, 1)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, tmp_path / "key.pem")
    async with webhook_receiver(served) as receiver:
        allowed = Allowed(frozenset({receiver.port}), [ip_network(f"{HERE}/32")])
        trusting = Sender(
            allowed,
            Clock(),
            resolver=RebindingResolver([[HERE]]),
            context=ssl.create_default_context(cafile=str(certificate)),
        )
        told = await trusting.post(f"https://localhost:{receiver.port}/", {}, BODY)
        other = await trusting.post(f"https://erp.example.com:{receiver.port}/", {}, BODY)
        stranger = await Sender(allowed, Clock(), resolver=RebindingResolver([[HERE]])).post(
            f"https://localhost:{receiver.port}/", {}, BODY
        )
    assert (told.status, told.problem) == (204, None)
    assert [answer.status for answer in (other, stranger)] == [None, None]
    assert "certificate" in (other.problem or "").lower()
    assert receiver.names == ["localhost", "erp.example.com", "localhost"]
    assert len(receiver.received) == 1
