"""The access list as a table: identity × action × class of topic; and generated filters against a second opinion."""

import random
from uuid import UUID

import pytest

from edge.access import GATEWAY, Action, Identity, IdentityKind, allowed
from shared.topics import Channel

MACHINE = UUID("01890000-0000-7000-8000-000000000001")
DEVICE = UUID("01890000-0000-7000-8000-00000000000a")
OTHER_MACHINE = UUID("01890000-0000-7000-8000-000000000002")
OTHER_DEVICE = UUID("01890000-0000-7000-8000-00000000000b")

IDENTITIES = {
    "device": Identity(IdentityKind.DEVICE, MACHINE, DEVICE),
    "claiming": Identity(IdentityKind.CLAIMING_DEVICE, MACHINE, DEVICE),
    "gateway": GATEWAY,
}
UP_CHANNELS = [
    "claim",
    "hello",
    "heartbeat",
    "state",
    "outcome",
    "drop",
    "credit",
    "sensor",
    "stock",
    "log",
    "ota",
    "ask",
    "answer",
    "settings",
    "offline",
]

OWN = {f"own {name}": f"larder/v1/{MACHINE}/{DEVICE}/{name}" for name in [*UP_CHANNELS, "cmd"]}
FOREIGN = {
    **{f"other device's {name}": f"larder/v1/{MACHINE}/{OTHER_DEVICE}/{name}" for name in [*UP_CHANNELS, "cmd"]},
    **{f"other machine's {name}": f"larder/v1/{OTHER_MACHINE}/{DEVICE}/{name}" for name in ["hello", "cmd", "claim"]},
}
CROOKED = {
    "nothing": "",
    "everything": "#",
    "own everything": f"larder/v1/{MACHINE}/{DEVICE}/#",
    "own any channel": f"larder/v1/{MACHINE}/{DEVICE}/+",
    "any device's cmd": f"larder/v1/{MACHINE}/+/cmd",
    "any machine's cmd": f"larder/v1/+/{DEVICE}/cmd",
    "all wildcards": "+/+/+/+/+",
    "system": "$SYS/broker/clients",
    "shared subscription": f"$share/g/larder/v1/{MACHINE}/{DEVICE}/cmd",
    "dollar root": f"$larder/v1/{MACHINE}/{DEVICE}/cmd",
    "empty level in front": f"/larder/v1/{MACHINE}/{DEVICE}/cmd",
    "empty level behind": f"larder/v1/{MACHINE}/{DEVICE}/cmd/",
    "empty level inside": f"larder/v1//{DEVICE}/cmd",
    "level too many": f"larder/v1/{MACHINE}/{DEVICE}/cmd/x",
    "level too few": f"larder/v1/{MACHINE}/cmd",
    "other version": f"larder/v2/{MACHINE}/{DEVICE}/cmd",
    "other root": f"Larder/v1/{MACHINE}/{DEVICE}/cmd",
    "unknown channel": f"larder/v1/{MACHINE}/{DEVICE}/reboot",
    "upper-case channel": f"larder/v1/{MACHINE}/{DEVICE}/CMD",
    "upper-case id": f"larder/v1/{str(MACHINE).upper()}/{str(DEVICE).upper()}/cmd",
    "id without hyphens": f"larder/v1/{MACHINE.hex}/{DEVICE.hex}/cmd",
    "id in braces": f"larder/v1/{MACHINE}/{{{DEVICE}}}/cmd",
    "id as a urn": f"larder/v1/{MACHINE}/urn:uuid:{DEVICE}/cmd",
    "other digits": f"larder/v1/{MACHINE}/{DEVICE}/cmd".replace("1", "\N{ARABIC-INDIC DIGIT ONE}"),
    "wildcard in an id": f"larder/v1/{MACHINE}/{str(DEVICE)[:-1]}+/cmd",
    "hash in an id": f"larder/v1/{MACHINE}/{str(DEVICE)[:-1]}#/cmd",
    "dollar in an id": f"larder/v1/{MACHINE}/${str(DEVICE)[1:]}/cmd",
    "dot-dot": f"larder/v1/{MACHINE}/../{DEVICE}/cmd",
    "blank at the end": f"larder/v1/{MACHINE}/{DEVICE}/cmd ",
    "line end": f"larder/v1/{MACHINE}/{DEVICE}/cmd\n",
    "very long": "larder/v1/" + "a/" * 5_000,
}
TOPICS = OWN | FOREIGN | CROOKED

