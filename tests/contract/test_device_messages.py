"""The firmware's wire is shared/'s wire: topics, MACs, every command parsed, every message valid."""

import json
from base64 import b64encode
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from firmware.vending import claim, greeting, messages, rules
from firmware.vending import topics as device_topics
from shared import devices as wire
from shared import parcels, releases, topics, upkeep
from shared.commands import COMMAND, Command, mac_of
from shared.signed import Purpose
from shared.topics import Channel, Topic

MAC = "0" * 64
epochs = st.integers(1, 2**31 - 1)
seqs = st.integers(1, 2**53 - 1)
slots = st.from_regex(r"\A[A-Z][0-9]{1,2}\Z")
nonces = st.from_regex(r"\A[0-9a-f]{16}\Z")
digests = st.from_regex(r"\A[0-9a-f]{64}\Z")
vend = {"epoch": epochs, "seq": seqs, "vend_id": st.uuids(), "mac": digests}
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(wire.Dispense, **vend, slot=slots, nonce=nonces),
    st.builds(wire.Cancel, **vend),
    st.builds(wire.Query, **vend),
    st.builds(wire.Acknowledge, **vend),
    st.builds(wire.AcknowledgeCredit, credit_id=st.uuids(), mac=digests),
    st.builds(wire.AcceptMoney, currency=st.from_regex(r"\A[A-Z]{3}\Z"), nonce=nonces, mac=digests),
    st.builds(wire.RefuseMoney, mac=digests),
    st.builds(wire.Claimed, mac=digests),
)
request = {"request_id": st.uuids(), "nonce": nonces, "mac": digests}
errands: st.SearchStrategy[Command] = st.one_of(
    st.builds(
        parcels.Offer,
        purpose=st.sampled_from(Purpose),
        digest=digests,
        size=st.integers(1, 32_768),
        nonce=nonces,
        mac=digests,
    ),
    st.builds(
        parcels.Piece,
        digest=digests,
        offset=st.integers(0, parcels.MAX_PARCEL_BYTES),
        data=st.binary(max_size=parcels.PIECE_BYTES).map(lambda data: b64encode(data).decode()),
        mac=digests,
    ),
    st.builds(releases.Leave, digest=digests, nonce=nonces, mac=digests),
    st.builds(upkeep.Restart, **request),
    st.builds(upkeep.Jog, **request, slot=slots, pin=st.from_regex(r"\A[0-9]{4,8}\Z")),
    st.builds(upkeep.ReleaseZone, **request, zone=st.from_regex(r"\A[a-z0-9_-]{1,16}\Z")),
    st.builds(upkeep.SetTime, now=st.integers(0, 2**53 - 1), nonce=nonces, mac=digests),
)
trooleans = st.sampled_from([True, False, None])
evidences = st.builds(rules.Evidence, trooleans, trooleans, trooleans, trooleans, st.none() | st.integers(0, 600_000))
ids = st.uuids().map(str)
vends = st.builds(
    rules.Vend,
    epochs,
    seqs,
    ids,
    st.none() | slots,
    st.just(rules.ENDED),
    st.sampled_from([rules.DONE, rules.INTERRUPTED, rules.NOT_STARTED, rules.CANCELLED]),
    st.none() | evidences,
)


@given(commands)
def test_every_command_is_understood(command: Command) -> None:
    parsed = messages.parse(command.to_line())
    for name in ("type", "epoch", "seq", "vend_id", "slot", "nonce", "credit_id", "mac"):
        expected = getattr(command, name, None)
        assert getattr(parsed, name) == (str(expected) if isinstance(expected, UUID) else expected)


@given(errands)
def test_every_errand_is_understood(errand: Command) -> None:
    parsed = messages.parse(errand.to_line())
    assert isinstance(parsed, messages.Errand)
    assert (parsed.type, parsed.mac) == (errand.type, errand.mac)
    assert parsed.fields == json.loads(errand.to_line())


@given(commands | errands, st.binary(min_size=1, max_size=80), st.uuids(), st.uuids())
def test_both_sides_make_the_same_mac(command: Command, key: bytes, machine: UUID, device: UUID) -> None:
    parsed = messages.parse(command.to_line())
    mac = mac_of(key, machine, device, command)
    assert messages.mac_of(key, str(machine), str(device), parsed) == mac
    signed = messages.parse(command.model_copy(update={"mac": mac}).to_line())
    assert messages.is_authentic(key, str(machine), str(device), signed)
    assert not messages.is_authentic(key + b"x", str(machine), str(device), signed)


@given(st.uuids(), st.uuids(), st.sampled_from(Channel))
def test_both_sides_build_the_same_topics(machine: UUID, device: UUID, channel: Channel) -> None:
    built = device_topics.topic(str(machine), str(device), channel.value)
    assert built == str(Topic(machine, device, channel))
    assert topics.parse(built) == Topic(machine, device, channel)


def test_the_firmware_knows_no_channel_of_its_own() -> None:
    own = {value for name, value in vars(device_topics).items() if name.isupper() and name != "ROOT"}
    assert device_topics.ROOT == topics.ROOT
    assert own <= {channel.value for channel in Channel}
    assert {"cmd", "claim", "hello", "heartbeat", "state", "outcome", "drop", "credit", "stock"} <= own


