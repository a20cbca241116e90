"""Settings that a device shall run on are offered until it says what became of them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from edge.clock import new_id
from edge.upkeep.rules import MAX_TRIES
from edge.upkeep.sweep import RETRY_S
from shared.commands import COMMAND
from shared.parcels import Offer
from shared.signed import Purpose, SignedText
from shared.topics import Channel, Topic
from shared.upkeep import SettingsAssigned, SettingsReport, SettingsReported, SettingsState
from tests.fakes.site import Site, running_site
from tests.fakes.until import until


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as site:
        yield site


def signed(text: str) -> SignedText:
    return SignedText(text=text, key="0" * 16, signature="0" * 128)


def digest_of(text: str) -> str:
    return hashlib.sha256(signed(text).to_line()).hexdigest()


async def assign(site: Site, text: str, version: int = 1) -> str:
    change = SettingsAssigned(
        device_id=site.device_id, machine_id=site.machine_id, version=version, signed=signed(text)
    )
    await site.database.unit("test.assign", lambda tx: site.upkeep.apply_settings(tx, change))
    return digest_of(text)


async def report(site: Site, state: SettingsState = SettingsState.KEPT, **others: Any) -> None:
    boot_id = others.pop("boot_id", UUID(site.device.boot_id))
    told = SettingsReport(boot_id=boot_id, digest=others.pop("digest", None), state=state, **others)
    await site.upkeep.record_settings(Topic(site.machine_id, site.device_id, Channel.SETTINGS), told)


def offers(site: Site) -> list[Offer]:
    commands = [COMMAND.validate_json(payload) for _, payload in site.sent]
    return [command for command in commands if isinstance(command, Offer)]


async def offered_again(site: Site) -> bool:
    """Whether offers go on."""
    await asyncio.sleep(0.1)
    before = len(offers(site))
    await asyncio.sleep(0.3)
    return len(offers(site)) > before


async def reports(site: Site) -> list[SettingsReported]:
    bodies = [fact.body for fact in await site.facts()]
    return [body for body in bodies if isinstance(body, SettingsReported)]


async def test_they_are_offered_with_their_file_once_the_device_has_told_what_it_runs_on(site: Site) -> None:
    digest = await assign(site, "{}")
    assert not await offered_again(site)
    await report(site)
    await until(lambda: len(offers(site)) >= 2)
    offer = offers(site)[0]
    assert (offer.purpose, offer.digest) == (Purpose.SETTINGS, digest)
    file = await asyncio.to_thread(site.shelf.read, digest, 0, offer.size)
    assert SignedText.model_validate_json(file).text == "{}"
    assert len(file) == offer.size


@pytest.mark.parametrize(
    ("state", "ran", "ended"),
    [
        (SettingsState.KEPT, True, True),
        (SettingsState.TRIAL, True, False),
        (SettingsState.REFUSED, False, True),
        (SettingsState.KEPT, False, False),
    ],
)
async def test_they_are_offered_no_more_once_it_is_known_what_became_of_them(
    site: Site, state: SettingsState, ran: bool, ended: bool
) -> None:
    digest = await assign(site, "{}")
    await report(site)
    await until(lambda: bool(offers(site)))
    tells_of = {"digest": digest} if ran else {"offered": digest if state is not SettingsState.KEPT else None}
    await report(site, state, **tells_of, tries=int(state is not SettingsState.KEPT))
    offering = await offered_again(site)
    assert offering is (not ended and state is not SettingsState.TRIAL)
    permits = await site.database.read(lambda tx: tx.all("SELECT digest FROM parcel_permits"))
    assert [row["digest"] for row in permits] == ([] if ended else [digest])


async def revert(site: Site, digest: str, tries: int) -> None:
    """The device went back from these settings, for the so manieth time; it says so at each connect."""
    for _ in range(2):
        await report(site, SettingsState.REVERTED, offered=digest, reason="no link in 2 minutes", tries=tries)


async def test_what_a_device_went_back_from_is_offered_again_later_and_not_for_ever(site: Site) -> None:
    """It may have been its gateway that was away. Each try costs some minutes of selling."""
    await report(site)
    digest = await assign(site, "{}")
    for tries in range(1, MAX_TRIES):
        await until(lambda: bool(offers(site)))
        await revert(site, digest, tries)
        assert not await offered_again(site)
        site.clock.step(RETRY_S - 60)
        assert not await offered_again(site)
        site.clock.step(61)
        assert await offered_again(site)
    await revert(site, digest, MAX_TRIES)
    site.clock.step(RETRY_S + 1)
    assert not await offered_again(site)
    assert [told.tries for told in await reports(site)] == [0, 1, 2, MAX_TRIES]


async def test_a_person_may_have_them_tried_anew(site: Site) -> None:
    await report(site)
    digest = await assign(site, "{}")
    for state, tries in ((SettingsState.REVERTED, MAX_TRIES), (SettingsState.REFUSED, MAX_TRIES + 1)):
        await report(site, state, offered=digest, tries=tries)
        assert not await offered_again(site)
        await assign(site, "{}", version=tries)
        await report(site, state, offered=digest, tries=tries)
        assert await offered_again(site), "that was before"


async def test_a_device_that_has_forgotten_its_tries_counts_anew(site: Site) -> None:
    await report(site, SettingsState.REVERTED, offered=digest_of("{}"), tries=40)
    digest = await assign(site, "{}")
    await report(site, SettingsState.REFUSED, offered=digest, tries=1)
    assert not await offered_again(site)


async def test_what_another_boot_told_is_waited_for_anew(site: Site) -> None:
    """It may have been reverted, and be about to say so."""
    await assign(site, "{}")
    await report(site, boot_id=new_id())
    assert not await offered_again(site)
    await report(site)
    assert await offered_again(site)


async def test_an_older_version_changes_nothing_and_a_newer_one_is_offered_instead(site: Site) -> None:
    await report(site)
    second = await assign(site, '{"a": 2}', version=2)
    await assign(site, '{"a": 1}', version=1)
    await until(lambda: bool(offers(site)))
    assert {offer.digest for offer in offers(site)} == {second}
    third = await assign(site, '{"a": 3}', version=3)
    await until(lambda: offers(site)[-1].digest == third)


async def test_a_report_is_a_fact_when_it_is_news(site: Site) -> None:
    for _ in range(3):
        await report(site)
    await report(site, SettingsState.REFUSED, offered="ab" * 32, reason="slots is missing")
    assert [(told.state, told.reason) for told in await reports(site)] == [
        (SettingsState.KEPT, None),
        (SettingsState.REFUSED, "slots is missing"),
    ]


async def test_nothing_is_offered_while_an_order_is_open(site: Site) -> None:
    site.device.slow = True
    await site.order("A1")
    await until(lambda: bool(site.device.journal.vends))
    await report(site)
    await assign(site, "{}")
    assert not await offered_again(site)
    await site.device.turn()
    assert await offered_again(site)
