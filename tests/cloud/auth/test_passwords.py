"""Passwords that are guessed first are refused, by rules and lists of our own machine."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from cloud.auth.passwords import AT_ONCE, LOOKED_AT, Passwords
from tests.fakes.cloud_people import Office, PersonAtCloud

COMMON = "letmein123456"


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    made = Passwords()
    yield made
    made.close()


@pytest.mark.parametrize(
    "password",
    [COMMON, "qwertyuiop123", "iloveyou1234", "P@ssw0rd!2345", "trustno1trustno1", "1q2w3e4r5t6y", "monkey" * 40],
)
async def test_common_passwords_are_refused_in_disguise_too(passwords: Passwords, password: str) -> None:
    why = await passwords.why_weak(password, "anna@snacks.example", "Anna")
    assert why is not None
    assert why.startswith("is guessed too soon") or "too close" in why


@pytest.mark.parametrize(
    "password", ["seven red boats at noon", "kT9#vv2-qPz!x", "ünïcödé straße 7", "correct horse battery staple" * 9]
)
async def test_good_ones_are_taken(passwords: Passwords, password: str) -> None:
    assert await passwords.why_weak(password, "anna@snacks.example", "Anna") is None


async def test_the_worst_to_look_at_is_bounded_and_holds_nobody_up(passwords: Passwords) -> None:
    worst = ("4@8({[<36!1|70$5+%2z" * 13)[:256]
    began, turns = time.monotonic(), 0
    looking = [asyncio.create_task(passwords.why_weak(worst, "a@b.example", "Anna")) for _ in range(AT_ONCE)]
    while not all(task.done() for task in looking):
        await asyncio.sleep(0.005)
        turns += 1
    assert [task.result() for task in looking] == [None] * AT_ONCE
    assert turns > 3, "the loop stood still"
    assert time.monotonic() - began < 8
    assert len(worst) > LOOKED_AT


async def test_the_form_says_why_at_the_field(office: Office, admin: PersonAtCloud) -> None:
    said = "Is guessed too soon: it is a common password"
    changed = await admin.post("/account/password", old=admin.password, new=COMMON)
    page = await changed.get_data(as_text=True)
    assert (changed.status_code, said in page) == (422, True)
    assert 'id="password-new-wrong"' in page
    await office.identity.sign_in.forget(admin.email)
    link = await office.mailbox.link(admin.email)
    assert said in await (await admin.post(link, password=COMMON)).get_data(as_text=True)
    invited = "new@larder.example"
    await admin.ask("POST", "/v1/invitations", json={"email": invited, "role": "viewer"})
    stranger = PersonAtCloud(office.app, invited, COMMON)
    joining = await stranger.post(f"{await office.mailbox.link(invited)}", name="Nora", password=COMMON)
    assert said in await joining.get_data(as_text=True)