@given(commands | errands, st.data())
def test_anything_else_is_refused_with_a_reason(command: Command, data: st.DataObject) -> None:
    fields = json.loads(command.to_line())
    name = data.draw(st.sampled_from(sorted(fields)))
    wrong: Any = data.draw(st.sampled_from([None, True, -1, 0, 1.0, "", "x", [], {}, 2**63]))
    for changed in (
        {**fields, "unknown": 1},
        {key: value for key, value in fields.items() if key != name},
        {**fields, name: wrong},
    ):
        payload = json.dumps(changed).encode()
        with suppress(ValidationError):
            # An empty piece, say, is as good as a full one.
            COMMAND.validate_json(payload)
            continue
        with pytest.raises(messages.MessageError):
            messages.parse(payload)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_noise_is_refused(payload: bytes) -> None:
    with pytest.raises(messages.MessageError):
        messages.parse(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"v":1}' + b" " * 5000,
        b"[" * 4096,
        b'{"v":' + b"9" * 4000 + b"}",
        b'{"v":1,"type":"dispense"}',
        b"null",
        b'"{"',
    ],
)
def test_hostile_payloads_are_refused(payload: bytes) -> None:
    with pytest.raises(messages.MessageError):
        messages.parse(payload)


@given(vends, ids)
def test_reports_and_drops_are_valid(ended: rules.Vend, boot_id: str) -> None:
    report = wire.VendReport.model_validate_json(messages.report(boot_id, ended))
    assert (report.epoch, report.seq, str(report.vend_id), report.slot) == ended[:4]
    assert report.result == ended.result
    told = None if report.evidence is None else tuple(report.evidence.model_dump().values())
    assert told == ended.evidence
    assert wire.Drop.model_validate_json(messages.drop(boot_id, ended)).seq == ended.seq


@given(
    st.builds(
        rules.Answer,
        epochs,
        seqs,
        ids,
        st.sampled_from([state.value for state in wire.VendState]),
        st.none() | st.sampled_from([reason.value for reason in wire.Refusal]),
    ),
    ids,
    nonces,
)
def test_answers_are_valid(answer: rules.Answer, boot_id: str, nonce: str) -> None:
    told = wire.VendAnswer.model_validate_json(messages.answer(boot_id, nonce, answer))
    assert (told.state, told.reason, told.nonce) == (answer.state, answer.reason, nonce)


@given(st.lists(vends, max_size=16), epochs, seqs, ids, ids, nonces)
def test_hellos_are_valid(
    open_vends: list[rules.Vend], epoch: int, seq: int, boot_id: str, journal_id: str, nonce: str
) -> None:
    journal = rules.Journal((epoch, seq), tuple(open_vends), ())
    hello = wire.Hello.model_validate_json(greeting.hello(boot_id, "0.1.0", nonce, journal_id, journal, 2))
    assert (hello.epoch, hello.seq, hello.nonce) == (epoch, seq, nonce)
    assert (str(hello.boot_id), str(hello.journal_id)) == (boot_id, journal_id)
    assert [(told.epoch, told.seq, str(told.vend_id)) for told in hello.open] == [one[:3] for one in open_vends]
    wire.Hello.model_validate_json(greeting.hello(boot_id, "0.1.0", nonce, journal_id, rules.EMPTY, 1))


@given(ids, nonces, digests, st.integers(1, 10**8), slots, st.booleans())
def test_all_other_messages_are_valid(
    boot_id: str, nonce: str, digest: str, amount: int, slot: str, empty: bool
) -> None:
    assert wire.Claim.model_validate_json(claim.message(digest, digest)).command_key == digest
    assert wire.Credit.model_validate_json(messages.credit(boot_id, boot_id, amount, "INR")).amount_minor == amount
    assert wire.StockSensed.model_validate_json(messages.stock(boot_id, slot, empty)).empty is empty


def test_words_and_figures_are_the_contracts() -> None:
    assert upkeep.UNKNOWN_ZONE == messages.UNKNOWN_ZONE
    assert wire.MAX_MESSAGE_BYTES == messages.MAX_BYTES
    assert wire.NONCE_LIFE_S * 1000 == rules.NONCE_LIFE_MS
    assert wire.MAX_AT_ONCE == rules.MAX_AT_ONCE
    states = {rules.UNSEEN, rules.FORGOTTEN, rules.ACCEPTED, rules.STARTED, rules.REFUSED}
    assert states == {state.value for state in wire.VendState}
    refusals = {rules.STALE_NONCE, rules.UNKNOWN_SLOT, rules.ZONE_LOCKED, rules.BUSY, rules.JOURNAL_FULL}
    assert refusals == {reason.value for reason in wire.Refusal} - {"old_epoch"}
    results = {rules.DONE, rules.INTERRUPTED, rules.NOT_STARTED, rules.CANCELLED}
    assert results == {result.value for result in wire.VendResult}


def test_the_largest_hello_fits_the_wire() -> None:
    biggest = rules.Vend(2**31 - 1, 2**53 - 1, "f" * 8 + "-ffff-ffff-ffff-" + "f" * 12, "A99", "accepted", None, None)
    journal = rules.Journal((2**31 - 1, 2**53 - 1), (biggest,) * rules.MAX_RECORDED, ())
    hello = greeting.hello(biggest.vend_id, "0" * 40, "0" * 16, biggest.vend_id, journal, 4)
    assert len(hello) <= wire.MAX_MESSAGE_BYTES
