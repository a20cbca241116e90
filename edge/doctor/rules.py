"""What the facts of a gateway mean, and what to do about them. Pure: `service` gathers them, each within a deadline."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shared.contract import Message
from shared.errors import Code

LITTLE_ROOM_BYTES = 512 * 1024 * 1024
NO_ROOM_BYTES = 32 * 1024 * 1024
"""Below it the gateway cannot keep its reserve, and sells no more."""
WORN_TENTHS = 9
"""Of an eMMC's life, as it says itself."""
TOKEN_LEEWAY = timedelta(seconds=60)
SOON = timedelta(days=60)


class State(StrEnum):
    """How a check ended. Only `bad` makes the program end with 1."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


class Finding(Message):
    """What one check found, and what to do about it; nothing when all is well."""

    check: str
    state: State
    told: str
    to_do: str | None = None


def good(check: str, told: str) -> Finding:
    """All is well there."""
    return Finding(check=check, state=State.GOOD, told=told)


def warning(check: str, told: str, to_do: str) -> Finding:
    """It works, but not for ever, or not for everybody."""
    return Finding(check=check, state=State.WARNING, told=told, to_do=to_do)


def bad(check: str, told: str, to_do: str) -> Finding:
    """It does not work."""
    return Finding(check=check, state=State.BAD, told=told, to_do=to_do)


@dataclass(frozen=True, slots=True)
class Folder:
    """Where all that must survive lies. `worn_tenths`: of the storage's life, None where it does not say."""

    path: str
    exists: bool
    writable: bool
    read_only_disk: bool
    free_bytes: int
    worn_tenths: int | None


def judge_folder(found: Folder) -> Finding:
    """The data folder and the storage that it lies on."""
    check, free = "data folder", f"{found.free_bytes // 1_000_000} MB free"
    if not found.exists:
        return warning(check, f"{found.path} is not there yet.", "Start the gateway once; it makes the folder.")
    if found.read_only_disk:
        told = f"The storage under {found.path} is mounted read-only, as Linux does with one that fails."
        return bad(check, told, "Copy what is on it, and replace the card or disk.")
    if not found.writable:
        return bad(check, f"{found.path} cannot be written to.", "Give it to the user that the gateway runs as.")
    if found.free_bytes < NO_ROOM_BYTES:
        return bad(check, f"Storage is full: {free}. The gateway takes no orders.", "Free some room, then it sells.")
    if found.worn_tenths is not None and found.worn_tenths >= WORN_TENTHS:
        told = f"The storage has used {found.worn_tenths * 10} % of its life, by its own word."
        return warning(check, told, "Replace it soon; the gateway's data moves with a copy of the folder.")
    if found.free_bytes < LITTLE_ROOM_BYTES:
        return warning(check, f"Storage is nearly full: {free}.", "Free some room.")
    return good(check, f"{found.path} can be written to, {free}.")


@dataclass(frozen=True, slots=True)
class Ledger:
    """`running`: a gateway has it open, and `works` is its own word; else `works` is SQLite's, None without a file."""

    running: bool
    works: bool | None
    why: str = ""


def judge_ledger(found: Ledger) -> Finding:
    """The books."""
    check = "ledger"
    if found.works:
        return good(check, "The running gateway says that it works." if found.running else "It opens and is whole.")
    if found.running:
        told = f"A gateway runs here, but does not say that its ledger works{found.why and f': {found.why}'}."
        return bad(check, told, "Read its log; start it again.")
    if found.works is None:
        return warning(check, "There is none yet.", "Start the gateway; it makes one.")
    told = f"It is damaged or cannot be opened: {found.why}."
    return bad(check, told, "Start the gateway: it puts the last backup in its place, and asks the cloud for the rest.")


class Trust(StrEnum):
    """What became of the handshake with the cloud."""

    FINE = "fine"
    EXPIRED = "expired"
    NOT_YET = "not_yet"
    UNKNOWN_ISSUER = "unknown_issuer"
    OTHER_NAME = "other_name"
    NO_TLS = "no_tls"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True)