GRANTS = {
    ("device", "publish"): {f"own {name}" for name in UP_CHANNELS if name != "claim"},
    ("device", "subscribe"): {"own cmd"},
    ("device", "receive"): {"own cmd"},
    ("device", "will"): {"own offline"},
    ("claiming", "publish"): {"own claim"},
    ("claiming", "subscribe"): {"own cmd"},
    ("claiming", "receive"): {"own cmd"},
    ("claiming", "will"): set(),
    ("gateway", "publish"): {"own cmd", "other device's cmd", "other machine's cmd"},
    ("gateway", "subscribe"): set(),
    ("gateway", "receive"): {name for name in OWN | FOREIGN if not name.endswith(" cmd")},
    ("gateway", "will"): set(),
}
CELLS = [(identity, action, topic) for identity in IDENTITIES for action in Action for topic in TOPICS]


def test_the_table_is_large_enough() -> None:
    assert len(CELLS) >= 500


def test_the_table_knows_every_channel() -> None:
    assert set(UP_CHANNELS) | {"cmd"} == set(Channel)


@pytest.mark.parametrize(("who", "action"), GRANTS.keys())
def test_exactly_the_granted_topics(who: str, action: str) -> None:
    granted = {name for name, topic in TOPICS.items() if allowed(IDENTITIES[who], Action(action), topic)}
    assert granted == GRANTS[who, action]


def test_nothing_may_be_retained() -> None:
    assert not [cell for cell in CELLS if allowed(IDENTITIES[cell[0]], cell[1], TOPICS[cell[2]], retain=True)]


def test_generated_filters_grant_nothing_but_the_own_command_topic() -> None:
    """Independent: a filter is as strong as the topics it matches, found by an MQTT matcher written here."""
    seed = 9
    print(f"seed {seed}")
    source = random.Random(seed)
    me = IDENTITIES["device"]
    own = OWN["own cmd"]
    universe = [*OWN.values(), *FOREIGN.values(), "$SYS/x", "larder", "/"]
    granted = 0
    for _ in range(10_000):
        pattern = generate(source)
        reached = {topic for topic in universe if matches(pattern, topic)}
        verdict = allowed(me, Action.SUBSCRIBE, pattern)
        granted += verdict
        assert verdict == (pattern == own), pattern
        assert not verdict or reached == {own}, pattern
    assert granted > 100, "the generator must also produce what is allowed"


def generate(source: random.Random) -> str:
    """The own command topic with 0 to 3 mutations."""
    levels = OWN["own cmd"].split("/")
    for _ in range(source.choice((0, 1, 1, 2, 3))):
        where = source.randrange(len(levels))
        mutation = source.randrange(6)
        if mutation == 0:
            levels[where] = source.choice(
                ("+", "#", "", "$SYS", "$share", "cmd", str(OTHER_DEVICE), str(OTHER_MACHINE))
            )
        elif mutation == 1:
            levels.insert(where, source.choice(("+", "#", "", "x")))
        elif mutation == 2 and len(levels) > 1:
            del levels[where]
        elif mutation == 3:
            levels[where] += source.choice("+#$/\u00e9 a0")
        elif mutation == 4:
            levels = [*levels[:where], "#"]
        else:
            levels[where] = levels[where].upper()
    return "/".join(levels)


def matches(pattern: str, topic: str) -> bool:
    """Section 4.7 of MQTT 3.1.1, by recursion over levels."""
    if topic.startswith("$") and pattern[:1] in ("+", "#"):
        return False
    return match_levels(pattern.split("/"), topic.split("/"))


def match_levels(pattern: list[str], topic: list[str]) -> bool:
    if not pattern:
        return not topic
    if pattern == ["#"]:
        return True
    return bool(topic) and pattern[0] in ("+", topic[0]) and match_levels(pattern[1:], topic[1:])
