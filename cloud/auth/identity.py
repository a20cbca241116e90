"""All that knows and looks after people and programs, built once."""

from dataclasses import dataclass

from cloud.auth.gate import Gate
from cloud.auth.invitations import InvitationService
from cloud.auth.keys import KeyService
from cloud.auth.members import MemberService
from cloud.auth.passwords import Passwords
from cloud.auth.replacement import ReplacementService
from cloud.auth.resetting import FactorResets
from cloud.auth.second_factor import SecondFactors
from cloud.auth.sessions import SessionService
from cloud.auth.sign_in import SignInService
from cloud.auth.visits import VisitService
from cloud.cache import Caches
from cloud.clock import Clock
from cloud.database import Database
from cloud.encryption.keyring import Keyring
from cloud.mail import MailRoom
from cloud.throttle import Throttle


@dataclass(frozen=True)
class Identity:
    """The services of people and programs, and the gate that asks them."""

    database: Database
    clock: Clock
    gate: Gate
    keys: KeyService
    sessions: SessionService
    sign_in: SignInService
    second_factors: SecondFactors
    replacements: ReplacementService
    factor_resets: FactorResets
    members: MemberService
    invitations: InvitationService
    visits: VisitService


def build(
    database: Database,
    clock: Clock,
    caches: Caches,
    keyring: Keyring,
    throttle: Throttle,
    mails: MailRoom,
    public_url: str,
) -> Identity:
    """`public_url` is where links in mails lead, without a slash at its end."""
    passwords = Passwords()
    keys, sessions = KeyService(database, clock, caches), SessionService(database, clock)
    factors = SecondFactors(database, clock, keyring, throttle)
    sign_in = SignInService(database, clock, passwords, factors, throttle, mails, public_url)
    return Identity(
        database=database,
        clock=clock,
        gate=Gate(keys, sessions, throttle, clock),
        keys=keys,
        sessions=sessions,
        sign_in=sign_in,
        second_factors=factors,
        replacements=ReplacementService(database, clock, keyring, sign_in, factors, throttle, mails),
        factor_resets=FactorResets(database, clock, sign_in, factors, throttle, mails),
        members=MemberService(database, clock),
        invitations=InvitationService(database, clock, passwords, mails, public_url),
        visits=VisitService(database, clock),
    )