class CloudProbe:
    """How far a call of the cloud got. What was not reached is None.

    `resolved`: its name has an address. `connected`: its port took the connection; `why` says why not. `answered`: it
    said anything; `is_larder`: what only Larder's cloud says. `date`: its clock, in the middle of `round_trip`.
    """

    url: str
    host: str
    port: int
    proxy: str | None = None
    resolved: bool | None = None
    connected: bool | None = None
    why: str = ""
    trust: Trust = Trust.NOT_ASKED
    answered: bool | None = None
    is_larder: bool = False
    date: datetime | None = None
    round_trip: timedelta = timedelta()


_WORDS = {
    Trust.UNKNOWN_ISSUER: (
        "The cloud's certificate is not trusted: nobody whom this machine knows has signed it.",
        "Open a browser on this network: does it show a sign-in page? If the CA is your own, install it here.",
    ),
    Trust.OTHER_NAME: (
        "The certificate is for another name than the cloud's: somebody else answers in its place.",
        "Check cloud_url; open a browser on this network: does it show a sign-in page?",
    ),
    Trust.NO_TLS: (
        "Something that speaks no TLS answers at the cloud's address.",
        "Check the port in cloud_url; open a browser on this network: does it show a sign-in page?",
    ),
}


def judge_cloud(found: CloudProbe, now: datetime) -> Finding:
    """How far the way to the cloud goes, and what ends it."""
    check, through = "cloud", f" through the proxy {found.proxy}" if found.proxy else ""
    where = f"{found.host}, port {found.port}"
    if found.resolved is None or found.resolved is False:
        told = f"The name {found.host} is not found on this network."
        return bad(check, told, "Check cloud_url, the network cable or Wi-Fi, and the network's DNS server.")
    if not found.connected:
        return bad(check, f"{where} cannot be reached{through}: {found.why}.", _reach(found.why))
    if found.trust in {Trust.EXPIRED, Trust.NOT_YET}:
        return _judge_validity(found, now)
    if found.trust in _WORDS:
        return bad(check, *_WORDS[found.trust])
    if not found.answered:
        told = f"{where} takes the connection{through} and then says nothing in time."
        return bad(check, told, "Try again in a minute; else ask whoever runs the cloud, or the proxy.")
    if not found.is_larder:
        told = f"Something answers at {where}{through} that is not Larder's cloud, such as a network's sign-in page."
        return bad(check, told, "Sign in to the network with a browser, or check cloud_url.")
    return good(check, f"{found.url} answers{through}.")


def _reach(why: str) -> str:
    if "refused" in why:
        return "The port is closed: check the port in cloud_url, and whether the cloud runs."
    return "A firewall may drop it: have this network allow the way out."


def _judge_validity(found: CloudProbe, now: datetime) -> Finding:
    offset = offset_of(found, now)
    if offset is not None and abs(offset) > timedelta(hours=1):
        told = f"The cloud's certificate is not valid by this machine's clock, and that is {_off(offset)}."
        return bad("cloud", told, "Set the clock (timedatectl set-ntp true); the certificate may be right.")
    word = "has expired" if found.trust is Trust.EXPIRED else "is not valid yet"
    return bad("cloud", f"The cloud's certificate {word}.", "Tell whoever runs the cloud: it has to be renewed.")


def offset_of(found: CloudProbe, now: datetime) -> timedelta | None:
    """How far the cloud's clock is ahead of `now`, when its answer had just come; None without a clock of its."""
    return None if found.date is None else found.date + found.round_trip / 2 - now


def judge_clock(offset: timedelta | None, *, by_network: bool) -> Finding:
    """The clock against the cloud's; `by_network`: a time server has set it."""
    check, to_do = (
        "clock",
        "Let it be set by the network: timedatectl set-ntp true. Facts are dated right all the same.",
    )
    if offset is None:
        if by_network:
            return good(check, "A time server has set it. The cloud could not be asked.")
        return warning(check, "No time server has set it, and the cloud could not be asked: it may be wrong.", to_do)
    if abs(offset) > TOKEN_LEEWAY:
        return bad(check, f"The clock is {_off(offset)}.", to_do)
    return good(check, "It agrees with the cloud's.")


