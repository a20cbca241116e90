"""What the doctor makes of each fact."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from edge.doctor.rules import (
    Broker,
    Certificates,
    CloudProbe,
    Finding,
    Folder,
    Ledger,
    Mdns,
    Place,
    Port,
    State,
    Trust,
    as_text,
    judge_broker,
    judge_certificates,
    judge_clock,
    judge_cloud,
    judge_folder,
    judge_kiosk,
    judge_ledger,
    judge_mdns,
    judge_place,
    judge_port,
    late,
)
from shared.errors import Code

NOW = datetime(2026, 12, 1, tzinfo=UTC)
FOLDER = Folder("/data", exists=True, writable=True, read_only_disk=False, free_bytes=10**10, worn_tenths=None)
REACHED = CloudProbe("https://c.example", "c.example", 443, resolved=True, connected=True, trust=Trust.FINE)
FINE = replace(REACHED, answered=True, is_larder=True, date=NOW)
PLACE = Place(claimed=False, has_bundle=False, has_code=True)
BROKER = Broker(running=True, loopback_only=False, reached=["192.0.2.7"], failures=[])
CA = Certificates(NOW + timedelta(days=9000), NOW + timedelta(days=900), issued=True)
MDNS = Mdns(["192.0.2.7"], running=True, heard_self=True, devices=2)


@pytest.mark.criterion("9.5")
@pytest.mark.parametrize(
    ("found", "state", "told"),
    [
        (judge_folder(FOLDER), State.GOOD, "10000 MB free"),
        (judge_folder(replace(FOLDER, exists=False)), State.WARNING, "not there yet"),
        (judge_folder(replace(FOLDER, read_only_disk=True, writable=False)), State.BAD, "mounted read-only"),
        (judge_folder(replace(FOLDER, writable=False)), State.BAD, "cannot be written"),
        (judge_folder(replace(FOLDER, free_bytes=10**7)), State.BAD, "Storage is full: 10 MB"),
        (judge_folder(replace(FOLDER, free_bytes=10**8)), State.WARNING, "nearly full"),
        (judge_folder(replace(FOLDER, worn_tenths=9)), State.WARNING, "90 % of its life"),
        (judge_ledger(Ledger(running=False, works=True)), State.GOOD, "whole"),
        (judge_ledger(Ledger(running=True, works=True)), State.GOOD, "running gateway"),
        (judge_ledger(Ledger(running=True, works=False, why="ReadTimeout")), State.BAD, "ReadTimeout"),
        (judge_ledger(Ledger(running=False, works=None)), State.WARNING, "none yet"),
        (judge_ledger(Ledger(running=False, works=False, why="not a database")), State.BAD, "not a database"),
        (judge_cloud(FINE, NOW), State.GOOD, "https://c.example answers"),
        (judge_cloud(replace(FINE, proxy="p:3128"), NOW), State.GOOD, "through the proxy p:3128"),
        (judge_cloud(replace(FINE, resolved=False), NOW), State.BAD, "c.example is not found"),
        (judge_cloud(replace(FINE, connected=False, why="no answer"), NOW), State.BAD, "443 cannot be reached"),
        (judge_cloud(replace(REACHED, trust=Trust.EXPIRED), NOW), State.BAD, "has expired"),
        (judge_cloud(replace(FINE, trust=Trust.NOT_YET, date=NOW + timedelta(days=1)), NOW), State.BAD, "off by 24 h"),
        (judge_cloud(replace(REACHED, answered=False), NOW), State.BAD, "says nothing in time"),
        (judge_cloud(replace(FINE, is_larder=False), NOW), State.BAD, "not Larder's cloud"),
        (judge_clock(None, by_network=True), State.GOOD, "time server"),
        (judge_clock(None, by_network=False), State.WARNING, "may be wrong"),
        (judge_clock(timedelta(seconds=59), by_network=False), State.GOOD, "agrees"),
        (judge_clock(timedelta(seconds=-61), by_network=True), State.BAD, "off by 61 s, fast"),
        (judge_clock(timedelta(hours=3), by_network=True), State.BAD, "off by 3 h, slow"),
        (judge_place(replace(PLACE, claimed=True)), State.GOOD, "let this gateway in"),
        (judge_place(replace(PLACE, said=f"claim: {Code.CLAIM_CODE_USED}: x")), State.BAD, "Another gateway"),
        (judge_place(replace(PLACE, has_bundle=True, said=Code.CLAIM_CODE_EXPIRED)), State.BAD, "sells all the same"),
        (judge_place(replace(PLACE, said=Code.CLAIM_CODE_UNKNOWN)), State.BAD, "does not know"),
        (judge_place(PLACE), State.WARNING, "not come in yet"),
        (judge_place(replace(PLACE, has_code=False)), State.BAD, "no place"),
        (judge_port(Port("mqtt_port", 8883, ours=True, taken_by=None)), State.GOOD, "running gateway has it"),
        (judge_port(Port("mqtt_port", 8883, ours=False, taken_by="mosquitto")), State.BAD, "taken by mosquitto"),
        (judge_port(Port("mqtt_port", 8883, ours=False, taken_by=None)), State.GOOD, "free"),
        (judge_broker(BROKER), State.GOOD, "192.0.2.7"),
        (judge_broker(replace(BROKER, running=False)), State.WARNING, "does not run"),
        (judge_broker(replace(BROKER, failures=[("192.0.2.7", "no answer")])), State.BAD, "192.0.2.7: no answer"),
        (judge_broker(replace(BROKER, loopback_only=True)), State.WARNING, "this machine alone"),
        (judge_certificates(CA, NOW), State.GOOD, "until 2051"),
        (judge_certificates(replace(CA, damaged="ca.pem"), NOW), State.BAD, "damaged: ca.pem"),
        (judge_certificates(Certificates(None, None, issued=False), NOW), State.WARNING, "none yet"),
        (judge_certificates(replace(CA, ca_ends=NOW + timedelta(days=59)), NOW), State.BAD, "ends soon"),
        (judge_certificates(replace(CA, issued=False), NOW), State.BAD, "not signed by it"),
        (judge_certificates(replace(CA, server_ends=NOW - timedelta(days=1)), NOW), State.BAD, "has expired"),
        (judge_mdns(MDNS), State.GOOD, "2 board(s)"),
        (judge_mdns(replace(MDNS, interfaces=[])), State.WARNING, "does not say where it is"),
        (judge_mdns(replace(MDNS, why="no such address")), State.BAD, "no such address"),
        (judge_mdns(replace(MDNS, heard_self=False)), State.BAD, "own announcement"),
        (judge_mdns(replace(MDNS, unexpected=["0190"])), State.WARNING, "Unknown board found"),
        (judge_mdns(replace(MDNS, devices=0)), State.WARNING, "No mDNS answers"),
        (judge_kiosk("http://k", running=True, status=200), State.GOOD, "answers"),
        (judge_kiosk("http://k", running=True, status=503), State.BAD, "not ready"),
        (judge_kiosk("http://k", running=True, status=None, why="ReadTimeout"), State.BAD, "ReadTimeout"),
        (judge_kiosk("http://k", running=False, status=None), State.WARNING, "does not run"),
        (late("ledger", 12), State.BAD, "within 12 s"),
    ],
)
def test_what_is_made_of_it(found: Finding, state: State, told: str) -> None:
    assert found.state is state
    assert told in found.told
    assert (found.to_do is None) is (state is State.GOOD), "what is wrong comes with what to do"


def test_colours_are_for_terminals() -> None:
    findings = [judge_ledger(Ledger(running=False, works=True)), late("cloud", 12)]
    plain, coloured = as_text(findings, colours=False), as_text(findings, colours=True)
    assert plain.splitlines()[0] == "ok    ledger: It opens and is whole."
    assert plain.splitlines()[2].startswith("      → Run the doctor again")
    assert ("\x1b[31mBAD" in coloured, "\x1b" in plain) == (True, False)
