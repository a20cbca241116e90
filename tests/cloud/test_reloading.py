"""Settings that change while the cloud runs: swapped whole or not at all."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from cloud.database import credentials
from cloud.errors import Unavailable
from cloud.live import LiveSettings
from cloud.logs import configure
from cloud.reloading import Reloading
from cloud.settings import Live
from cloud.sources import load
from tests.cloud.conftest import Server
from tests.cloud.processes import serving
from tests.fakes.until import until

Write = Callable[[Path, str], None]


def replace(file: Path, text: str) -> None:
    """As editors and deployment tools do it: a new file in place of the old one."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(file)


def overwrite(file: Path, text: str) -> None:
    file.write_text(text)


class Reloaded:
    """A running reload of a file, and what it told."""

    def __init__(self, file: Path, **environment: str) -> None:
        self.file = file
        self.told: list[tuple[Live, Live]] = []
        names = {"LARDER_CLOUD_CONFIG": str(file)} | environment
        loaded = load(names)
        self.live = LiveSettings(loaded.settings.live())
        self.reloading = Reloading(names, loaded, self.live, on_reload=self._on_reload)

    async def _on_reload(self, before: Live, after: Live) -> None:
        self.told.append((before, after))


@asynccontextmanager
async def running(reloaded: Reloaded) -> AsyncIterator[None]:
    task = asyncio.create_task(reloaded.reloading.run())
    await asyncio.sleep(0.2)  # until the folder is watched: nothing tells when that is
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was logged: a reload sets the log up anew, so it is read where it goes."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "cloud.toml"
    made.write_text('rate_address = "10/60"\n')
    return made


@pytest.fixture(autouse=True)
def _default_logs() -> Iterator[None]:
    """A reload sets the level of the whole process."""
    yield
    structlog.reset_defaults()


@pytest.mark.criterion("10.6")
@pytest.mark.parametrize("write", [replace, overwrite])
async def test_a_changed_file_is_in_force_without_a_restart(file: Path, write: Write) -> None:
    reloaded = Reloaded(file)
    async with running(reloaded):
        for number in (20, 30):  # a watch on the file would see the first replacement alone
            write(file, f'rate_address = "{number}/60"\n')
            await until(lambda number=number: reloaded.live.now.rate_address.capacity == number)  # type: ignore[misc]
    assert [(before.rate_address.capacity, after.rate_address.capacity) for before, after in reloaded.told] == [
        (10, 20),
        (20, 30),
    ]


@pytest.mark.criterion("10.6")
async def test_a_swapped_link_is_seen(tmp_path: Path) -> None:
    """As Kubernetes mounts a ConfigMap."""
    for number in (1, 2):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "cloud.toml").write_text(f'rate_address = "{number}/60"\n')
    (tmp_path / "data").symlink_to("v1")
    (tmp_path / "cloud.toml").symlink_to("data/cloud.toml")
    reloaded = Reloaded(tmp_path / "cloud.toml")
    async with running(reloaded):
        (tmp_path / "data.new").symlink_to("v2")
        (tmp_path / "data.new").rename(tmp_path / "data")
        await until(lambda: reloaded.live.now.rate_address.capacity == 2)


@pytest.mark.criterion("10.6")
async def test_it_is_read_anew_on_sighup(file: Path) -> None:
    reloaded = Reloaded(file)
    reloaded.reloading._folders.clear()
    async with running(reloaded):
        replace(file, 'rate_address = "20/60"\n')
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: reloaded.live.now.rate_address.capacity == 20)


@pytest.mark.criterion("10.6")
@pytest.mark.parametrize("text", ['rate_address = "20/60"\nlog_level = "loud"\n', "rate_address = ", "unknown = 1\n"])
async def test_a_wrong_file_changes_nothing_and_says_so_once(file: Path, text: str) -> None:
    reloaded = Reloaded(file)
    replace(file, text)
    with capture_logs() as logs:
        await reloaded.reloading.once()
        await reloaded.reloading.once()
    assert reloaded.live.now.rate_address.capacity == 10
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("settings_not_reloaded", "error")]
    assert reloaded.told == []
    replace(file, 'rate_address = "20/60"\n')
    await reloaded.reloading.once()
    assert reloaded.live.now.rate_address.capacity == 20


async def test_what_needs_a_restart_is_named_and_the_rest_taken(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    reloaded = Reloaded(file)
    replace(file, 'rate_address = "20/60"\nport = 9000\npool_size = 4\n')
    await reloaded.reloading.once()
    await reloaded.reloading.once()
    logs = told(capsys)
    waiting = [entry["names"] for entry in logs if entry["event"] == "settings_need_restart"]
    assert [sorted(names) for names in waiting] == [["pool_size", "port"]]
    assert [entry["changes"] for entry in logs if entry["event"] == "settings_reloaded"] == [
        {"rate_address": "10/60 -> 20/60"}
    ]
    assert reloaded.live.now.rate_address.capacity == 20


async def test_the_environment_goes_on_winning(file: Path) -> None:
    reloaded = Reloaded(file, LARDER_CLOUD_RATE_ADDRESS="7/60")
    replace(file, 'rate_address = "20/60"\nmax_requests = 9\n')
    await reloaded.reloading.once()
    assert (reloaded.live.now.rate_address.capacity, reloaded.live.now.max_requests) == (7, 9)


async def test_a_record_that_fails_undoes_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def fails(_before: Live, _after: Live) -> None:
        raise Unavailable

    names = {"LARDER_CLOUD_CONFIG": str(file)}
    loaded = load(names)
    live = LiveSettings(loaded.settings.live())
    replace(file, 'rate_address = "20/60"\n')
    await Reloading(names, loaded, live, on_reload=fails).once()
    assert live.now.rate_address.capacity == 20
    assert [entry["event"] for entry in told(capsys)] == ["settings_reloaded", "settings_reload_not_recorded"]


async def test_the_level_of_the_log_changes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reloaded = Reloaded(file)
    log = structlog.get_logger()
    for level, heard in (("error", False), ("debug", True)):
        replace(file, f'log_level = "{level}"\n')
        await reloaded.reloading.once()
        capsys.readouterr()
        log.debug("whispered")
        assert ("whispered" in capsys.readouterr().out) is heard


@pytest.mark.criterion("10.6")
async def test_the_program_takes_a_changed_file_over(database_url: str, server: Server, file: Path) -> None:
    file.write_text('rate_address = "2/86400"\n')
    async with (
        serving(database_url, LARDER_CLOUD_CONFIG=str(file)) as cloud,
        httpx.AsyncClient(base_url=cloud.url, timeout=10) as client,
    ):
        assert [(await client.get("/v1/orders")).status_code for _ in range(3)] == [401, 401, 429]
        replace(file, 'rate_address = "100000/1"\n')
        for _ in range(500):
            if (await client.get("/v1/orders")).status_code == 401:
                break
            await asyncio.sleep(0.02)
        cloud.process.send_signal(signal.SIGHUP)
        assert (await client.get("/v1/orders")).status_code == 401, "it lives on"
    superuser = await asyncpg.connect(
        **credentials(server.postgres.url("postgres", credentials(database_url)["database"]))
    )
    (entry,) = await superuser.fetch(
        "SELECT actor_name, after FROM audit_entries WHERE action = 'configuration_reloaded'"
    )
    await superuser.close()
    assert (entry["actor_name"], json.loads(entry["after"])) == ("reload", {"settings": {"rate_address": "100000/1"}})
