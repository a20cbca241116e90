"""Stands before every route: knows who asks, and whether they may."""

from dataclasses import replace
from urllib.parse import urlsplit

from quart import g, request

from cloud.auth import rules
from cloud.auth.keys import KeyService
from cloud.auth.sessions import Person, SessionService
from cloud.callers import Operator
from cloud.clock import Clock
from cloud.errors import Refused, Unauthenticated
from cloud.operations import Access, Policy, current_operation
from cloud.permissions import SECOND_FACTOR, Permission
from cloud.throttle import Throttle
from cloud.web import bearer
from shared.errors import Code

COOKIE = "__Host-larder"
BY_ITSELF = "Larder-By-Itself"
"""The header of requests that a page makes with nobody at it."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Gate:
    """Before a request: lets by what is public, hands on what gateways do, and asks all others who they are.

    Programs show a key or token, people the cookie of their session. A request that has both is a program's.
    """

    def __init__(self, keys: KeyService, sessions: SessionService, throttle: Throttle, clock: Clock) -> None:
        self._keys = keys
        self._sessions = sessions
        self._throttle = throttle
        self._clock = clock

    async def admit(self) -> None:
        """Raises Unauthenticated, Refused (403), TooManyRequests."""
        found = current_operation()
        if found is None:
            return
        if found.policy is Access.GATEWAY:
            bearer()  # whoever shows nothing is told so before what they ask is looked at
            return
        is_page = not found.summary  # a page is for people: what a key would make there, its program never saw
        takes_key = not is_page and (isinstance(found.policy, Permission) or found.policy is Access.ANY_OPERATOR)
        has_key = takes_key and "Authorization" in request.headers
        if not has_key and request.method not in _SAFE:
            refuse_other_origins()
        if found.policy is Access.PUBLIC:
            return
        if has_key:
            g.operator = await self._keys.operator(bearer())
            require(g.operator, found.policy)
        else:
            g.person = await self._sessions.person(session_secret(), is_seen=not _is_by_itself())
            self._let_in(g.person, found.policy)
        if "operator" in g:
            await self._throttle.operator(g.operator)

    def _let_in(self, person: Person, policy: Policy) -> None:
        if policy is Access.HALF_SIGNED_IN:
            return
        if person.is_half:
            raise Refused(Code.SECOND_FACTOR_REQUIRED, "Show your second factor first.", status=403)
        if policy is Access.SIGNED_IN:
            return
        if person.needs_second_factor and not person.has_second_factor:
            raise Refused(Code.SECOND_FACTOR_MISSING, "Your role needs a second factor: set one up first.", status=403)
        if person.operator is None:
            raise Refused(Code.FORBIDDEN, "You belong to no business that this shows.", status=403)
        require(person.operator, policy)
        g.operator = person.operator
        if not rules.is_fresh(person.second_factor_at, self._clock.now()):
            if policy in SECOND_FACTOR:
                raise Refused(Code.SECOND_FACTOR_REQUIRED, "Show your second factor once more for this.", status=403)
            # So that no handler does, or hands on, what this policy did not ask for.
            g.operator = replace(person.operator, permissions=person.operator.permissions - SECOND_FACTOR)


def _is_by_itself() -> bool:
    """Whether a page asks with nobody at it. A stream of events cannot say so: it is always."""
    return BY_ITSELF in request.headers or request.headers.get("Accept") == "text/event-stream"


def require(operator: Operator, policy: Policy) -> None:
    """Raises Refused unless they have the permission, if it is one."""
    if isinstance(policy, Permission) and policy not in operator.permissions:
        raise Refused(Code.FORBIDDEN, f"This needs the permission {policy}.", status=403)


def session_secret() -> str:
    """The secret in the session's cookie. Raises Unauthenticated."""
    secret = request.cookies.get(COOKIE, "")
    if not secret:
        raise Unauthenticated("Please sign in, or send Authorization: Bearer.")
    return secret


def current_person() -> Person:
    """Who has signed in. Raises Unauthenticated when a program asks for what only people have."""
    if "person" not in g:
        raise Unauthenticated("This is for people: sign in.")
    found = g.person
    assert isinstance(found, Person)  # noqa: S101  the gate put it there
    return found


def refuse_other_origins() -> None:
    """Unsafe methods come from our own pages only. Raises Refused.

    Browsers tell it by Sec-Fetch-Site; one too old for that tells its Origin. (Under our referrer policy a form's
    Origin is "null" even on our own pages, so it cannot be asked first.)
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is None:
        foreign = origin is not None and urlsplit(origin).netloc != request.host
    else:
        foreign = site not in {"same-origin", "none"}
    if foreign:
        raise Refused(Code.FORBIDDEN, "This form belongs to another site.", status=403)