def _off(offset: timedelta) -> str:
    """As people say it: off by 3 h, slow."""
    seconds = abs(round(offset.total_seconds()))
    units = (("days", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    unit, length = next((unit, length) for unit, length in units if seconds >= 2 * length or length == 1)
    return f"off by {round(seconds / length)} {unit}, {'slow' if offset > timedelta() else 'fast'}"


@dataclass(frozen=True, slots=True)
class Place:
    """Whether the gateway is let in. `said`: what the running gateway says went wrong with its claim."""

    claimed: bool
    has_bundle: bool
    has_code: bool
    said: str = ""


_NEW_CODE = "Make a new sheet in the dashboard, and type what it says: larder-gateway claim CODE. The ledger is kept."


def judge_place(found: Place) -> Finding:
    """The claim."""
    check, sells = "claim", " It sells all the same." if found.has_bundle else ""
    if found.claimed:
        return good(check, "The cloud has let this gateway in.")
    if Code.CLAIM_CODE_USED in found.said:
        told = f"Another gateway has come in by this code, from a copy of the sheet or the stick.{sells}"
        return bad(check, told, f"Is that one yours? Else revoke it. {_NEW_CODE}")
    if Code.CLAIM_CODE_EXPIRED in found.said:
        return bad(check, f"The claim code has ended: too old, or there is a newer sheet.{sells}", _NEW_CODE)
    if Code.CLAIM_CODE_UNKNOWN in found.said:
        return bad(check, f"This cloud does not know the claim code, or it is for another gateway.{sells}", _NEW_CODE)
    if found.has_bundle or found.has_code:
        return warning(
            check, f"The gateway has not come in yet.{sells}", "It comes in by itself once it reaches the cloud."
        )
    to_do = "Type the line of the sheet (larder-gateway claim …), or bring a stick (larder-gateway bundle FILE)."
    return bad(check, "The gateway has no place: it was given no claim code and no bundle.", to_do)


@dataclass(frozen=True, slots=True)
class Port:
    """One that the gateway needs. `taken_by`: who else has it, by name as far as it can be told."""

    setting: str
    number: int
    ours: bool
    taken_by: str | None


def judge_port(found: Port) -> Finding:
    """Whether the gateway has it, or can have it."""
    check = f"port {found.number} ({found.setting})"
    if found.ours:
        return good(check, "The running gateway has it.")
    if found.taken_by is not None:
        to_do = f"Stop that program, or give the gateway another {found.setting}."
        return bad(check, f"It is taken by {found.taken_by}.", to_do)
    return good(check, "It is free.")


@dataclass(frozen=True, slots=True)
class Broker:
    """Whether devices could connect. `failures`: by address, why it could not be reached there with the site's CA."""

    running: bool
    loopback_only: bool
    reached: Sequence[str]
    failures: Sequence[tuple[str, str]]


def judge_broker(found: Broker) -> Finding:
    """What devices connect to."""
    check = "broker"
    if not found.running:
        return warning(check, "The gateway does not run.", "Start it: systemctl start larder-gateway.")
    if found.failures:
        address, why = found.failures[0]
        return bad(check, f"It cannot be reached at {address}: {why}.", "Check mqtt_host, and this machine's firewall.")
    if found.loopback_only:
        told = "It listens on this machine alone, so boards cannot reach it."
        return warning(check, told, "Set mqtt_host to this machine's address in the boards' network.")
    return good(check, f"It can be reached at {', '.join(found.reached)}, and the site's CA vouches for it.")


@dataclass(frozen=True, slots=True)
class Certificates:
    """The site's CA and the broker's certificate: when each ends, None without one; `issued`: the CA has signed it."""

    ca_ends: datetime | None
    server_ends: datetime | None
    issued: bool
    damaged: str = ""


def judge_certificates(found: Certificates, now: datetime) -> Finding:
    """What devices pin."""
    check = "site's CA"
    if found.damaged:
        to_do = "Restore the folder site-ca from a copy. Without one, boards need new settings: make the sheet anew."
        return bad(check, f"Its files are damaged: {found.damaged}.", to_do)
    if found.ca_ends is None:
        return warning(check, "There is none yet.", "Start the gateway; it makes one, unless a bundle brings it.")
    # A machine without a battery wakes up in 1970: an old clock says nothing about an end.
    if found.ca_ends < now + SOON:
        return bad(check, "It ends soon, and boards will trust nobody then.", "Plan new settings for all boards.")
    if found.server_ends is not None and not found.issued:
        to_do = "Start the gateway again: it makes one that boards trust."
        return bad(check, "The broker's certificate is not signed by it.", to_do)
    if found.server_ends is not None and found.server_ends < now:
        return bad(check, "The broker's certificate has expired.", "Start the gateway again: it makes a new one.")
    return good(check, f"Boards may trust it until {found.ca_ends.astimezone(UTC):%Y}.")


@dataclass(frozen=True, slots=True)
class Mdns:
    """What was heard in some seconds on `interfaces`. `why`: what kept us from listening."""

    interfaces: Sequence[str]
    running: bool
    heard_self: bool
    devices: int
    why: str = ""
    unexpected: Sequence[str] = ()
    """Ids of boards of which the running gateway says that it was told of none such."""


def judge_mdns(found: Mdns) -> Finding:
    """How devices find the gateway."""
    check, where = "mDNS", ", ".join(found.interfaces)
    if not found.interfaces:
        told = "The gateway does not say where it is: mdns_interfaces names no network."
        return warning(check, told, "Set it to this machine's address there, or give each board a static address.")
    if found.why:
        return bad(check, f"No listening on {where}: {found.why}.", "Is that an address of this machine? Correct it.")
    if found.running and not found.heard_self:
        told = f"The gateway's own announcement is not heard on {where}."
        return bad(check, told, "Start the gateway again; have the firewall allow UDP port 5353.")
    if not found.devices:
        told = f"No mDNS answers of boards on {where}."
        to_do = (
            "Are boards on, and in the same network? Guest networks keep devices apart. A static address works, too."
        )
        return warning(check, told, to_do)
    if found.unexpected:
        told = f"Unknown board found, of which nobody told this gateway: {', '.join(found.unexpected)}."
        to_do = "Is it yours? Give it the settings of its sheet. If not, leave it: nobody lets it in."
        return warning(check, told, to_do)
    return good(check, f"{found.devices} board(s) answer on {where}.")


def judge_kiosk(url: str, *, running: bool, status: int | None, why: str = "") -> Finding:
    """The page that customers see; `status`: of its health, None without an answer."""
    check = "kiosk"
    if not running:
        return warning(check, "The gateway does not run.", "Start it: systemctl start larder-gateway.")
    if status is None:
        return bad(check, f"{url} does not answer: {why}.", "Start the gateway again, and read its log.")
    if status != 200:
        return bad(check, f"{url} answers, but says that the gateway is not ready.", "Read the gateway's log.")
    return good(check, f"{url} answers.")


def late(check: str, seconds: float) -> Finding:
    """A check that came to no end."""
    to_do = "Run the doctor again. If it is the data folder or ledger: the card or disk may be failing."
    return bad(check, f"This check came to no end within {seconds:g} s.", to_do)


_MARKS = {State.GOOD: ("ok  ", "32"), State.WARNING: ("look", "33"), State.BAD: ("BAD ", "31")}


def as_text(findings: Sequence[Finding], *, colours: bool) -> str:
    """For a terminal: a line a finding, and under it what to do."""
    lines = []
    for found in findings:
        mark, colour = _MARKS[found.state]
        shown = f"\x1b[{colour}m{mark}\x1b[0m" if colours else mark
        lines.append(f"{shown}  {found.check}: {found.told}")
        if found.to_do is not None:
            lines.append(f"      → {found.to_do}")
    return "\n".join(lines) + "\n"
