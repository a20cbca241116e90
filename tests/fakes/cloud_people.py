"""People at the cloud, each with a browser of their own that keeps cookies."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pyotp
from quart import Quart, Response

from cloud.auth.first_people import FirstPeople
from cloud.auth.identity import Identity
from cloud.auth.sessions import Visitor
from tests.fakes.mailbox import Mailbox

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class PersonAtCloud:
    """Somebody with an address, a password and, once set up, an authenticator app."""

    app: Quart
    email: str
    password: str
    seed: str | None = None
    cookie: str = ""
    steps_used: set[int] = field(default_factory=set)
    recovery_codes: list[str] = field(default_factory=list)

    async def ask(self, method: str, path: str, **more: Any) -> Response:
        """A request of their browser, with a key of its own; its answer's cookie is kept."""
        headers = SAME_ORIGIN | {"Idempotency-Key": str(uuid4())} | more.pop("headers", {})
        if self.cookie:
            headers["Cookie"] = f"__Host-larder={self.cookie}"
        client = self.app.test_client(use_cookies=False)
        answer = await client.open(path, method=method, headers=headers, **more)
        for line in answer.headers.getlist("Set-Cookie"):
            found = re.match(r"__Host-larder=([^;]*)", line)
            if found is not None:
                self.cookie = found[1]
        return answer

    async def get(self, path: str) -> Response:
        """GET."""
        return await self.ask("GET", path)

    async def post(self, path: str, **form: str) -> Response:
        """POST a form."""
        return await self.ask("POST", path, form=form)

    async def sign_in(self) -> Response:
        """Address and password, and the code if it is asked for."""
        self.cookie = ""
        answer = await self.post("/login", email=self.email, password=self.password)
        if answer.headers.get("Location") == "/login/code":
            answer = await self.post("/login/code", code=self.code())
        return answer

    def code(self) -> str:
        """The app's next code that was not used yet (clocks may differ by one step)."""
        assert self.seed is not None
        now = int(datetime.now(UTC).timestamp()) // 30
        step = next(step for step in (now - 1, now, now + 1) if step > max(self.steps_used, default=0))
        self.steps_used.add(step)
        return str(pyotp.TOTP(self.seed).generate_otp(step))


@dataclass
class Office:
    """The services behind the pages, on the database of a running app."""

    app: Quart
    identity: Identity
    mailbox: Mailbox

    async def invited(self, inviter: PersonAtCloud, email: str, role: str, **scope: list[str]) -> PersonAtCloud:
        """Somebody new, invited by API and joined by the mailed link, who has not signed in yet."""
        answer = await inviter.ask("POST", "/v1/invitations", json={"email": email, "role": role} | scope)
        assert answer.status_code == 201, await answer.get_data()
        secret = (await self.mailbox.link(email)).removeprefix("/invitations/")
        person = PersonAtCloud(self.app, email, f"{email[::-1]} is long enough")
        await self.identity.invitations.accept_as_new(secret, email.partition("@")[0].title(), person.password)
        return person

    async def with_second_factor(self, person: PersonAtCloud) -> PersonAtCloud:
        """The same, signed in, with an authenticator app set up."""
        await person.sign_in()
        known = await self.identity.sessions.person(person.cookie)
        enrolment = await self.identity.second_factors.begin(known)
        person.seed = enrolment.seed
        enrolled = await self.identity.second_factors.confirm(known, person.code(), Visitor("test", "test"))
        person.recovery_codes, person.cookie = enrolled.recovery_codes, enrolled.session_secret
        return person

    async def owner(self, tenant_id: UUID, email: str = "olga@larder.example") -> PersonAtCloud:
        """An owner of the tenant, made at a terminal, with a second factor, signed in."""
        people = FirstPeople(self.identity.database, self.identity.clock, "http://cloud.example")
        link = await people.owner(tenant_id, email, "Olga Owner")
        person = PersonAtCloud(self.app, email, "olga has a long pass phrase")
        await self.identity.sign_in.reset(link.rpartition("/")[2], person.password)
        return await self.with_second_factor(person)
